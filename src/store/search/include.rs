//! What is sent beside the matches: what they refer to, and what refers to them.
//!
//! Every included resource is a match of its own question, under the narrowing of its type, so nothing comes
//! in by a reference that could not be searched for. Each comes once. How far and how many is bounded.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::resource::Resource;
use crate::search::include::{Direction, Include};
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::resources::Stored;
use crate::store::search::asked::Origin;
use crate::store::search::matches::{Asker, Question, parse};
use crate::store::search::page::Candidate;
use crate::store::search::resolve::reference;
use std::collections::{BTreeMap, HashSet};

/// So many resources are included in a page.
pub const MOST_INCLUDED: usize = 1_000;
/// So many times are references followed from what was included.
pub const MOST_ITERATIONS: usize = 4;

/// What is included.
#[derive(Default)]
pub(super) struct Included {
    pub(super) resources: Vec<Stored>,
    /// There would be more.
    pub(super) is_cut: bool,
}

/// Whom to look for, by type.
type Wanted = BTreeMap<ResourceType, Vec<Predicate>>;

impl Asker<'_> {
    /// Follows the includes.
    pub(super) async fn include(
        &self,
        includes: &[Include],
        matches: &[Stored],
    ) -> Result<Included, StoreError> {
        let mut included = Included::default();
        if includes.is_empty() || matches.is_empty() {
            return Ok(included);
        }
        let mut seen: HashSet<(ResourceType, ResourceId)> =
            matches.iter().map(|it| (it.resource_type, it.id.clone())).collect();
        let mut frontier: Vec<Resource> = Vec::with_capacity(matches.len());
        for it in matches {
            frontier.push(parse(it.clone())?);
        }
        for round in 0..=MOST_ITERATIONS {
            let active: Vec<&Include> = includes.iter().filter(|it| round == 0 || it.is_iterated).collect();
            if active.is_empty() || frontier.is_empty() {
                return Ok(included);
            }
            let wanted = self.wanted(&active, &frontier, &seen).await?;
            let found = self.find(wanted, MOST_INCLUDED - included.resources.len() + 1).await?;
            let mut new = Vec::new();
            for it in found {
                let place = (it.sealed.resource_type, it.sealed.id.clone());
                if seen.insert(place) {
                    new.push(it.sealed);
                }
            }
            let room = MOST_INCLUDED - included.resources.len();
            included.is_cut |= new.len() > room;
            new.truncate(room);
            let opened = self.store.unseal(self.tenant, new, self.permit.classes()).await?;
            frontier = opened.iter().map(|it| parse(it.clone())).collect::<Result<_, _>>()?;
            included.resources.extend(opened);
            if included.is_cut {
                return Ok(included);
            }
        }
        // Whether there would be more, nobody has looked.
        included.is_cut = !frontier.is_empty();
        Ok(included)
    }

    async fn wanted(
        &self,
        includes: &[&Include],
        frontier: &[Resource],
        seen: &HashSet<(ResourceType, ResourceId)>,
    ) -> Result<Wanted, StoreError> {
        let mut ids: BTreeMap<ResourceType, HashSet<ResourceId>> = BTreeMap::new();
        let mut wanted = Wanted::new();
        for include in includes {
            if include.direction == Direction::Reverse {
                self.add_sources(include, frontier, &mut wanted).await?;
                continue;
            }
            for resource in frontier {
                if include.source.is_some_and(|it| it != resource.resource_type()) {
                    continue;
                }
                for (target, id) in self.verifier.references(resource, include.parameter.as_deref()) {
                    let is_meant = include.target.is_none_or(|it| it == target);
                    if is_meant && !seen.contains(&(target, id.clone())) {
                        ids.entry(target).or_default().insert(id);
                    }
                }
            }
        }
        for (target, ids) in ids {
            wanted.entry(target).or_default().push(Predicate::Id(ids.into_iter().collect()));
        }
        Ok(wanted)
    }

    /// Whoever refers to these.
    async fn add_sources(
        &self,
        include: &Include,
        frontier: &[Resource],
        wanted: &mut Wanted,
    ) -> Result<(), StoreError> {
        let sources = match include.source {
            Some(source) => vec![source],
            None => self.store.types_with_changes(self.connection, self.tenant).await?,
        };
        for source in sources {
            let mut keys = Vec::new();
            for resource in frontier {
                let target = resource.resource_type();
                let Some(id) = resource.id().filter(|_| include.target.is_none_or(|it| it == target)) else {
                    continue;
                };
                let names = self.verifier.reference_names(source, include.parameter.as_deref(), target);
                keys.extend(names.iter().map(|name| reference(name, target, id)));
            }
            if !keys.is_empty() {
                wanted.entry(source).or_default().push(Predicate::any(keys));
            }
        }
        Ok(())
    }

    /// One question for each type and direction, all at once.
    async fn find(&self, wanted: Wanted, most: usize) -> Result<Vec<Candidate>, StoreError> {
        let is_open = |it: &ResourceType| *self.narrowing().of(*it) != Predicate::False;
        let questions: Vec<(ResourceType, Predicate)> = wanted
            .into_iter()
            .filter(|(it, _)| is_open(it))
            .flat_map(|(it, predicates)| predicates.into_iter().map(move |predicate| (it, predicate)))
            .collect();
        let answers = questions.iter().map(|(resource_type, filter)| {
            let question =
                Question { resource_type: *resource_type, filter, origin: Origin::Filter, sort: &[] };
            self.take(question, None, most)
        });
        let found = futures_util::future::try_join_all(answers).await?;
        Ok(found.into_iter().flatten().collect())
    }
}

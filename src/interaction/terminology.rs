//! Finding code systems, value sets and concept maps: first what the tenant keeps, under the caller's permit,
//! then what comes with the program.
//!
//! A definition that the caller may not see counts as one that is not there.

use super::context::Context;
use super::permission;
use super::record::Trail;
use super::request::Parameters;
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Limits, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::search::plan::plan;
use crate::search::plan::set::{self, Need, Sets};
use crate::store::concepts::Direction;
use crate::store::concepts::StoredConcept;
use crate::terminology::code_system::{CodeSystem, Concept, Property};
use crate::terminology::expand::{Ready, unknown_value_set};
use crate::terminology::library::{Library, split};
use crate::terminology::release::BigSystem;
use crate::terminology::value_set::ValueSet;
use std::collections::HashSet;
use std::sync::Arc;

/// The most definitions that one question looks at.
const MOST: usize = 200;

/// The most codes that a search is held to.
const MOST_CODES: usize = 5000;

/// The most steps of the hierarchy of a big code system that a question looks at.
const MOST_STEPS: i64 = 20_000;

/// The definitions that a question needs, found one after another.
pub(super) struct Shelf<'a> {
    ctx: &'a Context,
    /// What was found.
    pub(super) library: Library,
    /// What the trail is to say of it.
    pub(super) trail: Trail,
    /// The codes that the question is about.
    pub(super) asked: Vec<String>,
    /// The codes below which everything is asked for.
    roots: Vec<String>,
    tried: HashSet<(&'static str, String)>,
    /// Not the caller's permit counts, but that of the server itself.
    own: Option<Permit>,
}

impl<'a> Shelf<'a> {
    /// For a question that is asked of that type: who may not search it may not ask.
    pub(super) fn open(ctx: &'a Context, asked: ResourceType) -> Result<Shelf<'a>, Outcome> {
        let permit = permission::ask(ctx, Permission::Search, &[asked])?;
        Ok(Shelf::new(ctx, Trail::under(&permit)))
    }

    fn new(ctx: &'a Context, trail: Trail) -> Shelf<'a> {
        Shelf {
            ctx,
            library: Library::default(),
            trail,
            asked: Vec::new(),
            roots: Vec::new(),
            tried: HashSet::new(),
            own: None,
        }
    }

    /// For what the server itself must know to say whether a resource is legal: nothing of it is told to the caller.
    pub(super) fn of_server(ctx: &'a Context) -> Shelf<'a> {
        Shelf { own: Some(Permit::everything("validation")), ..Shelf::new(ctx, Trail::default()) }
    }

    /// Forgets what was found, for a question about other codes.
    pub(super) fn clear(&mut self) {
        self.library = Library::default();
        self.tried.clear();
    }

    /// The code system of that canonical.
    pub(super) async fn code_system(&mut self, canonical: &str) -> Result<Option<Arc<CodeSystem>>, Outcome> {
        if self.library.code_system(canonical).is_none() {
            self.find("CodeSystem", "url", canonical).await?;
            if self.library.code_system(canonical).is_some() {
                self.find("CodeSystem", "supplements", split(canonical).0).await?;
            } else if let Some(system) = BigSystem::of_url(split(canonical).0) {
                self.excerpt(system).await?;
            }
        }
        Ok(self.library.code_system(canonical).cloned())
    }

    /// The value set of that canonical, with everything that it is made of.
    pub(super) async fn value_set(&mut self, canonical: &str) -> Result<Arc<ValueSet>, Outcome> {
        self.find_value_set(canonical).await?;
        let found = self.library.value_set(canonical).cloned();
        let found = found.ok_or_else(|| unknown_value_set(canonical))?;
        self.complete(&found).await?;
        Ok(found)
    }

    /// Finds whatever that value set is made of, as far as there is such a thing.
    pub(super) async fn complete(&mut self, value_set: &ValueSet) -> Result<(), Outcome> {
        loop {
            let lacking = self.library.lacking(value_set);
            let before = self.tried.len();
            for canonical in &lacking.value_sets {
                self.find_value_set(canonical).await?;
            }
            // Which part of a big system is needed is known once all value sets are.
            for canonical in lacking.code_systems.iter().filter(|_| lacking.value_sets.is_empty()) {
                let url = split(canonical).0;
                let of_system = |(system, code): &(String, String)| (system == url).then(|| code.clone());
                let asked = self.asked.clone();
                match asked.is_empty() {
                    true => self.roots = lacking.roots.iter().filter_map(of_system).collect(),
                    // Whether a code is below another shows from above it.
                    false => self.roots.clear(),
                }
                self.asked.extend(lacking.codes.iter().filter_map(of_system));
                self.code_system(canonical).await?;
                self.asked = asked;
            }
            if self.tried.len() == before {
                return Ok(());
            }
        }
    }

    /// The questionnaires of that canonical.
    pub(super) async fn questionnaires(&mut self, canonical: &str) -> Result<Vec<Resource>, Outcome> {
        let (url, version) = split(canonical);
        let mut parameters = vec![("url".to_owned(), escaped(url))];
        parameters.extend(version.map(|it| ("version".to_owned(), escaped(it))));
        self.found("Questionnaire", &parameters).await
    }

    /// The concept maps that a search finds.
    pub(super) async fn concept_maps(&mut self, parameter: &str, canonical: &str) -> Result<(), Outcome> {
        self.find("ConceptMap", parameter, canonical).await
    }

    /// Every concept map, up to the most that are looked at.
    pub(super) async fn all_concept_maps(&mut self) -> Result<(), Outcome> {
        self.search("ConceptMap", &[]).await
    }

    /// What is needed of a big system that the tenant imported.
    async fn excerpt(&mut self, system: BigSystem) -> Result<(), Outcome> {
        let (store, tenant, number) = (&self.ctx.app.store, self.ctx.tenant(), system.number());
        let Some(version) = store.imported_system(tenant, number).await? else { return Ok(()) };
        let mut steps =
            store.steps(tenant, Direction::Down, (number, self.roots.clone()), MOST_STEPS).await?;
        let above = [self.asked.as_slice(), &self.roots].concat();
        steps.extend(store.steps(tenant, Direction::Up, (number, above), MOST_STEPS).await?);
        if i64::try_from(steps.len()).is_ok_and(|it| it > MOST_STEPS) {
            return Err(Outcome::too_costly("too much of a big code system is asked for, narrow it down"));
        }
        let mut codes: Vec<String> = [self.asked.as_slice(), &self.roots].concat();
        codes.extend(steps.iter().flat_map(|(child, parent)| [child.clone(), parent.clone()]));
        codes.sort_unstable();
        codes.dedup();
        let concepts = store.concepts(tenant, number, codes).await?.into_iter().map(concept);
        self.library.add_code_system(CodeSystem::excerpt(system.url(), &version, concepts, &steps));
        Ok(())
    }

    async fn find_value_set(&mut self, canonical: &str) -> Result<(), Outcome> {
        if self.library.value_set(canonical).is_some() {
            return Ok(());
        }
        self.find("ValueSet", "url", canonical).await?;
        if self.library.value_set(canonical).is_none()
            && let Some(mut facts) = self.ctx.definitions().value_set(canonical)
        {
            facts.version = split(canonical).1.map(str::to_owned);
            self.library.add_value_set(facts);
        }
        Ok(())
    }

    async fn find(&mut self, of: &'static str, parameter: &str, canonical: &str) -> Result<(), Outcome> {
        if !self.tried.insert((of, format!("{parameter} {canonical}"))) {
            return Ok(());
        }
        if self.tried.len() > MOST {
            return Err(Outcome::too_costly("this needs too many code systems and value sets"));
        }
        let (url, version) = split(canonical);
        let mut parameters = vec![(parameter.to_owned(), escaped(url))];
        parameters.extend(version.map(|it| ("version".to_owned(), escaped(it))));
        self.search(of, &parameters).await
    }

    async fn search(&mut self, of: &str, parameters: &[(String, String)]) -> Result<(), Outcome> {
        for resource in self.found(of, parameters).await? {
            self.library.add(&resource);
        }
        Ok(())
    }

    async fn found(&mut self, of: &str, parameters: &[(String, String)]) -> Result<Vec<Resource>, Outcome> {
        let Some(resource_type) = ResourceType::parse(of) else { return Ok(Vec::new()) };
        let permit = match &self.own {
            Some(own) => own.clone(),
            None => match permission::ask(self.ctx, Permission::Search, &[resource_type]) {
                Ok(permit) => permit,
                Err(_) => return Ok(Vec::new()),
            },
        };
        let base = self.ctx.app.fhir_base();
        let (mut query, _) = plan(&self.ctx.setting(&base), &[resource_type], parameters)?;
        query.count = u32::try_from(MOST).unwrap_or(u32::MAX);
        let (app, tenant) = (&self.ctx.app, self.ctx.tenant());
        let page = app.store.search(tenant, &permit.search(query), self.ctx.verifier()).await?;
        let mut found = Vec::with_capacity(page.matches.len());
        for stored in page.matches {
            self.trail.add(self.ctx, &stored);
            found.push(Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?);
        }
        Ok(found)
    }
}

/// The codes behind what a query asks of terminology: `:in`, `:not-in`, `:above`, `:below`.
///
/// They are definitions, nobody's record, so the trail names them no further than the query does.
pub(super) async fn sets(ctx: &Context, parameters: &Parameters) -> Result<Sets, Outcome> {
    let (mut sets, mut count) = (Sets::new(), 0);
    for need in set::needed(parameters) {
        let codes = match &need {
            Need::ValueSet(canonical) => codes_of(ctx, canonical).await?,
            Need::Below(code) => match around(ctx, (&need, code), CodeSystem::below).await? {
                Some(codes) => codes,
                // Only the planner knows whether the parameter is one of codes at all.
                None => continue,
            },
            Need::Above(code) => match around(ctx, (&need, code), CodeSystem::above).await? {
                Some(codes) => codes,
                None => continue,
            },
        };
        count += codes.len();
        if count > MOST_CODES {
            return Err(too_many_codes());
        }
        sets.insert(need, codes);
    }
    Ok(sets)
}

async fn codes_of(ctx: &Context, canonical: &str) -> Result<Vec<(String, String)>, Outcome> {
    let mut shelf = Shelf::new(ctx, Trail::default());
    let value_set = match Reference::parse(canonical) {
        Some(Reference::Resource { base: None, resource_type, id, .. })
            if resource_type.name() == "ValueSet" =>
        {
            let resource = instance(ctx, &mut shelf.trail, (resource_type, &id)).await;
            let value_set = ValueSet::read(resource.map_err(|_| unknown_value_set(canonical))?.root());
            shelf.complete(&value_set).await?;
            Arc::new(value_set)
        }
        _ => shelf.value_set(canonical).await?,
    };
    let ready = Ready::new(&shelf.library, &value_set)?;
    let members = ready.members(MOST_CODES)?;
    Ok(members.iter().map(|it| (it.system.to_owned(), it.code.to_owned())).collect())
}

/// A code and what stands on one side of it. A code that its system does not have stands alone.
async fn around(
    ctx: &Context,
    (need, coding): (&Need, &str),
    side: impl Fn(&CodeSystem, usize) -> HashSet<usize>,
) -> Result<Option<Vec<(String, String)>>, Outcome> {
    let (url, code) = coding.rsplit_once('|').unwrap_or(("", coding));
    let mut shelf = Shelf::new(ctx, Trail::default());
    match need {
        Need::Below(_) => shelf.roots.push(code.to_owned()),
        _ => shelf.asked.push(code.to_owned()),
    }
    let Some(system) = shelf.code_system(url).await? else { return Ok(None) };
    let mut codes = vec![(url.to_owned(), code.to_owned())];
    let Some(place) = system.place(code) else { return Ok(Some(codes)) };
    let near = side(&system, place);
    if near.len() >= MOST_CODES {
        return Err(too_many_codes());
    }
    let near = near.into_iter().filter_map(|it| system.concepts.get(it));
    codes.extend(near.map(|it| (url.to_owned(), it.code.clone())));
    Ok(Some(codes))
}

fn too_many_codes() -> Outcome {
    Outcome::too_costly(format!("the search comes to more than {MOST_CODES} codes, narrow it down"))
}

/// One resource of the caller's, for an operation on an instance.
pub(super) async fn instance(
    ctx: &Context,
    trail: &mut Trail,
    (resource_type, id): (ResourceType, &crate::fhir::id::ResourceId),
) -> Result<Resource, Outcome> {
    let permit: Permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let narrowing = permit.narrowing().of(resource_type);
    let stored = ctx.app.store.read(ctx.tenant(), resource_type, id, narrowing, permit.classes()).await?;
    let Some(stored) = stored.filter(|it| !it.is_deleted()) else { return Err(Outcome::not_found()) };
    trail.add(ctx, &stored);
    Resource::parse(stored.text, &Limits::ACCEPTED)
}

fn concept(stored: StoredConcept) -> Concept {
    let property = |code: &str, kind: &str, text: &str, json: String| Property {
        code: code.to_owned(),
        kind: kind.to_owned(),
        text: text.to_owned(),
        json,
    };
    let lines = stored.properties.lines().filter_map(|it| it.split_once('\t'));
    let mut properties: Vec<Property> =
        lines.map(|(code, value)| property(code, "valueString", value, quote(value))).collect();
    if stored.active == 0 {
        properties.push(property("inactive", "valueBoolean", "true", "true".to_owned()));
    }
    Concept { code: stored.code, display: stored.display, properties, ..Concept::default() }
}

/// A value as search takes it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, '\\' | ',' | '$' | '|') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

//! Finding code systems, value sets and concept maps: first what the tenant keeps, under the caller's permit,
//! then what comes with the program.
//!
//! A definition that the caller may not see counts as one that is not there.

use super::context::Context;
use super::permission;
use super::record::Trail;
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::plan::plan;
use crate::terminology::code_system::CodeSystem;
use crate::terminology::expand::unknown_value_set;
use crate::terminology::library::{Library, split};
use crate::terminology::value_set::ValueSet;
use std::collections::HashSet;
use std::sync::Arc;

/// The most definitions that one question looks at.
const MOST: usize = 200;

/// The definitions that a question needs, found one after another.
pub(super) struct Shelf<'a> {
    ctx: &'a Context,
    /// What was found.
    pub(super) library: Library,
    /// What the trail is to say of it.
    pub(super) trail: Trail,
    tried: HashSet<(&'static str, String)>,
}

impl<'a> Shelf<'a> {
    /// For a question that is asked of that type: who may not search it may not ask.
    pub(super) fn open(ctx: &'a Context, asked: ResourceType) -> Result<Shelf<'a>, Outcome> {
        let permit = permission::ask(ctx, Permission::Search, &[asked])?;
        let trail = Trail::under(&permit);
        Ok(Shelf { ctx, library: Library::default(), trail, tried: HashSet::new() })
    }

    /// The code system of that canonical.
    pub(super) async fn code_system(&mut self, canonical: &str) -> Result<Option<Arc<CodeSystem>>, Outcome> {
        if self.library.code_system(canonical).is_none() {
            self.find("CodeSystem", "url", canonical).await?;
            if self.library.code_system(canonical).is_some() {
                self.find("CodeSystem", "supplements", split(canonical).0).await?;
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
            for canonical in &lacking.code_systems {
                self.code_system(canonical).await?;
            }
            if self.tried.len() == before {
                return Ok(());
            }
        }
    }

    /// The concept maps that a search finds.
    pub(super) async fn concept_maps(&mut self, parameter: &str, canonical: &str) -> Result<(), Outcome> {
        self.find("ConceptMap", parameter, canonical).await
    }

    /// Every concept map, up to the most that are looked at.
    pub(super) async fn all_concept_maps(&mut self) -> Result<(), Outcome> {
        self.search("ConceptMap", &[]).await
    }

    async fn find_value_set(&mut self, canonical: &str) -> Result<(), Outcome> {
        if self.library.value_set(canonical).is_some() {
            return Ok(());
        }
        self.find("ValueSet", "url", canonical).await?;
        if self.library.value_set(canonical).is_none()
            && let Some(mut facts) = self.ctx.app.definitions.value_set(canonical)
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
        let Some(resource_type) = ResourceType::parse(of) else { return Ok(()) };
        let Ok(permit) = permission::ask(self.ctx, Permission::Search, &[resource_type]) else {
            return Ok(());
        };
        let base = self.ctx.app.fhir_base();
        let (mut query, _) = plan(&self.ctx.setting(&base), &[resource_type], parameters)?;
        query.count = u32::try_from(MOST).unwrap_or(u32::MAX);
        let (app, tenant) = (&self.ctx.app, self.ctx.tenant());
        let page = app.store.search(tenant, &permit.search(query), &app.verifier).await?;
        for stored in page.matches {
            self.trail.add(self.ctx, &stored);
            self.library.add(&Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?);
        }
        Ok(())
    }
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

//! Conditional interactions: which resource is meant is said by a search.
//!
//! <https://hl7.org/fhir/R4/http.html#cond-update>
//!
//! The search is asked under the caller's own permit, within a unit that holds a lock on the criteria, so
//! whoever asks for the same thing at the same time waits and then sees what the other made.

use super::context::Context;
use super::request::Parameters;
use super::{page_link, redact};
use crate::access::permit::Permit;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::plan::plan;
use crate::search::predicate::Predicate;
use crate::search::query::{Handling, Query};
use crate::store::resources::Stored;
use crate::store::unit::Unit;

/// Criteria, understood.
#[derive(Clone)]
pub(super) struct Criteria {
    resource_type: ResourceType,
    query: Query,
}

/// What meets criteria that must single out.
pub(super) enum Found {
    /// Nothing.
    None,
    /// One resource.
    One(Box<Stored>),
}

impl Criteria {
    /// What to lock: the same for everybody who asks for the same thing.
    pub(super) fn lock(&self) -> String {
        let mut parameters = self.query.effective.clone();
        parameters.sort();
        format!("{}?{}", self.resource_type, page_link::encode(&parameters))
    }

    /// Only what also satisfies that.
    pub(super) fn within(mut self, predicate: Predicate) -> Criteria {
        self.query.filter = self.query.filter.and(predicate);
        self
    }

    /// Whether a resource that is not stored yet meets them.
    pub(super) fn are_met_by(&self, ctx: &Context, resource: &Resource) -> bool {
        resource.resource_type() == self.resource_type
            && ctx.verifier().surely_satisfies(resource, &self.query.filter)
    }

    /// So many matches at most.
    pub(super) fn at_most(mut self, count: u32) -> Criteria {
        self.query.count = count;
        self
    }
}

/// Reads criteria. Always strictly: what is not understood must not widen the match.
pub(super) fn query(
    ctx: &Context,
    resource_type: ResourceType,
    parameters: &Parameters,
) -> Result<Criteria, Outcome> {
    let base = ctx.app.fhir_base();
    let mut setting = ctx.setting(&base);
    setting.handling = Handling::Strict;
    let is_result = |name: &str| {
        matches!(name, "_count" | "_sort" | "_include" | "_revinclude" | "_summary" | "_elements" | "_total")
    };
    if parameters.is_empty()
        || parameters.iter().any(|(name, _)| is_result(name.split(':').next().unwrap_or("")))
    {
        return Err(Outcome::invalid("the criteria must be search parameters, and at least one"));
    }
    let (mut query, _) = plan(&setting, &[resource_type], parameters)?;
    query.count = 2;
    Ok(Criteria { resource_type, query })
}

/// The one resource that meets the criteria.
///
/// # Errors
/// There are several: 412.
pub(super) async fn find_one(
    ctx: &Context,
    unit: &mut Unit,
    search: &Permit,
    criteria: &Criteria,
) -> Result<Found, Outcome> {
    let mut found = find(ctx, unit, search, criteria).await?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(Found::None),
        (Some(one), true) => Ok(Found::One(Box::new(one))),
        (Some(_), false) => Err(Outcome::precondition_failed("the criteria match more than one resource")),
    }
}

/// The resources that meet the criteria, as many as were asked for.
pub(super) async fn find(
    ctx: &Context,
    unit: &mut Unit,
    search: &Permit,
    criteria: &Criteria,
) -> Result<Vec<Stored>, Outcome> {
    let query = redact::asked(ctx, search, &criteria.query)?;
    let found = unit.search(&query, ctx.verifier()).await?.matches;
    found.into_iter().map(|it| redact::shown(ctx, search, it)).collect()
}

//! Update: a new version, or a new resource under the client's id.
//!
//! <https://hl7.org/fhir/R4/http.html#update>, `#upsert`, `#cond-update`
//!
//! Whoever says which version they saw (`If-Match`) gets 412 when somebody was faster; whoever does not, wins.

use super::conditional::{self, Found};
use super::context::Context;
use super::create::{New, created};
use super::permission;
use super::prepare::{self, Version};
use super::record::Done;
use super::request::{Instance, Parameters, Target};
use super::response::{Response, Status};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::crypto::random;
use crate::fhir::id::ResourceId;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::search::predicate::Predicate;
use crate::store::error::StoreError;
use crate::store::resources::{Current, DeedKind};
use std::time::Duration;

/// How often a write without a precondition is tried when others are faster.
const ATTEMPTS: u32 = 40;

/// A write failed. Where somebody else was faster and the caller had not said which version must stand, it is
/// worth another attempt, a little later.
///
/// # Errors
/// It is not.
pub(super) async fn before_next_attempt(
    error: StoreError,
    is_strict: bool,
    attempt: u32,
) -> Result<(), Outcome> {
    let is_race = matches!(error, StoreError::Conflict { .. } | StoreError::AlreadyExists { .. });
    if is_race && is_strict {
        let lost = Outcome::precondition_failed("the resource has changed in the meantime, read it again");
        return Err(lost.because(error));
    }
    if !is_race || attempt >= ATTEMPTS {
        return Err(error.into());
    }
    // Spread out, so that those who met once do not meet again.
    let [spread] = random::nonce();
    let milliseconds = u64::from(attempt.min(10)) * u64::from(spread) / 64;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    Ok(())
}

/// What must hold for the update to be done.
#[derive(Clone, Default)]
pub(super) struct Precondition {
    /// The version that must be current: `If-Match`.
    pub(super) if_match: Option<String>,
    /// `If-None-Match: *`: only if there is none yet.
    pub(super) if_none_match_any: bool,
}

impl Precondition {
    /// Whether it holds for what stands now.
    ///
    /// # Errors
    /// It does not: 412.
    pub(super) fn check(&self, current: Option<&Current>) -> Result<(), Outcome> {
        let standing = current.filter(|it| !it.is_deleted);
        if self.if_none_match_any && standing.is_some() {
            return Err(Outcome::precondition_failed("the resource exists already"));
        }
        match (&self.if_match, standing) {
            (None, _) => Ok(()),
            (Some(version), Some(standing)) if *version == standing.version.to_string() => Ok(()),
            (Some(_), _) => {
                Err(Outcome::precondition_failed("this is not the current version, read it again"))
            }
        }
    }

    /// Whether somebody who was faster is a reason to give up.
    fn is_strict(&self) -> bool {
        self.if_match.is_some() || self.if_none_match_any
    }
}

pub(super) async fn run(
    ctx: &Context,
    target: Target,
    resource: Resource,
    precondition: &Precondition,
) -> Result<Done, Outcome> {
    let permit = permission::ask(ctx, Permission::Update, &[target.resource_type()])?;
    if resource.resource_type() != target.resource_type() {
        return Err(Outcome::invalid("the resource is not of the type in the URL").at("resourceType"));
    }
    match target {
        Target::Instance(of) => {
            id_is(&resource, &of.id)?;
            let issues = prepare::validated(ctx, &resource).await?;
            put(ctx, &permit, &of, &resource, precondition, issues).await
        }
        Target::Criteria { parameters, .. } => {
            conditionally(ctx, &permit, &resource, &parameters, precondition).await
        }
    }
}

/// The body must name the resource that the URL names.
pub(super) fn id_is(resource: &Resource, id: &ResourceId) -> Result<(), Outcome> {
    let at = format!("{}.id", resource.resource_type());
    match resource.id() {
        Some(it) if it == id => Ok(()),
        Some(_) => Err(Outcome::invalid("the id is not the one in the URL").at(at)),
        None => Err(Outcome::required("an id is required, the one in the URL").at(at)),
    }
}

async fn put(
    ctx: &Context,
    permit: &Permit,
    of: &Instance,
    resource: &Resource,
    precondition: &Precondition,
    issues: Vec<Issue>,
) -> Result<Done, Outcome> {
    for attempt in 1.. {
        let current = current(ctx, permit, of).await?;
        precondition.check(current.as_ref())?;
        let version = next(of, current.as_ref(), ctx.deed_time());
        let new = New::version(ctx, permit, resource, &version, Kind::Update).await?;
        match ctx.app.store.write(ctx.tenant(), vec![new.deed], vec![new.row]).await {
            Ok(()) => {
                let answer = updated(current.as_ref(), new.about, new.stamped, issues);
                return Ok(Done::recorded(answer));
            }
            Err(error) => before_next_attempt(error, precondition.is_strict(), attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the resource, try again"))
}

/// The version that stands, if the caller may touch it.
///
/// # Errors
/// They may not: the same answer as to somebody who asks for what is not there.
pub(super) async fn current(
    ctx: &Context,
    permit: &Permit,
    of: &Instance,
) -> Result<Option<Current>, Outcome> {
    let resources = [(of.resource_type, of.id.clone())];
    let current = ctx.app.store.current(ctx.tenant(), &resources).await?.into_iter().next().flatten();
    let narrowing = permit.narrowing().of(of.resource_type);
    if current.is_none() {
        permission::may_name(ctx, permit, of.resource_type)?;
    }
    // A deleted one, too: nobody takes over an id that was somebody else's.
    if current.is_some() && *narrowing != Predicate::True {
        let store = &ctx.app.store;
        let seen = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, SealClasses::ALL).await?;
        if seen.is_none() {
            return Err(Outcome::not_found());
        }
    }
    Ok(current)
}

/// The version that follows.
pub(super) fn next<'a>(of: &'a Instance, current: Option<&Current>, at: i64) -> Version<'a> {
    // Time does not go back from one version to the next, whatever the clock does.
    let at = current.map_or(at, |it| at.max(it.last_updated + 1));
    Version { kind: DeedKind::Update, id: &of.id, expected: current.map(|it| it.version), at }
}

/// The answer to an update.
pub(super) fn updated(
    before: Option<&Current>,
    about: super::response::About,
    body: String,
    issues: Vec<Issue>,
) -> Response {
    let is_new = before.is_none_or(|it| it.is_deleted);
    let status = if is_new { Status::Created } else { Status::Ok };
    Response { status, ..created(about, body, issues) }
}

async fn conditionally(
    ctx: &Context,
    permit: &Permit,
    resource: &Resource,
    criteria: &Parameters,
    precondition: &Precondition,
) -> Result<Done, Outcome> {
    let resource_type = resource.resource_type();
    let search = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let issues = prepare::validated(ctx, resource).await?;
    let query = conditional::query(ctx, resource_type, criteria)?;
    let mut unit = ctx.app.store.begin(ctx.tenant(), &[query.lock()]).await?;
    let id = match conditional::find_one(ctx, &mut unit, &search, &query).await? {
        Found::One(existing) if resource.id().is_some_and(|it| *it != existing.id) => {
            return Err(Outcome::invalid("the id is not the one of the resource that matches")
                .at(format!("{resource_type}.id")));
        }
        Found::One(existing) => existing.id,
        // R4: no match, and an id: an upsert under it; no id: a create.
        Found::None => {
            resource.id().cloned().unwrap_or_else(|| ResourceId::from(random::id(ctx.deed_time())))
        }
    };
    let of = Instance { resource_type, id };
    let current = current(ctx, permit, &of).await?;
    precondition.check(current.as_ref())?;
    let new =
        New::version(ctx, permit, resource, &next(&of, current.as_ref(), ctx.deed_time()), Kind::Update)
            .await?;
    unit.write(vec![new.deed], vec![new.row]).await?;
    unit.commit().await?;
    Ok(Done::recorded(updated(current.as_ref(), new.about, new.stamped, issues)))
}

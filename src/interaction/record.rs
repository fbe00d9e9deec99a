//! The last step of the door: what is known of the event goes into the trail, and only then the answer leaves.

use super::consent_decision;
use super::context::Context;
use super::permission::Denial;
use super::request::{HistoryOf, Interaction, Parameters, Target};
use super::response::Response;
use crate::access::permit::Permit;
use crate::access::purpose;
use crate::audit::event::{self, Kind, Occasion};
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::search::extract;
use crate::store::audit_log::{AuditRow, Entity};
use crate::store::resources::Stored;

/// What was done, and what the trail is to say of it.
pub(super) struct Done {
    /// The answer.
    pub(super) response: Response,
    /// What there is to record; nothing where the deed recorded it.
    pub(super) trail: Option<Trail>,
}

/// What an event touched.
#[derive(Default)]
pub(super) struct Trail {
    /// The rule that permitted.
    pub(super) rule: String,
    /// The patients, where they are known by their ids.
    pub(super) patients: Vec<ResourceId>,
    /// The patients, where they are known by the store's numbers.
    pub(super) subjects: Vec<i64>,
    /// Every resource that was touched or returned.
    pub(super) entities: Vec<Entity>,
}

/// What was asked for, as far as it is known before anything was done.
pub(super) struct Asked {
    kind: Kind,
    entity: Option<Entity>,
    detail: Option<String>,
}

impl Done {
    /// The trail has it already.
    pub(super) fn recorded(response: Response) -> Done {
        Done { response, trail: None }
    }
}

impl Trail {
    /// Under that permit, nothing touched yet.
    pub(super) fn under(permit: &Permit) -> Trail {
        Trail { rule: permit.rule().to_owned(), ..Trail::default() }
    }

    /// Adds a resource that is returned.
    pub(super) fn add(&mut self, ctx: &Context, stored: &Stored) {
        self.entities.push(entity(stored.resource_type, &stored.id, Some(stored.version)));
        match stored.subject {
            Some(subject) => self.subjects.push(subject),
            None => self.patients.extend(several_patients(ctx, stored)),
        }
    }
}

/// The patients of a resource that is not one patient's alone.
fn several_patients(ctx: &Context, stored: &Stored) -> Vec<ResourceId> {
    let is_personal = !ctx.definitions().patient_compartment(stored.resource_type).is_empty();
    if !is_personal || stored.is_deleted() {
        return Vec::new();
    }
    match Resource::parse(stored.text.as_bytes(), &Limits::default()) {
        Ok(resource) => extract::index(ctx.definitions(), &ctx.app.fhir_base(), &resource).patients,
        Err(_) => Vec::new(),
    }
}

/// A resource that an event is about.
pub(super) fn entity(resource_type: ResourceType, id: &ResourceId, version: Option<i32>) -> Entity {
    Entity { resource_type, id: id.clone(), version }
}

/// A row of the trail for a deed that is done under a permit.
pub(super) fn row(ctx: &Context, kind: Kind, permit: &Permit) -> AuditRow {
    let mut row = event::row(&occasion(ctx), kind, event::Result::Success, permit.rule());
    if ctx.facts.get().is_ok_and(|facts| !facts.emergencies.is_empty()) {
        row.purpose = Some(purpose::BREAK_GLASS.to_owned());
    }
    row
}

fn occasion(ctx: &Context) -> Occasion<'_> {
    Occasion {
        principal: &ctx.principal,
        request: ctx.request_id,
        network: ctx.network.as_deref(),
        now: ctx.app.clock.now_microseconds(),
    }
}

/// Records what came of it, and gives it out.
pub(super) async fn settle(
    ctx: &Context,
    asked: &Asked,
    result: Result<Done, Outcome>,
) -> Result<Response, Outcome> {
    match result {
        Ok(Done { response, trail: None }) => Ok(response),
        Ok(Done { response, trail: Some(trail) }) => settle_as(ctx, asked, Ok((response, trail))).await,
        Err(outcome) => settle_as(ctx, asked, Err(outcome)).await,
    }
}

/// The same for an answer of any kind.
pub(super) async fn settle_as<T>(
    ctx: &Context,
    asked: &Asked,
    result: Result<(T, Trail), Outcome>,
) -> Result<T, Outcome> {
    let (trail, answer) = match result {
        Ok((answer, trail)) => (trail, Ok(answer)),
        Err(outcome) => (Trail::default(), Err(outcome)),
    };
    let (result, rule) = match &answer {
        Ok(_) => (event::Result::Success, trail.rule.clone()),
        Err(outcome) => failure(outcome),
    };
    let mut row = event::row(&occasion(ctx), asked.kind, result, &rule);
    row.patients = trail.patients;
    row.subjects = trail.subjects;
    row.entities = trail.entities;
    if row.entities.is_empty() {
        row.entities.extend(asked.entity.clone());
    }
    row.detail = asked.detail.clone();
    if ctx.facts.get().is_ok_and(|facts| !facts.emergencies.is_empty()) {
        row.purpose = Some(purpose::BREAK_GLASS.to_owned());
    }
    if answer.as_ref().is_err_and(is_not_found)
        && let Some(entity) = &asked.entity
    {
        consent_decision::note(ctx, entity, &mut row).await;
    }
    let disclosure = answer.is_ok().then(|| disclosure(ctx, asked.kind, &row)).flatten();
    let rows = [Some(row), disclosure].into_iter().flatten().collect();
    match ctx.app.store.append_audit(ctx.tenant(), rows).await {
        Ok(()) => answer,
        // No trail, no answer, whatever it was.
        Err(error) => Err(error.into()),
    }
}

/// The disclosure that a look is: persons' data went out for a purpose that must be accounted for.
fn disclosure(ctx: &Context, kind: Kind, row: &AuditRow) -> Option<AuditRow> {
    let looks = [Kind::Read, Kind::Vread, Kind::History, Kind::Search, Kind::Operation].contains(&kind);
    let is_personal = !(row.patients.is_empty() && row.subjects.is_empty());
    let purpose = ctx.facts.get().ok()?.purpose.clone()?;
    (looks && is_personal && purpose::is_accounted_for(&purpose)).then(|| AuditRow {
        kind: Kind::Disclosure.code(),
        action: Kind::Disclosure.action(),
        purpose: Some(purpose.to_string()),
        ..row.clone()
    })
}

fn is_not_found(outcome: &Outcome) -> bool {
    outcome.worst().is_some_and(|it| it.code == IssueType::NotFound)
}

fn failure(outcome: &Outcome) -> (event::Result, String) {
    if let Some(Denial(rule)) = outcome.cause().and_then(|cause| cause.downcast_ref::<Denial>()) {
        return (event::Result::MinorFailure, (*rule).to_owned());
    }
    let code = outcome.worst().map_or(IssueType::Exception, |issue| issue.code);
    let result = match code {
        IssueType::Exception | IssueType::Transient | IssueType::NoStore => event::Result::SeriousFailure,
        _ => event::Result::MinorFailure,
    };
    (result, code.code().to_owned())
}

impl Asked {
    /// An event of that kind: what it is about, and what of it may hold personal data.
    pub(super) fn for_kind(kind: Kind, entity: Option<Entity>, detail: Option<String>) -> Asked {
        Asked { kind, entity, detail }
    }

    /// What an interaction asks for.
    pub(super) fn of(interaction: &Interaction) -> Asked {
        let (kind, entity, detail) = match interaction {
            Interaction::Capabilities { .. } => (Kind::Operation, None, None),
            Interaction::Read { of, parameters } => {
                (Kind::Read, Some(entity(of.resource_type, &of.id, None)), shown(parameters))
            }
            Interaction::Vread { of, version, parameters } => {
                (Kind::Vread, Some(entity(of.resource_type, &of.id, version.parse().ok())), shown(parameters))
            }
            Interaction::Create { if_none_exist, .. } => {
                (Kind::Create, None, if_none_exist.as_ref().and_then(shown))
            }
            Interaction::Update { target, .. } => (Kind::Update, of_target(target), detail_of(target)),
            Interaction::Patch { target, .. } => (Kind::Patch, of_target(target), detail_of(target)),
            Interaction::Delete { target, .. } => (Kind::Delete, of_target(target), detail_of(target)),
            Interaction::History { of, parameters } => match of {
                HistoryOf::Instance(of) => {
                    (Kind::History, Some(entity(of.resource_type, &of.id, None)), shown(parameters))
                }
                HistoryOf::Type(of) => {
                    (Kind::History, None, Some(query(&format!("{of}/_history"), parameters)))
                }
                HistoryOf::System => (Kind::History, None, Some(query("_history", parameters))),
            },
            Interaction::Search { resource_type, compartment, parameters } => {
                let place = match (compartment, resource_type) {
                    (Some(of), Some(it)) => format!("{}/{}/{it}", of.resource_type, of.id),
                    (Some(of), None) => format!("{}/{}/*", of.resource_type, of.id),
                    (None, Some(it)) => it.to_string(),
                    (None, None) => String::new(),
                };
                (Kind::Search, None, Some(query(&place, parameters)))
            }
            Interaction::Bundle { .. } => (Kind::Bundle, None, None),
            Interaction::Operation(operation) => {
                let entity = operation
                    .resource_type
                    .zip(operation.id.as_ref())
                    .map(|(resource_type, id)| entity(resource_type, id, None));
                let place = format!("${}", operation.name);
                (Kind::Operation, entity, Some(query(&place, &operation.parameters)))
            }
        };
        Asked { kind, entity, detail }
    }
}

fn of_target(target: &Target) -> Option<Entity> {
    match target {
        Target::Instance(of) => Some(entity(of.resource_type, &of.id, None)),
        Target::Criteria { .. } => None,
    }
}

fn detail_of(target: &Target) -> Option<String> {
    match target {
        Target::Instance(_) => None,
        Target::Criteria { resource_type, parameters } => Some(query(resource_type.name(), parameters)),
    }
}

fn shown(parameters: &Parameters) -> Option<String> {
    if parameters.is_empty() { None } else { Some(query("", parameters)) }
}

/// A query as the trail keeps it, sealed.
fn query(place: &str, parameters: &Parameters) -> String {
    format!("{place}?{}", super::page_link::encode(parameters))
}

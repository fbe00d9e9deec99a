//! Transaction: all entries, or none.
//!
//! <https://hl7.org/fhir/R4/http.html#trules>
//!
//! Everything is read, resolved, validated and sealed first; then all is written at once. Only what must be
//! looked up holds a database transaction open: conditional entries and references, patches, questions.

use super::entry::{self, Asked, located};
use super::resolve::{self, Links, Permits, Resolved, permission_of};
use super::{entry_of, response, rewrite};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::conformance::validate::beside::Beside;
use crate::fhir::bundle::{Entry, Method};
use crate::fhir::outcome::{Issue, Outcome, Severity};
use crate::fhir::resource::Resource;
use crate::interaction::conditional::Criteria;
use crate::interaction::context::Context;
use crate::interaction::create::New;
use crate::interaction::prepare::Version;
use crate::interaction::record::Done;
use crate::interaction::request::{Instance, Interaction};
use crate::interaction::response::{About, Response, Status};
use crate::interaction::update::{Precondition, id_is, next, updated};
use crate::interaction::{beside, delete, patch, permission, prepare, read, record, redact, search};
use crate::search::plan::plan;
use crate::search::predicate::Predicate;
use crate::store::audit_log::AuditRow;
use crate::store::error::StoreError;
use crate::store::resources::{Current, Deed, DeedKind, Stored};
use crate::store::unit::Unit;
use std::collections::{HashMap, HashSet};

/// How often a transaction is done anew when others were faster.
const ATTEMPTS: u32 = 4;
/// After so many entries the thread is offered to others.
const STRETCH: usize = 32;

pub(super) async fn run(ctx: &Context, bundle: &Resource) -> Result<Done, Outcome> {
    for attempt in 1.. {
        match once(ctx, bundle).await {
            Err(Failure::Store(error)) if is_race(&error) && attempt < ATTEMPTS => {}
            Err(Failure::Store(error)) => return Err(error.into()),
            Err(Failure::Refused(outcome)) => return Err(outcome),
            Ok(entries) => {
                return Ok(Done::recorded(response(ctx, "transaction-response", entries)));
            }
        }
    }
    Err(Outcome::conflict("others keep changing the resources, try again"))
}

/// Why it was not done.
enum Failure {
    Refused(Outcome),
    Store(StoreError),
}

impl From<Outcome> for Failure {
    fn from(outcome: Outcome) -> Failure {
        Failure::Refused(outcome)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

fn is_race(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict { .. } | StoreError::AlreadyExists { .. })
}

/// An entry, and what it came to.
struct Planned {
    asked: Asked,
    resolved: Resolved,
}

impl Planned {
    /// What is written as it was sent, and where.
    fn written(&self) -> Option<(&Instance, &Resource)> {
        match (&self.resolved, &self.asked.resource) {
            (Resolved::Write(of), Some(resource)) if self.asked.method != Method::Patch => {
                Some((of, resource))
            }
            _ => None,
        }
    }
}

async fn once(ctx: &Context, bundle: &Resource) -> Result<Vec<Entry>, Failure> {
    let (asked, criteria) = read_all(ctx, bundle)?;
    let mut permits = Permits::default();
    for it in asked.iter().filter(|it| !matches!(it.method, Method::Get | Method::Head)) {
        let resource_type = match it.method {
            Method::Post => it.created_type()?,
            _ => it.target()?.resource_type(),
        };
        permits
            .get(ctx, permission_of(it.method), resource_type)
            .map_err(|outcome| located(outcome, it.place))?;
    }
    let references = references(ctx, &asked)?;
    let beside = beside::for_write(ctx, asked.iter().filter_map(|it| it.resource.as_ref())).await?;
    let mut unit = unit(ctx, &asked, &criteria, &references).await?;
    let mut links = Links::default();
    let mut planned = Vec::with_capacity(asked.len());
    for (asked, criteria) in asked.into_iter().zip(&criteria) {
        let resolved = resolve::resolve(ctx, &mut permits, unit.as_mut(), &asked, criteria.as_ref())
            .await
            .map_err(|outcome| located(outcome, asked.place))?;
        match &resolved {
            Resolved::Write(of) => links.add(&asked, of),
            Resolved::Existing(stored) => {
                let of = Instance { resource_type: stored.resource_type, id: stored.id.clone() };
                links.add(&asked, &of);
            }
            Resolved::Delete(_) | Resolved::Question => {}
        }
        planned.push(Planned { asked, resolved });
    }
    let written: Vec<_> = planned.iter().filter_map(Planned::written).collect();
    for (place, reference) in references {
        if let Some(unit) = unit.as_mut() {
            let found = resolve::reference(ctx, (&mut permits, unit), &reference, &written).await;
            links.add_conditional(reference, found.map_err(|outcome| located(outcome, place))?);
        }
    }
    each_once(&planned)?;
    let standing = standing(ctx, &mut permits, unit.as_mut(), &planned).await?;
    let at = ctx.deed_time();
    let mut work = Work { ctx, at, permits, links, standing, beside, deeds: Vec::new(), trail: Vec::new() };
    let mut answers = work.prepare(&mut planned).await?;
    let Work { mut permits, deeds, trail, .. } = work;
    match unit.as_mut() {
        None => ctx.app.store.write(ctx.tenant(), deeds, trail).await?,
        Some(unit) => unit.write(deeds, trail).await?,
    }
    if let Some(mut unit) = unit {
        for it in planned {
            if matches!(it.resolved, Resolved::Question) {
                let place = it.asked.place;
                let answer = ask(ctx, &mut permits, &mut unit, it.asked).await;
                let answer = answer.map_err(|outcome| located(outcome, place))?;
                if let Some(slot) = answers.get_mut(place) {
                    *slot = Some(answer);
                }
            }
        }
        unit.commit().await?;
    }
    Ok(answers.into_iter().flatten().collect())
}

/// Every entry with its criteria; all that is wrong at once.
fn read_all(ctx: &Context, bundle: &Resource) -> Result<(Vec<Asked>, Vec<Option<Criteria>>), Outcome> {
    let base = ctx.app.fhir_base();
    let entries = bundle.root().get("entry");
    let mut issues: Vec<Issue> = Vec::new();
    let (mut all, mut criteria) = (Vec::new(), Vec::new());
    for (place, node) in entries.into_iter().flat_map(|it| it.items()).enumerate() {
        let read = entry::read(&base, place, node).and_then(|asked| {
            let is_odd = asked.is_operation() && !matches!(asked.method, Method::Get);
            if is_odd || asked.is_post_search() {
                let at = format!("Bundle.entry[{place}].request.url");
                return Err(Outcome::not_supported("this is not possible in a transaction").at(at));
            }
            let criteria = resolve::criteria(ctx, &asked)?;
            check(&asked)?;
            Ok((asked, criteria))
        });
        match read {
            Ok((asked, of)) => {
                all.push(asked);
                criteria.push(of);
            }
            Err(outcome) => issues.extend(outcome.issues().iter().cloned()),
        }
    }
    match Outcome::from_issues(issues) {
        Some(outcome) => Err(outcome),
        None => Ok((all, criteria)),
    }
}

/// The resource is there where one is needed, and of the type that the URL names.
fn check(asked: &Asked) -> Result<(), Outcome> {
    let at = |name: &str| format!("Bundle.entry[{}].resource{name}", asked.place);
    let needed = match asked.method {
        Method::Post => Some(asked.created_type()?),
        Method::Put => Some(asked.target()?.resource_type()),
        _ => None,
    };
    let Some(needed) = needed else { return Ok(()) };
    match &asked.resource {
        None => Err(Outcome::required("a resource is required").at(at(""))),
        Some(resource) if resource.resource_type() != needed => {
            let at = at(".resourceType");
            Err(Outcome::invalid("the resource is not of the type in the url").at(at))
        }
        Some(_) => Ok(()),
    }
}

/// Every conditional reference, each once, with the place of an entry that holds it.
fn references(ctx: &Context, asked: &[Asked]) -> Result<Vec<(usize, String)>, Outcome> {
    let mut seen = HashSet::new();
    let mut references = Vec::new();
    for it in asked {
        let resource = it.resource.as_ref().filter(|_| it.method != Method::Patch);
        let found = resource.map(|it| rewrite::conditional_references(&ctx.definitions().types, it));
        for reference in found.into_iter().flatten() {
            if seen.insert(reference.clone()) {
                references.push((it.place, reference));
            }
        }
    }
    Ok(references)
}

/// A unit that holds a lock on all criteria, where anything must be looked up.
async fn unit(
    ctx: &Context,
    asked: &[Asked],
    criteria: &[Option<Criteria>],
    references: &[(usize, String)],
) -> Result<Option<Unit>, Failure> {
    let has_questions =
        asked.iter().any(|it| matches!(it.method, Method::Get | Method::Head | Method::Patch));
    let locks: Vec<String> = criteria.iter().flatten().map(Criteria::lock).collect();
    if locks.is_empty() && references.is_empty() && !has_questions {
        return Ok(None);
    }
    Ok(Some(ctx.app.store.begin(ctx.tenant(), &locks).await?))
}

/// R4: "the same resource cannot appear more than once".
fn each_once(planned: &[Planned]) -> Result<(), Outcome> {
    let mut seen = HashSet::new();
    for it in planned {
        let written: Vec<&Instance> = match &it.resolved {
            Resolved::Write(of) => vec![of],
            Resolved::Delete(all) => all.iter().collect(),
            _ => vec![],
        };
        for of in written {
            if !seen.insert((of.resource_type, of.id.clone())) {
                let at = format!("Bundle.entry[{}]", it.asked.place);
                return Err(Outcome::invalid("a transaction names a resource twice").at(at));
            }
        }
    }
    Ok(())
}

/// What stands of the resources that are to be changed.
async fn standing(
    ctx: &Context,
    permits: &mut Permits,
    unit: Option<&mut Unit>,
    planned: &[Planned],
) -> Result<HashMap<Instance, Stands>, Failure> {
    let mut changed = Vec::new();
    for it in planned {
        match &it.resolved {
            Resolved::Write(of) if it.asked.method != Method::Post => changed.push((it, of)),
            Resolved::Delete(all) => changed.extend(all.iter().map(|of| (it, of))),
            _ => {}
        }
    }
    if changed.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<_> = changed.iter().map(|(_, of)| (of.resource_type, of.id.clone())).collect();
    let current = match unit {
        Some(unit) => unit.current(&names).await?,
        None => ctx.app.store.current(ctx.tenant(), &names).await?,
    };
    let mut standing = HashMap::new();
    for ((it, of), current) in changed.into_iter().zip(current) {
        let Some(current) = current else {
            let permit = permits.get(ctx, permission_of(it.asked.method), of.resource_type)?;
            if it.asked.method == Method::Put {
                let named = permission::may_name(ctx, &permit, of.resource_type);
                named.map_err(|outcome| located(outcome, it.asked.place))?;
            }
            continue;
        };
        let method = it.asked.method;
        let permit = permits.get(ctx, permission_of(method), of.resource_type)?;
        let narrowing = match method {
            Method::Patch => patch::narrowing(ctx, &permit, of.resource_type)?,
            _ => permit.narrowing().of(of.resource_type).clone(),
        };
        // The content is looked at where it matters: who may touch it, what is patched, whose it was.
        let is_narrow = narrowing != Predicate::True;
        let is_needed = is_narrow || (method != Method::Put && !current.is_deleted);
        let stored = match is_needed {
            false => None,
            true => {
                let store = &ctx.app.store;
                let classes = permit.classes();
                let seen = store.read(ctx.tenant(), of.resource_type, &of.id, &narrowing, classes).await?;
                match (seen, method) {
                    // Not there for the caller: a deletion has nothing to do, a change has no target.
                    (None, Method::Delete) => continue,
                    (None, _) => return Err(located(Outcome::not_found(), it.asked.place).into()),
                    (Some(stored), _) => {
                        Some(redact::shown(ctx, &permit, stored)?).filter(|it| !it.is_deleted())
                    }
                }
            }
        };
        standing.insert(of.clone(), Stands { current, stored });
    }
    Ok(standing)
}

/// A resource as it stands.
struct Stands {
    current: Current,
    stored: Option<Stored>,
}

/// Everything on the way from entries to deeds.
struct Work<'c> {
    ctx: &'c Context,
    /// When all of it is done: no question as of some time finds half a transaction.
    at: i64,
    permits: Permits,
    links: Links,
    standing: HashMap<Instance, Stands>,
    /// What answers are compared with.
    beside: Beside,
    deeds: Vec<Deed>,
    trail: Vec<AuditRow>,
}

impl Work<'_> {
    /// Rewrites, validates, stamps, indexes and seals everything; all that is wrong at once.
    async fn prepare(&mut self, planned: &mut [Planned]) -> Result<Vec<Option<Entry>>, Failure> {
        let mut answers = Vec::with_capacity(planned.len());
        let mut issues: Vec<Issue> = Vec::new();
        for (count, it) in planned.iter_mut().enumerate() {
            if count % STRETCH == STRETCH - 1 {
                tokio::task::yield_now().await;
            }
            match self.one(it).await {
                Ok(answer) => answers.push(answer),
                Err(outcome) => {
                    let outcome = located(outcome, it.asked.place);
                    if outcome.cause().is_some() {
                        // A refusal keeps its reason for the trail.
                        return Err(outcome.into());
                    }
                    issues.extend(outcome.issues().iter().cloned());
                }
            }
        }
        match Outcome::from_issues(issues) {
            Some(outcome) => Err(outcome.into()),
            None => Ok(answers),
        }
    }

    async fn one(&mut self, it: &mut Planned) -> Result<Option<Entry>, Outcome> {
        match &it.resolved {
            Resolved::Question => Ok(None),
            Resolved::Existing(stored) => {
                let answer = Response {
                    status: Status::Ok,
                    body: Some(stored.text.clone()),
                    about: Some(read::about(stored)),
                    issues: Vec::new(),
                };
                Ok(Some(entry_of(self.ctx, answer, self.ctx.wants_representation)))
            }
            Resolved::Delete(all) => {
                let all = all.clone();
                self.delete(&it.asked, &all).map(Some)
            }
            Resolved::Write(of) => {
                let of = of.clone();
                self.write(&mut it.asked, &of).await.map(Some)
            }
        }
    }

    fn delete(&mut self, asked: &Asked, all: &[Instance]) -> Result<Entry, Outcome> {
        let precondition = precondition(asked);
        for of in all {
            let stands = self.standing.get(of);
            precondition.check(stands.map(|it| &it.current))?;
            let Some(stored) = stands.and_then(|it| it.stored.as_ref()) else { continue };
            let permit = self.permits.get(self.ctx, Permission::Delete, of.resource_type)?;
            let (deed, row) = delete::deletion(self.ctx, &permit, stored, self.at);
            self.deeds.push(deed);
            self.record(row);
        }
        let answer = Response { status: Status::NoContent, body: None, about: None, issues: Vec::new() };
        Ok(entry_of(self.ctx, answer, false))
    }

    async fn write(&mut self, asked: &mut Asked, of: &Instance) -> Result<Entry, Outcome> {
        let ctx = self.ctx;
        let permit = self.permits.get(ctx, permission_of(asked.method), of.resource_type)?;
        let stands = self.standing.get(of);
        let current = stands.map(|it| it.current);
        let (resource, kind) = match asked.method {
            Method::Patch => {
                let patch = asked.patch()?;
                match stands.and_then(|it| it.stored.as_ref()) {
                    Some(stored) => (patch::apply(ctx, stored, &patch)?, Kind::Patch),
                    None => return Err(Outcome::not_found()),
                }
            }
            method => {
                let resource = asked.resource.take();
                let resource = resource.ok_or_else(|| Outcome::required("a resource is required"))?;
                let full_url = asked.full_url.clone();
                let resolve = |it: &str| self.links.resolve(full_url.as_deref(), it);
                let resource = rewrite::rewrite(&ctx.definitions().types, resource, &resolve)?;
                (resource, if method == Method::Post { Kind::Create } else { Kind::Update })
            }
        };
        precondition(asked).check(current.as_ref())?;
        if kind == Kind::Update && (resource.id().is_some() || !asked.url.contains('?')) {
            id_is(&resource, &of.id)?;
        }
        let issues = match asked.method {
            // What a patch makes of a resource is known only now.
            Method::Patch => prepare::validated(ctx, &resource).await?,
            _ => prepare::validated_beside(ctx, &resource, &self.beside).await?,
        };
        let warnings: Vec<Issue> = issues.into_iter().filter(|it| it.severity >= Severity::Warning).collect();
        let version = match kind {
            Kind::Create => Version { kind: DeedKind::Create, id: &of.id, expected: None, at: self.at },
            _ => next(of, current.as_ref(), self.at),
        };
        let New { deed, row, about, stamped } = New::version(ctx, &permit, &resource, &version, kind).await?;
        self.deeds.push(deed);
        self.record(row);
        Ok(self.answer(current.as_ref(), about, stamped, warnings))
    }

    fn answer(&self, current: Option<&Current>, about: About, body: String, issues: Vec<Issue>) -> Entry {
        entry_of(self.ctx, updated(current, about, body, issues), self.ctx.wants_representation)
    }

    /// One row of the trail for each kind of deed: it names every resource and patient.
    fn record(&mut self, row: AuditRow) {
        match self.trail.iter_mut().find(|it| it.kind == row.kind && it.rule == row.rule) {
            None => self.trail.push(row),
            Some(same) => {
                same.entities.extend(row.entities);
                same.subjects.extend(row.subjects);
                for patient in row.patients {
                    if !same.patients.contains(&patient) {
                        same.patients.push(patient);
                    }
                }
            }
        }
    }
}

fn precondition(asked: &Asked) -> Precondition {
    Precondition {
        if_match: asked.if_match.clone(),
        if_none_match_any: asked.if_none_match.as_deref() == Some("*"),
    }
}

/// A read or a search that sees what the transaction has written.
async fn ask(ctx: &Context, permits: &mut Permits, unit: &mut Unit, asked: Asked) -> Result<Entry, Outcome> {
    let place = asked.place;
    let wants_body = asked.method == Method::Get;
    let (resource_type, compartment, parameters, is_read) = match asked.search_or_read()? {
        Interaction::Read { of, parameters } => {
            let id = ("_id".to_owned(), of.id.to_string());
            let kept = parameters.into_iter().filter(|(name, _)| name == "_elements" || name == "_summary");
            (of.resource_type, None, [id].into_iter().chain(kept).collect(), true)
        }
        Interaction::Search { resource_type: Some(resource_type), compartment, parameters } => {
            (resource_type, compartment, parameters, false)
        }
        _ => {
            let at = format!("Bundle.entry[{place}].request.url");
            return Err(
                Outcome::not_supported("in a transaction only reads and searches can be asked").at(at)
            );
        }
    };
    let needed = if is_read { Permission::Read } else { Permission::Search };
    let permit: Permit = permits.get(ctx, needed, resource_type)?;
    let base = ctx.app.fhir_base();
    let (mut query, issues) = plan(&ctx.setting(&base), &[resource_type], &parameters)?;
    if let Some(of) = &compartment {
        query.filter = query.filter.and(search::within(ctx, of, &[resource_type])?);
    }
    let page = unit.search(&redact::asked(ctx, &permit, &query)?, ctx.verifier()).await?;
    let mut trail = record::Trail::under(&permit);
    for it in page.matches.iter().chain(&page.included) {
        trail.add(ctx, it);
    }
    let kind = if is_read { Kind::Read } else { Kind::Search };
    let mut row = record::row(ctx, kind, &permit);
    row.patients = trail.patients;
    row.subjects = trail.subjects;
    row.entities = trail.entities;
    unit.write(Vec::new(), vec![row]).await?;
    if is_read {
        let stored = page.matches.into_iter().next().ok_or_else(Outcome::not_found)?;
        let about = Some(read::about(&stored));
        let answer = Response { status: Status::Ok, body: Some(stored.text), about, issues: Vec::new() };
        return Ok(entry_of(ctx, answer, wants_body));
    }
    let done = search::answer(ctx, &permit, resource_type.name(), &query, page, &issues).await?;
    Ok(entry_of(ctx, done.response, wants_body))
}

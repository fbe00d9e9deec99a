//! Finding events: the search parameters of AuditEvent, asked of the trail.
//!
//! <https://hl7.org/fhir/R4/auditevent.html#search>
//!
//! The trail is not among the resources: it has columns, and is read newest first, page by page. What the
//! database cannot decide is decided on each row, a bounded number of them for each page: a page may then be
//! short, and the next goes on from where it stopped. A patient reads the events about themself, whoever made
//! them.

use crate::access::permit::Permit;
use crate::audit::balp;
use crate::audit::find::criteria::Criteria;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::outcome::{Issue, Outcome};
use crate::search::predicate::Predicate;
use crate::store::Store;
use crate::store::audit_events::{AuditEvent, AuditFilter};

pub mod criteria;

/// As many rows are looked at for one page.
const LOOKED_AT: usize = 20_000;
/// As many rows are read at once, where rows must be looked at.
const TOGETHER: u32 = 1000;

/// As many events are counted at most, where the database alone decides.
const COUNTED: u32 = 1_000_000;

/// Whose trail, and where.
#[derive(Clone, Copy)]
pub struct Trail<'a> {
    /// Where it is kept.
    pub store: &'a Store,
    /// The FHIR base of this server, without a closing slash.
    pub base: &'a str,
    /// Whose it is.
    pub tenant: TenantId,
}

/// An event to show.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    /// Its id.
    pub id: ResourceId,
    /// The AuditEvent, as JSON.
    pub text: String,
    /// The patients it is about, for the event of showing it.
    pub patients: Vec<ResourceId>,
}

/// A page of events, newest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// The events.
    pub events: Vec<Shown>,
    /// Where the next page begins, if there may be one: `after` for the next call.
    pub next: Option<i64>,
    /// What was left out of the query, in lenient handling.
    pub issues: Vec<Issue>,
}

/// How much, and from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paging {
    /// As many events at most.
    pub count: u32,
    /// The `next` of the page before.
    pub after: Option<i64>,
    /// Whether parameters that are not understood are left out instead of refused.
    pub is_lenient: bool,
}

/// Searches the trail, as far as the permit opens AuditEvent. Parameters of paging and form (`_count`, `_summary` …) are
/// the caller's.
///
/// # Errors
/// A parameter is not understood, or the database fails.
pub async fn search(
    trail: Trail<'_>,
    permit: &Permit,
    parameters: &[(String, String)],
    paging: Paging,
) -> Result<Page, Outcome> {
    let (criteria, issues) = Criteria::read(trail.base, parameters, paging.is_lenient)?;
    let page = Page { issues, ..Page::default() };
    match bounds(permit).and_then(|patient| criteria.within(patient)) {
        Some(criteria) => fill(trail, &criteria, paging, page).await,
        None => Ok(page),
    }
}

/// How many events a search finds, as far as the permit opens AuditEvent; nothing where there are more than can
/// be counted for one request.
///
/// # Errors
/// A parameter is not understood, or the database fails.
pub async fn count(
    trail: Trail<'_>,
    permit: &Permit,
    parameters: &[(String, String)],
    is_lenient: bool,
) -> Result<Option<u64>, Outcome> {
    let (criteria, _) = Criteria::read(trail.base, parameters, is_lenient)?;
    let Some(criteria) = bounds(permit).and_then(|patient| criteria.within(patient)) else {
        return Ok(Some(0));
    };
    let Trail { store, tenant, .. } = trail;
    if criteria.is_exact() {
        let count = store.count_audit_events(tenant, criteria.filter(), COUNTED + 1).await?;
        return Ok(Some(count).filter(|it| *it <= u64::from(COUNTED)));
    }
    let (mut count, mut looked_at, mut before) = (0_u64, 0, None);
    while looked_at < LOOKED_AT {
        let filter = AuditFilter { before, count: TOGETHER, ..criteria.filter().clone() };
        let rows = store.audit_events(tenant, &filter).await?;
        looked_at += rows.len();
        count += rows.iter().map(|row| u64::from(criteria.holds(row))).sum::<u64>();
        before = rows.last().map(|row| row.id);
        if rows.len() < usize::try_from(TOGETHER).unwrap_or(usize::MAX) {
            return Ok(Some(count));
        }
    }
    Ok(None)
}

/// One event, as far as the permit opens AuditEvent.
///
/// # Errors
/// There is none that may be seen, or the database fails.
pub async fn read(trail: Trail<'_>, permit: &Permit, id: &ResourceId) -> Result<Shown, Outcome> {
    let parameters = [("_id".to_owned(), id.to_string())];
    let paging = Paging { count: 1, after: None, is_lenient: false };
    let page = search(trail, permit, &parameters, paging).await?;
    page.events.into_iter().next().ok_or_else(Outcome::not_found)
}

/// What the permit opens of the trail: nothing, everything (no patient), or what is about one patient.
///
/// A permit with any other condition opens nothing: the trail cannot ask it.
fn bounds(permit: &Permit) -> Option<Option<ResourceId>> {
    let audit_event = ResourceType::parse("AuditEvent")?;
    match permit.narrowing().of(audit_event) {
        Predicate::True => Some(None),
        Predicate::Compartment(patient) => Some(Some(patient.clone())),
        _ => None,
    }
}

async fn fill(
    trail: Trail<'_>,
    criteria: &Criteria,
    paging: Paging,
    mut page: Page,
) -> Result<Page, Outcome> {
    let Trail { store, base, tenant } = trail;
    let count = usize::try_from(paging.count).unwrap_or(usize::MAX);
    let mut before = paging.after;
    let mut found: Vec<AuditEvent> = Vec::new();
    let mut looked_at = 0;
    // One more than the page holds tells whether there is another.
    let together = if criteria.is_exact() { paging.count.saturating_add(1) } else { TOGETHER };
    while found.len() <= count && looked_at < LOOKED_AT {
        let filter = AuditFilter { before, count: together, ..criteria.filter().clone() };
        let rows = store.audit_events(tenant, &filter).await?;
        let is_last = rows.len() < usize::try_from(together).unwrap_or(usize::MAX);
        looked_at += rows.len();
        before = rows.last().map_or(before, |row| Some(row.id));
        found.extend(rows.into_iter().filter(|row| criteria.holds(row)));
        if is_last {
            before = None;
            break;
        }
    }
    page.next = if found.len() > count {
        found.truncate(count);
        found.last().map(|last| last.id).or(paging.after)
    } else {
        before
    };
    let subjects: Vec<i64> = found.iter().flat_map(|event| event.row.subjects.iter().copied()).collect();
    let names = store.patients_of_subjects(tenant, &subjects).await?;
    for event in &found {
        let Some(id) = ResourceId::parse(&event.id.to_string()) else { continue };
        let patients: Vec<ResourceId> =
            event.row.subjects.iter().filter_map(|subject| names.get(subject).cloned()).collect();
        page.events.push(Shown { id, text: balp::render(base, event, &patients), patients });
    }
    Ok(page)
}

//! Which driver: the one that is expected to look at the fewest rows.
//!
//! A walk looks at as many rows as it takes to fill the page, if conditions do not depend on each other. As
//! they may, it has a budget; where that ends before the page is full, the page is collected.

use crate::fhir::id::TenantId;
use crate::search::index::{Key, KeyKind};
use crate::search::predicate::Predicate;
use crate::search::range::Comparator;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::search::asked::{Asked, Conjunct};
use crate::store::search::driver::{Chain, Driver, Plan, with_long};
use crate::store::search::estimate::{self, Remembered};
use crate::store::sql::Sql;
use crate::store::tables::table;
use crate::store::{hot, logical_id, search_index};
use diesel_async::AsyncPgConnection;

/// What to try: a plan that may come back short, and one that does not.
pub(super) struct Choice {
    pub(super) first: Plan,
    /// Where the first gave up.
    pub(super) otherwise: Option<Plan>,
}

/// Drivers that bring at least what satisfies a condition.
struct Found {
    drivers: Vec<Driver>,
    has_duplicates: bool,
    /// They bring nothing else.
    is_exact: bool,
    /// So little that there is nothing to choose.
    is_small: bool,
    /// How many rows come of one of those that are estimated.
    fan_out: f64,
}

/// Rows that a walk looks at, at least, before it gives up.
const LEAST_BUDGET: f64 = 2_000.0;
/// How often a walk may be worse than expected.
const PATIENCE: f64 = 8.0;
/// What it costs to follow a chain from one row, in rows.
const CHAIN: f64 = 20.0;
/// The part of all rows that satisfies what cannot be estimated.
const UNKNOWN: f64 = 0.3;
/// Keys with more rows than this do not help to find what has several keys.
const FREQUENT: f64 = 50_000.0;

/// Chooses.
pub(super) async fn choose(
    store: &Store,
    connection: &AsyncPgConnection,
    asked: &Asked<'_>,
) -> Result<Choice, StoreError> {
    let mut found: Vec<(usize, Found)> = Vec::new();
    for (place, conjunct) in asked.conjuncts.iter().enumerate() {
        found.extend(drivers_of(asked, conjunct, &conjunct.predicate).map(|it| (place, it)));
    }
    let named =
        found.iter().position(|(_, it)| it.is_small && matches!(it.drivers.as_slice(), [Driver::Ids(_)]));
    let small = || found.iter().position(|(_, it)| it.is_small);
    if let Some(place) = named.or_else(|| small().filter(|_| !may_be_smaller(asked, &found))) {
        let (conjunct, it) = found.swap_remove(place);
        return Ok(Choice { first: it.into_plan(asked, conjunct), otherwise: None });
    }
    let is_walkable = asked.order.is_by_row() || asked.order.by_date().is_some();
    if found.len() == 1
        && !is_walkable
        && let Some((conjunct, it)) = found.pop()
    {
        return Ok(Choice { first: it.into_plan(asked, conjunct), otherwise: None });
    }
    if found.is_empty() {
        let first = if is_walkable { Plan::walk(asked, None) } else { Plan::of_everything() };
        return Ok(Choice { first, otherwise: None });
    }
    let sizes = estimate(store, connection, asked, &found).await?;
    Ok(weigh(asked, found, &sizes, is_walkable))
}

/// Whether there is anything that may bring fewer rows than one patient has.
fn may_be_smaller(asked: &Asked<'_>, found: &[(usize, Found)]) -> bool {
    found.iter().any(|(place, it)| {
        let of = asked.conjuncts.get(*place).map(|it| &it.predicate);
        let is_of_patient = matches!(of, Some(Predicate::Key(key)) if key.kind == KeyKind::Reference
            && key.value.starts_with("Patient/"));
        let is_date = matches!(of, Some(Predicate::Date { .. } | Predicate::LastUpdated(_)));
        !it.is_small && !is_of_patient && !is_date
    })
}

/// The rows of the table, and those that each brings.
struct Sizes {
    table: f64,
    found: Vec<f64>,
}

async fn estimate(
    store: &Store,
    connection: &AsyncPgConnection,
    asked: &Asked<'_>,
    found: &[(usize, Found)],
) -> Result<Sizes, StoreError> {
    let mut all = Sql::new("explain select from ");
    all.push(&table(asked.resource_type)).push(" where tenant = ").bind(asked.keys.tenant());
    let mut questions = vec![(Remembered::Table, all.uncached())];
    let mut counts = Vec::with_capacity(found.len());
    for (_, it) in found {
        for driver in &it.drivers {
            let remembered = match driver {
                Driver::Keys(hashes) => {
                    hashes.first().map_or(Remembered::Question, |it| Remembered::Key(*it))
                }
                Driver::FurtherCode(hash, _) => Remembered::Key(*hash),
                _ => Remembered::Question,
            };
            questions.push((remembered, driver.estimated(asked)?));
        }
        counts.push(it.drivers.len());
    }
    let of = (TenantId(asked.keys.tenant()), asked.resource_type);
    let mut rows = estimate::rows(store, connection, of, questions).await?.into_iter();
    let table = rows.next().unwrap_or(1.0).max(1.0);
    let sum =
        |(count, (_, it)): (usize, &(usize, Found))| rows.by_ref().take(count).sum::<f64>() * it.fan_out;
    Ok(Sizes { table, found: counts.into_iter().zip(found).map(sum).collect() })
}

fn weigh(asked: &Asked<'_>, mut found: Vec<(usize, Found)>, sizes: &Sizes, is_walkable: bool) -> Choice {
    let share = |place: usize| {
        let known = found.iter().position(|(it, _)| *it == place).and_then(|it| sizes.found.get(it));
        known.map_or(UNKNOWN, |rows| (rows / sizes.table).clamp(1.0 / sizes.table, 1.0))
    };
    let places = 0..asked.conjuncts.len();
    let all: f64 = places.clone().map(share).product();
    let price = |decided: Option<usize>| {
        let rest = asked.conjuncts.iter().enumerate().filter(|(place, _)| decided != Some(*place));
        1.0 + CHAIN * f64::from(u8::from(rest.into_iter().any(|(_, it)| it.predicate.is_chained())))
    };
    let wanted = f64::from(u32::try_from(asked.count).unwrap_or(u32::MAX));
    // The best collection, or walk within one condition.
    let mut best = (f64::INFINITY, 0, 0);
    for (at, (conjunct, it)) in found.iter().enumerate() {
        let rows = sizes.found.get(at).copied().unwrap_or(sizes.table);
        let looked_at = match it.can_walk(asked) {
            true => (wanted / all * share(*conjunct)).min(rows),
            false => 2.0 * rows,
        };
        let cost = looked_at * price(it.is_exact.then_some(*conjunct));
        if cost < best.0 {
            best = (cost, at, *conjunct);
        }
    }
    let expected = (wanted / all).min(sizes.table);
    let (cost, at, conjunct) = best;
    let others = keys_beside(&found, sizes, at);
    let mut collected = found.swap_remove(at).1.into_plan(asked, conjunct);
    if let [Driver::Keys(hashes)] = collected.drivers.as_mut_slice() {
        hashes.extend(others);
    }
    if !is_walkable || cost <= expected * price(None) {
        return Choice { first: collected, otherwise: None };
    }
    let budget = (PATIENCE * expected).max(LEAST_BUDGET);
    if budget >= sizes.table {
        return Choice { first: Plan::walk(asked, None), otherwise: None };
    }
    Choice { first: Plan::walk(asked, Some(whole(budget))), otherwise: Some(collected) }
}

/// The other keys that are rare enough to be looked up with this one.
fn keys_beside(found: &[(usize, Found)], sizes: &Sizes, at: usize) -> Vec<i64> {
    let mut others = Vec::new();
    for (place, ((_, it), rows)) in found.iter().zip(&sizes.found).enumerate() {
        if let ([Driver::Keys(hashes)], true) = (it.drivers.as_slice(), place != at && *rows < FREQUENT) {
            others.extend(hashes);
        }
    }
    others
}

#[expect(clippy::cast_possible_truncation, reason = "a positive number of rows, far below 2^53")]
fn whole(rows: f64) -> i64 {
    rows.ceil() as i64
}

impl Found {
    fn can_walk(&self, asked: &Asked<'_>) -> bool {
        asked.order.by_date().is_some() && self.drivers.iter().any(Driver::can_walk)
    }

    fn into_plan(self, asked: &Asked<'_>, conjunct: usize) -> Plan {
        Plan {
            is_walk: self.can_walk(asked),
            has_duplicates: self.has_duplicates,
            decided: self.is_exact.then_some(conjunct),
            drivers: self.drivers,
            budget: None,
        }
    }

    fn exact(driver: Driver) -> Found {
        Found { drivers: vec![driver], has_duplicates: false, is_exact: true, is_small: false, fan_out: 1.0 }
    }
}

/// What brings the rows that satisfy a condition; nothing where no index does.
fn drivers_of(asked: &Asked<'_>, conjunct: &Conjunct, predicate: &Predicate) -> Option<Found> {
    let compiler = asked.compiler(conjunct.origin);
    let resource_type = asked.resource_type;
    match predicate {
        Predicate::Key(key) => Some(drivers_of_key(asked, conjunct, key)),
        Predicate::Compartment(patient) => {
            let hash = search_index::patient(asked.keys, patient);
            let drivers = vec![Driver::Patient(hash), Driver::SeveralPatients(hash)];
            Some(Found { drivers, is_small: true, ..Found::exact(Driver::Rows) })
        }
        Predicate::Id(ids) => {
            let ids = ids.iter().map(|id| logical_id::stored(asked.keys, id).0).collect();
            Some(Found { is_small: true, ..Found::exact(Driver::Ids(ids)) })
        }
        Predicate::Date { test, .. } if test.comparator == Comparator::NotEqual => None,
        Predicate::Date { parameter, .. } if hot::date(resource_type) == Some(parameter) => {
            let drivers = with_long(asked, vec![Driver::DateRange]);
            Some(Found { drivers, is_exact: false, ..Found::exact(Driver::Rows) })
        }
        Predicate::Date { parameter, test } => {
            let keys = compiler.posting(resource_type, parameter, None);
            Some(Found::exact(Driver::PostedDates(keys, *test)))
        }
        Predicate::Number { test, .. } if test.comparator == Comparator::NotEqual => None,
        Predicate::Number { parameter, .. } if hot::quantity(resource_type) == Some(parameter) => None,
        Predicate::Number { parameter, unit, test } => {
            let keys = compiler.posting(resource_type, parameter, unit.as_deref());
            Some(Found::exact(Driver::PostedNumbers(keys, *test)))
        }
        Predicate::LastUpdated(test) if test.comparator != Comparator::NotEqual => {
            // What has changed since may have been like that at an earlier time.
            Some(Found { is_exact: false, ..Found::exact(Driver::Updated(*test)) })
        }
        Predicate::References { parameter, target, inner } => {
            let (parameter, inner) = (parameter.clone(), Predicate::clone(inner));
            let chain = Chain { parameter, there: *target, inner, origin: conjunct.origin };
            let found = Found::exact(Driver::Referring(chain));
            Some(Found { has_duplicates: true, fan_out: CHAIN, ..found })
        }
        Predicate::ReferencedBy { source, parameter, inner } => {
            let (parameter, inner) = (parameter.clone(), Predicate::clone(inner));
            let chain = Chain { parameter, there: *source, inner, origin: conjunct.origin };
            Some(Found { has_duplicates: true, ..Found::exact(Driver::Referred(chain)) })
        }
        Predicate::Any(parts) => drivers_of_any(asked, conjunct, parts),
        Predicate::All(parts) => {
            let mut found: Vec<Found> =
                parts.iter().filter_map(|it| drivers_of(asked, conjunct, it)).collect();
            found.sort_by_key(|it| (!it.is_small, it.drivers.len()));
            found.into_iter().next().map(|it| Found { is_exact: false, ..it })
        }
        _ => None,
    }
}

fn drivers_of_key(asked: &Asked<'_>, conjunct: &Conjunct, key: &Key) -> Found {
    let compiler = asked.compiler(conjunct.origin);
    let hashes = compiler.hashes(asked.resource_type, key);
    let is_clinical = key.kind == KeyKind::Token && hot::code(asked.resource_type) == Some(&*key.parameter);
    let is_ordered = asked.order.by_date().is_some()
        || asked.date_tests().next().is_some()
        || asked.quantity_tests().any(|(has_unit, _)| has_unit);
    if is_clinical && is_ordered {
        let further = compiler.further(asked.resource_type, key);
        let mut drivers: Vec<Driver> = hashes.iter().map(|it| Driver::Code(*it)).collect();
        drivers.extend(further.into_iter().map(|it| Driver::FurtherCode(it, hashes.clone())));
        return Found { drivers: with_long(asked, drivers), ..Found::exact(Driver::Rows) };
    }
    match hashes.as_slice() {
        [only] => Found::exact(Driver::Keys(vec![*only])),
        _ => Found { has_duplicates: true, ..Found::exact(Driver::AnyKey(hashes)) },
    }
}

fn drivers_of_any(asked: &Asked<'_>, conjunct: &Conjunct, parts: &[Predicate]) -> Option<Found> {
    let mut any = Found { drivers: Vec::new(), is_small: true, ..Found::exact(Driver::Rows) };
    let mut hashes = Vec::new();
    for part in parts {
        if let Predicate::Key(key) = part {
            hashes.extend(asked.compiler(conjunct.origin).hashes(asked.resource_type, key));
            continue;
        }
        let found = drivers_of(asked, conjunct, part)?;
        any.is_exact &= found.is_exact;
        any.is_small &= found.is_small;
        any.fan_out = any.fan_out.max(found.fan_out);
        any.drivers.extend(found.drivers);
    }
    if !hashes.is_empty() {
        any.is_small = false;
        any.drivers.push(Driver::AnyKey(hashes));
    }
    any.has_duplicates = true;
    (!any.drivers.is_empty()).then_some(any)
}

//! From what a resource can be found by to what its row holds: keyed hashes, hot columns, ordered values.
//!
//! Every equality key becomes one 64-bit hash in `keys`. A type's clinical date, its clinical code and its
//! one value with a unit have columns of their own, which drive the common questions:
//! * `date_low`, `date_high`: the clinical date. Several entries become their hull.
//! * `code`: the first coding of the clinical code, hashed like its key in `keys`. The further codings stand
//!   in `keys` under a second hash ([`further_code`]), so that a question driven by the column can add those
//!   rows, which are few.
//! * `quantity_low`, `quantity_high`, `unit`: the value in its canonical unit, and the unit's hash;
//!   `number_low`, `number_high`: the bare number as it stands.
//! * `patient`: the patient, if there is one alone. Where there are several, all stand in `keys`.
//!
//! The other dates and numbers are rows of `_dates` and `_numbers`, under the hash of parameter and unit.

use crate::crypto::blind::BlindKeys;
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::index::{Index, Key, KeyKind, RangeEntry};
use crate::store::hot;

/// What a row holds so that it can be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entries {
    pub(super) patient: Option<i64>,
    pub(super) date: Option<(i64, i64)>,
    pub(super) code: Option<i64>,
    pub(super) quantity: Option<(f64, f64)>,
    pub(super) unit: Option<i64>,
    pub(super) number: Option<(f64, f64)>,
    pub(super) keys: Vec<i64>,
    pub(super) dates: Vec<Posting<i64>>,
    pub(super) numbers: Vec<Posting<f64>>,
}

/// A value in an ordered table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Posting<T> {
    pub(super) key: i64,
    pub(super) low: T,
    pub(super) high: T,
}

/// The hash of an equality key.
pub(super) fn key(blind: &BlindKeys, resource_type: ResourceType, key: &Key) -> i64 {
    blind.key(resource_type.name(), &key.parameter, key.kind.name(), &key.value)
}

/// The second hash of a clinical code that is not the first coding.
pub(super) fn further_code(blind: &BlindKeys, resource_type: ResourceType, key: &Key) -> i64 {
    blind.key(resource_type.name(), &key.parameter, "further", &key.value)
}

/// The hash under which ordered values of a parameter stand.
pub(super) fn posting(
    blind: &BlindKeys,
    resource_type: ResourceType,
    parameter: &str,
    unit: Option<&str>,
) -> i64 {
    blind.key(resource_type.name(), parameter, "range", unit.unwrap_or_default())
}

/// The hash of a unit, for the column `unit`.
pub(super) fn unit(blind: &BlindKeys, resource_type: ResourceType, parameter: &str, unit: &str) -> i64 {
    blind.key(resource_type.name(), parameter, "unit", unit)
}

/// The number of a patient, in the column `patient` and, for one of several, in `keys`.
pub(super) fn patient(keys: &TenantKeys, patient: &ResourceId) -> i64 {
    keys.subject_of_patient(patient.as_str())
}

/// What the row of that resource holds.
pub(super) fn entries(keys: &TenantKeys, resource_type: ResourceType, index: &Index) -> Entries {
    let mut entries = Entries::default();
    match index.patients.as_slice() {
        [only] => entries.patient = Some(patient(keys, only)),
        several => entries.keys.extend(several.iter().map(|it| patient(keys, it))),
    }
    let Some(blind) = keys.blind().first() else { return entries };
    add_keys(&mut entries, blind, resource_type, index);
    add_dates(&mut entries, blind, resource_type, &index.dates);
    add_numbers(&mut entries, blind, resource_type, &index.numbers);
    // In one order, so that an update that changes nothing here writes nothing here.
    entries.keys.sort_unstable();
    entries.keys.dedup();
    sort(&mut entries.dates);
    sort(&mut entries.numbers);
    entries
}

fn add_keys(entries: &mut Entries, blind: &BlindKeys, resource_type: ResourceType, index: &Index) {
    entries.keys.reserve_exact(index.keys.len());
    let clinical = hot::code(resource_type);
    for group in index.keys.chunk_by(|one, other| one.parameter == other.parameter) {
        let Some(parameter) = group.first().map(|it| &it.parameter) else { continue };
        let hashes = blind.parameter(resource_type.name(), parameter);
        let is_clinical = clinical == Some(&**parameter);
        for it in group {
            let hash = hashes.key(it.kind.name(), &it.value);
            entries.keys.push(hash);
            if !is_clinical || it.kind != KeyKind::Token {
                continue;
            }
            match entries.code {
                None => entries.code = Some(hash),
                Some(_) => entries.keys.push(further_code(blind, resource_type, it)),
            }
        }
    }
}

fn add_dates(
    entries: &mut Entries,
    blind: &BlindKeys,
    resource_type: ResourceType,
    dates: &[RangeEntry<i64>],
) {
    let clinical = hot::date(resource_type);
    for it in dates {
        if clinical == Some(&*it.parameter) {
            let (low, high) = entries.date.unwrap_or((it.low, it.high));
            entries.date = Some((low.min(it.low), high.max(it.high)));
        } else {
            let key = posting(blind, resource_type, &it.parameter, it.unit.as_deref());
            entries.dates.push(Posting { key, low: it.low, high: it.high });
        }
    }
}

fn add_numbers(
    entries: &mut Entries,
    blind: &BlindKeys,
    resource_type: ResourceType,
    numbers: &[RangeEntry<f64>],
) {
    let value = hot::quantity(resource_type);
    for it in numbers {
        let is_value = value == Some(&*it.parameter);
        match (&it.unit, is_value) {
            (Some(canonical), true) if entries.quantity.is_none() => {
                entries.quantity = Some((it.low, it.high));
                entries.unit = Some(unit(blind, resource_type, &it.parameter, canonical));
            }
            (None, true) if entries.number.is_none() => entries.number = Some((it.low, it.high)),
            _ => {
                let key = posting(blind, resource_type, &it.parameter, it.unit.as_deref());
                entries.numbers.push(Posting { key, low: it.low, high: it.high });
            }
        }
    }
}

fn sort<T: PartialOrd + Copy>(postings: &mut Vec<Posting<T>>) {
    let place = |it: &Posting<T>| (it.key, it.low, it.high);
    postings.sort_by(|one, other| place(one).partial_cmp(&place(other)).unwrap_or(std::cmp::Ordering::Equal));
    postings.dedup_by(|one, other| place(one) == place(other));
}

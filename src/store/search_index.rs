//! From what a resource can be found by to what its row holds: keyed hashes, hot columns, ordered values.
//!
//! Every equality key becomes one 64-bit hash in `keys`. A type's clinical date, its clinical code and its
//! one value with a unit have columns of their own, which drive the common questions:
//! * `date_low`, `date_high`: the clinical date. Several entries become their hull.
//! * `code`: the first coding of the clinical code, hashed like its key in `keys`. The further codings stand
//!   in `keys` under a second hash ([`further_code`]), so that a question driven by the column can add those
//!   rows, which are few.
//! * `quantity_low`, `quantity_high`, `unit`: the value in its canonical unit, and the unit's hash;
//!   `number_low`, `number_high`: the bare number as it stands. R4 allows one value, so there is one unit.
//! * `patient`: the patient, if there is one alone. Where there are several, all stand in `keys`.
//!
//! * `reference`: the resource's own reference, hashed.
//!
//! The other dates and numbers are rows of `_dates` and `_numbers`, under the hash of parameter and unit.
//!
//! # Decision 2026-11-24
//! The key of a reference is the hash of its target, exclusive-or a salt of type and parameter. So SQL can make
//! the keys of whatever refers to a row from its column `reference`, and a chain is a join. With a hash of its
//! own for each parameter, every chain would have to bring its inner matches to the server first: a second
//! round trip, and a limit on their number. Whoever holds the database alone can thereby tell which resource
//! refers to which, but not what they are; the skeletons of bodies show that anyway, unless all is sealed.

use crate::crypto::blind::BlindKeys;
use crate::crypto::key_ring::TenantKeys;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::search::index::{Index, Key, KeyKind, RangeEntry};
use crate::store::hot;

/// What a row holds so that it can be found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entries {
    pub(super) reference: i64,
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
pub(super) fn key(keys: &TenantKeys, blind: &BlindKeys, resource_type: ResourceType, key: &Key) -> i64 {
    match referred(key) {
        Some((target, id)) => reference(keys, target, id) ^ salt(blind, resource_type, &key.parameter),
        None => blind.key(resource_type.name(), &key.parameter, key.kind.name(), &key.value),
    }
}

/// The hash of a resource's own reference: the column `reference`.
pub(super) fn reference(keys: &TenantKeys, resource_type: ResourceType, id: &str) -> i64 {
    if resource_type.name() == "Patient" {
        return keys.subject_of_patient(id);
    }
    let hash = keys.name(resource_type.name(), id.as_bytes());
    hash.first_chunk().map_or(0, |first| i64::from_be_bytes(*first))
}

/// What makes of the hash of a reference the key of that reference under a parameter.
pub(super) fn salt(blind: &BlindKeys, resource_type: ResourceType, parameter: &str) -> i64 {
    blind.key(resource_type.name(), parameter, KeyKind::Reference.name(), "")
}

/// The type and id of a key that is a reference to no particular version.
fn referred(key: &Key) -> Option<(ResourceType, &str)> {
    if key.kind != KeyKind::Reference {
        return None;
    }
    let (name, id) = key.value.split_once('/')?;
    (!id.contains('/')).then_some((ResourceType::parse(name)?, id))
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
pub(super) fn entries(
    keys: &TenantKeys,
    resource_type: ResourceType,
    id: &ResourceId,
    index: &Index,
) -> Entries {
    let mut entries =
        Entries { reference: reference(keys, resource_type, id.as_str()), ..Entries::default() };
    if !hot::is_target(resource_type) && resource_type.name() != "Patient" {
        entries.keys.push(entries.reference);
    }
    match index.patients.as_slice() {
        [only] => entries.patient = Some(patient(keys, only)),
        several => entries.keys.extend(several.iter().map(|it| patient(keys, it))),
    }
    let Some(blind) = keys.blind().first() else { return entries };
    add_keys(&mut entries, keys, blind, resource_type, index);
    add_dates(&mut entries, blind, resource_type, &index.dates);
    add_numbers(&mut entries, blind, resource_type, &index.numbers);
    // In one order, so that an update that changes nothing here writes nothing here.
    entries.keys.sort_unstable();
    entries.keys.dedup();
    sort(&mut entries.dates);
    sort(&mut entries.numbers);
    entries
}

fn add_keys(
    entries: &mut Entries,
    keys: &TenantKeys,
    blind: &BlindKeys,
    resource_type: ResourceType,
    index: &Index,
) {
    entries.keys.reserve_exact(index.keys.len());
    let clinical = hot::code(resource_type);
    for group in index.keys.chunk_by(|one, other| one.parameter == other.parameter) {
        let Some(parameter) = group.first().map(|it| &it.parameter) else { continue };
        let hashes = blind.parameter(resource_type.name(), parameter);
        let is_clinical = clinical == Some(&**parameter);
        for it in group {
            let hash = match referred(it) {
                Some((target, id)) => reference(keys, target, id) ^ hashes.key(KeyKind::Reference.name(), ""),
                None => hashes.key(it.kind.name(), &it.value),
            };
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
            (None, true) => {
                let (low, high) = entries.number.unwrap_or((it.low, it.high));
                entries.number = Some((low.min(it.low), high.max(it.high)));
            }
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

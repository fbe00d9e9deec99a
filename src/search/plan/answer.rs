//! What the index can say of a searched value: from a test to a predicate.
//!
//! The predicate is exact where the index is; elsewhere it is as narrow as the index allows, together with
//! the test itself.

use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceId;
use crate::search::criterion::{Criterion, Test};
use crate::search::extract::string::LONGEST_PREFIX;
use crate::search::index::{Key, KeyKind};
use crate::search::normal::{first, trigrams};
use crate::search::parameters::{Parameter, TypeParameters};
use crate::search::predicate::Predicate;
use crate::search::range::{Comparator, RangeTest};
use crate::search::sealed_date;
use std::sync::Arc;

/// The predicate that a value of the parameter passes the test.
pub(super) fn predicate(parameters: &TypeParameters, parameter: &Parameter, test: &Test) -> Predicate {
    let verify = || verify(parameter, test);
    let under_each = |of_owner: &dyn Fn(&Parameter) -> Predicate| {
        Predicate::any(parameters.owners(parameter).map(of_owner))
    };
    match test {
        Test::Key(kind, value) => {
            let narrowed = under_each(&|owner| Predicate::Key(Key::new(owner.code(), *kind, value.clone())));
            if is_shared(parameters, parameter) && parameter.target.is_some() && *kind != KeyKind::Reference {
                // Others' references stand there too, and this key does not say to what type.
                return narrowed.and(verify());
            }
            match compartment_of(parameters, parameter, *kind, value) {
                Some(patient) => Predicate::Compartment(patient).and(narrowed),
                None => narrowed,
            }
        }
        Test::StartsWith(text) => {
            let (prefix, is_all) = first(text, usize::from(LONGEST_PREFIX));
            let length = u8::try_from(prefix.chars().count()).unwrap_or(LONGEST_PREFIX);
            let narrowed =
                under_each(&|owner| Predicate::Key(Key::new(owner.code(), KeyKind::Prefix(length), prefix)));
            if is_all { narrowed } else { narrowed.and(verify()) }
        }
        Test::Equals(text) => {
            let (prefix, _) = first(text, usize::from(LONGEST_PREFIX));
            predicate(parameters, parameter, &Test::StartsWith(prefix.into())).and(verify())
        }
        Test::Contains(text) | Test::EndsWith(text) => {
            under_each(&|owner| with_trigrams(owner, text)).and(verify())
        }
        Test::Text(text) => {
            let (beginning, _) = first(text, 3);
            let is_long = beginning.chars().count() == 3;
            let narrowed = under_each(&|owner| match is_long {
                true => Predicate::Key(Key::new(owner.code(), KeyKind::Text, beginning)),
                false => Predicate::True,
            });
            narrowed.and(verify())
        }
        Test::Date(range) => under_each(&|owner| date(parameter, owner, range)),
        Test::Number { .. } if parameter.definition.is_sealed => verify(),
        Test::Number { unit, test } => under_each(&|owner| number(owner, unit.clone(), *test)),
        Test::Unit { test, .. } => {
            if parameter.definition.is_sealed {
                return verify();
            }
            under_each(&|owner| number(owner, None, *test)).and(verify())
        }
        Test::Near { latitude, longitude, metres } => {
            under_each(&|owner| around(owner, *latitude, *longitude, *metres)).and(verify())
        }
        Test::Words(words) if &**parameter.code() == "_text" => {
            let key = |kind, text: &str| Predicate::Key(Key::new(parameter.code(), kind, text));
            let all = Predicate::all(words.iter().map(|word| key(KeyKind::Word, word)));
            Predicate::any([all, key(KeyKind::Overflow, "")]).and(verify())
        }
        Test::Words(_) | Test::Not(_) => verify(),
        Test::Any(tests) => Predicate::any(tests.iter().map(|it| predicate(parameters, parameter, it))),
        Test::Composite(tests) => composite(parameters, parameter, tests, verify),
    }
}

fn verify(parameter: &Parameter, test: &Test) -> Predicate {
    Predicate::Verify(Arc::new(Criterion { parameter: parameter.code().clone(), test: test.clone() }))
}

fn is_shared(parameters: &TypeParameters, parameter: &Parameter) -> bool {
    parameters.owners(parameter).any(|owner| owner.code() != parameter.code())
}

/// The patient in whose compartment everything is that refers to them by that parameter. To say so changes nothing
/// in what matches, and lets an index serve that has it in the order of time.
fn compartment_of(
    parameters: &TypeParameters,
    parameter: &Parameter,
    kind: KeyKind,
    value: &str,
) -> Option<ResourceId> {
    let patient = value.strip_prefix("Patient/").filter(|_| kind == KeyKind::Reference)?;
    let is_within = |owner: &usize| parameters.in_compartment.contains(owner);
    // A reference to one version of a patient does not parse as an id, and stays as it is.
    parameter.asked.iter().all(is_within).then(|| ResourceId::parse(patient)).flatten()
}

fn with_trigrams(owner: &Parameter, text: &str) -> Predicate {
    let has_any = trigrams(text).next().is_some();
    if !owner.has_trigrams() || !has_any {
        return Predicate::True;
    }
    let key = |kind, value: &str| Predicate::Key(Key::new(owner.code(), kind, value));
    let all = Predicate::all(trigrams(text).map(|it| key(KeyKind::Trigram, it)));
    Predicate::any([all, key(KeyKind::Overflow, "")])
}

fn date(parameter: &Parameter, owner: &Parameter, range: &RangeTest<i64>) -> Predicate {
    if !owner.definition.is_sealed {
        return Predicate::Date { parameter: owner.code().clone(), test: *range };
    }
    let cover = sealed_date::cover(range, owner.has_single_dates());
    let keys = |keys: Vec<(KeyKind, String)>| {
        Predicate::any(
            keys.into_iter().map(|(kind, text)| Predicate::Key(Key::new(owner.code(), kind, text))),
        )
    };
    let maybe = match keys(cover.maybe) {
        Predicate::False => Predicate::False,
        maybe => maybe.and(verify(parameter, &Test::Date(*range))),
    };
    Predicate::any([keys(cover.sure), maybe])
}

fn number(owner: &Parameter, unit: Option<Arc<str>>, test: RangeTest<f64>) -> Predicate {
    Predicate::Number { parameter: owner.code().clone(), unit, test }
}

/// A box of latitudes and longitudes around a circle.
fn around(owner: &Parameter, latitude: f64, longitude: f64, metres: f64) -> Predicate {
    const METRES_PER_DEGREE: f64 = 111_000.0;
    let within = |unit: &str, low: f64, high: f64| {
        number(owner, Some(unit.into()), RangeTest { comparator: Comparator::Equal, low, high })
    };
    let height = metres / METRES_PER_DEGREE;
    let latitudes = within("latitude", latitude - height, latitude + height);
    let farthest = (latitude.abs() + height).min(90.0);
    let width = height / farthest.to_radians().cos().max(1e-9);
    if width >= 180.0 || farthest >= 89.9 {
        return latitudes;
    }
    let (west, east) = (longitude - width, longitude + width);
    // The circle may cross the antimeridian.
    let longitudes = [(west, east), (west + 360.0, 180.0), (-180.0, east - 360.0)];
    let longitudes =
        longitudes.into_iter().filter(|(from, to)| from <= to && *from <= 180.0 && *to >= -180.0);
    latitudes.and(Predicate::any(longitudes.map(|(from, to)| within("longitude", from, to))))
}

fn composite(
    parameters: &TypeParameters,
    parameter: &Parameter,
    tests: &[Test],
    verify: impl Fn() -> Predicate,
) -> Predicate {
    let Some(composite) = &parameter.composite else { return Predicate::False };
    let parts = composite
        .parts
        .iter()
        .zip(tests)
        .filter_map(|((place, _), test)| Some(predicate(parameters, parameters.list.get(*place)?, test)));
    let all = Predicate::all(parts);
    if composite.is_plain { all } else { all.and(verify()) }
}

/// Whether the parameter can be missing: a composite or a position has parts, and no presence of its own.
pub(super) fn can_be_missing(parameter: &Parameter) -> bool {
    !matches!(parameter.kind(), SearchParameterKind::Composite | SearchParameterKind::Special)
}

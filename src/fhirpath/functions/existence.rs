//! Is there any, are all. <http://hl7.org/fhirpath/N1/#existence>

use super::{Given, Table, count};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Evaluator, Items, Result, boolean, one};
use crate::fhirpath::value::{Item, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Empty,
    Exists,
    All,
    AllTrue,
    AnyTrue,
    AllFalse,
    AnyFalse,
    SubsetOf,
    SupersetOf,
    Count,
    Distinct,
    IsDistinct,
    Not,
}

pub(super) const TABLE: &Table<Name> = &[
    ("empty", Name::Empty, 0, 0),
    ("exists", Name::Exists, 0, 1),
    ("all", Name::All, 1, 1),
    ("allTrue", Name::AllTrue, 0, 0),
    ("anyTrue", Name::AnyTrue, 0, 0),
    ("allFalse", Name::AllFalse, 0, 0),
    ("anyFalse", Name::AnyFalse, 0, 0),
    ("subsetOf", Name::SubsetOf, 1, 1),
    ("supersetOf", Name::SupersetOf, 1, 1),
    ("count", Name::Count, 0, 0),
    ("distinct", Name::Distinct, 0, 0),
    ("isDistinct", Name::IsDistinct, 0, 0),
    ("not", Name::Not, 0, 0),
];

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let on = given.on;
    Ok(match name {
        Name::Empty => boolean(focus.is_empty()),
        Name::Exists if !given.has(0) => boolean(!focus.is_empty()),
        Name::Exists => {
            for (index, item) in focus.iter().enumerate() {
                if given.holds(0, item, index)? {
                    return Ok(boolean(true));
                }
            }
            boolean(false)
        }
        Name::All => {
            for (index, item) in focus.iter().enumerate() {
                if !given.holds(0, item, index)? {
                    return Ok(boolean(false));
                }
            }
            boolean(true)
        }
        Name::AllTrue => boolean(booleans(on, &focus)?.iter().all(|it| *it)),
        Name::AnyTrue => boolean(booleans(on, &focus)?.iter().any(|it| *it)),
        Name::AllFalse => boolean(booleans(on, &focus)?.iter().all(|it| !*it)),
        Name::AnyFalse => boolean(booleans(on, &focus)?.iter().any(|it| !*it)),
        Name::SubsetOf => boolean(is_subset(on, &focus, &given.argument(0)?)?),
        Name::SupersetOf => boolean(is_subset(on, &given.argument(0)?, &focus)?),
        Name::Count => one(count(focus.len())),
        Name::Distinct => on.distinct(focus.into_iter())?,
        Name::IsDistinct => {
            let all = focus.len();
            boolean(on.distinct(focus.into_iter())?.len() == all)
        }
        Name::Not => on.condition(&focus)?.map_or_else(Items::new, |it| boolean(!it)),
    })
}

fn booleans(on: &Evaluator<'_, '_>, items: &[Item<'_>]) -> Result<Vec<bool>> {
    let boolean = |item: &Item<'_>| match item.value(on.env.types) {
        Some(Value::Boolean(it)) => Ok(it),
        _ => Err(EvaluationError::Operand),
    };
    items.iter().map(boolean).collect()
}

fn is_subset<'a>(on: &Evaluator<'_, 'a>, part: &[Item<'a>], whole: &[Item<'a>]) -> Result<bool> {
    for item in part {
        if !on.is_in(item, whole)? {
            return Ok(false);
        }
    }
    Ok(true)
}

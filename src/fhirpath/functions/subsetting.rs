//! Parts of a collection, and collections put together.
//! <http://hl7.org/fhirpath/N1/#subsetting>, `#combining`

use super::{Given, Table};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Items, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Single,
    First,
    Last,
    Tail,
    Skip,
    Take,
    Intersect,
    Exclude,
    Union,
    Combine,
}

pub(super) const TABLE: &Table<Name> = &[
    ("single", Name::Single, 0, 0),
    ("first", Name::First, 0, 0),
    ("last", Name::Last, 0, 0),
    ("tail", Name::Tail, 0, 0),
    ("skip", Name::Skip, 1, 1),
    ("take", Name::Take, 1, 1),
    ("intersect", Name::Intersect, 1, 1),
    ("exclude", Name::Exclude, 1, 1),
    ("union", Name::Union, 1, 1),
    ("combine", Name::Combine, 1, 2),
];

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let on = given.on;
    let number = || -> Result<usize> {
        let number = given.integer(0)?.ok_or(EvaluationError::Argument)?;
        Ok(usize::try_from(number).unwrap_or(0))
    };
    Ok(match name {
        Name::Single if focus.len() > 1 => return Err(EvaluationError::NotSingle),
        Name::Single => focus,
        Name::First => focus.into_iter().take(1).collect(),
        Name::Last => focus.into_iter().next_back().into_iter().collect(),
        Name::Tail => focus.into_iter().skip(1).collect(),
        Name::Skip => focus.into_iter().skip(number()?).collect(),
        Name::Take => focus.into_iter().take(number()?).collect(),
        Name::Union => on.distinct(focus.into_iter().chain(given.argument(0)?))?,
        Name::Combine => focus.into_iter().chain(given.argument(0)?).collect(),
        Name::Intersect | Name::Exclude => {
            let other = given.argument(0)?;
            let mut kept = Items::new();
            for item in focus {
                if on.is_in(&item, &other)? == (name == Name::Intersect) {
                    kept.push(item);
                }
            }
            if name == Name::Intersect { on.distinct(kept.into_iter())? } else { kept }
        }
    })
}

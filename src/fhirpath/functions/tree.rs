//! Down the tree. <http://hl7.org/fhirpath/N1/#tree-navigation>

use super::{Given, Table};
use crate::fhirpath::evaluate::{Items, Result};
use crate::fhirpath::value::Item;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Children,
    Descendants,
}

pub(super) const TABLE: &Table<Name> =
    &[("children", Name::Children, 0, 0), ("descendants", Name::Descendants, 0, 0)];

pub(super) fn call<'a>(name: Name, focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let mut level = given.on.children(focus)?;
    if name == Name::Children {
        return Ok(level);
    }
    let mut out = Items::new();
    while !level.is_empty() {
        let next = given.on.children(&level)?;
        out.extend(level);
        level = next;
    }
    Ok(out)
}

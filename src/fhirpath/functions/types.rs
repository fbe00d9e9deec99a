//! Types. <http://hl7.org/fhirpath/N1/#types>, `#reflection`

use super::{Given, Table};
use crate::fhir::types::TypeKind;
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Items, Result};
use crate::fhirpath::value::{Item, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Is,
    As,
    OfType,
    Type,
}

pub(super) const TABLE: &Table<Name> = &[
    ("is", Name::Is, 1, 1),
    ("as", Name::As, 1, 1),
    ("ofType", Name::OfType, 1, 1),
    ("type", Name::Type, 0, 0),
];

impl Name {
    /// Whether the argument is the name of a type.
    pub(in crate::fhirpath) fn takes_a_type(self) -> bool {
        self != Name::Type
    }
}

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    if name == Name::Type {
        return Ok(focus.iter().map(|item| type_of(given, item)).collect());
    }
    let wanted = given.call.type_name.as_ref().ok_or(EvaluationError::Argument)?;
    match name {
        Name::Is => given.on.is(&focus, wanted),
        // Unlike the operator, which R4's search parameters apply to lists.
        Name::As if focus.len() > 1 => Err(EvaluationError::NotSingle),
        _ => {
            let types = given.on.env.types;
            if types.id(&wanted.name).is_none() && wanted.system.is_none() {
                return Err(EvaluationError::Unknown("type"));
            }
            given.on.of_type(focus, wanted)
        }
    }
}

fn type_of<'a>(given: &Given<'_, '_, 'a>, item: &Item<'a>) -> Item<'a> {
    Item::Value(match item {
        Item::Value(value) => Value::Type("System", value.system_type().name().into()),
        Item::Element(element) => {
            let types = given.on.env.types;
            let of = types.get(element.type_id);
            let name = match of {
                // A backbone element has no name of its own but that of what it specialises.
                Some(of) if of.kind == TypeKind::Backbone => {
                    of.base.map_or("BackboneElement", |it| types.name(it))
                }
                _ => types.name(element.type_id),
            };
            Value::Type("FHIR", name.to_owned().into())
        }
    })
}

//! Search parameters, with their compiled FHIRPath.

use crate::fhir::id::ResourceType;
use crate::fhirpath::Expression;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// One search parameter, as one type has it.
#[derive(Clone, Debug)]
pub struct SearchParameter {
    /// Its canonical URL.
    pub url: Box<str>,
    /// The name used in a query.
    pub code: Arc<str>,
    /// What kind of value it takes.
    pub kind: SearchParameterKind,
    /// Where its values are; nothing for a special parameter.
    pub expression: Option<Expression>,
    /// The types that its references may point at.
    pub targets: Vec<ResourceType>,
    /// For a composite: the URL of each component's parameter, and where it is in the composite.
    pub components: Vec<(Box<str>, Expression)>,
    /// It touches an element that is sealed.
    pub is_sealed: bool,
    /// It does not come with the program: a tenant added it.
    pub is_added: bool,
    /// Not everything that is stored can be found by it yet: it cannot be searched with.
    pub is_building: bool,
}

/// What a tenant added, as far as indexing goes: another digest means another index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedParameter {
    /// The type.
    pub resource_type: ResourceType,
    /// The name used in a query.
    pub code: Arc<str>,
    /// SHA-256 of what it says.
    pub digest: [u8; 32],
    /// Its canonical URL.
    pub url: Box<str>,
    /// Not everything that is stored can be found by it yet.
    pub is_building: bool,
}

/// <https://hl7.org/fhir/R4/valueset-search-param-type.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SearchParameterKind {
    /// A number.
    Number,
    /// A date, or a period.
    Date,
    /// A string.
    String,
    /// A code or an identifier.
    Token,
    /// A reference.
    Reference,
    /// Several parameters at once.
    Composite,
    /// A quantity.
    Quantity,
    /// A URI.
    Uri,
    /// What needs code of its own.
    Special,
}

impl SearchParameter {
    /// What decides about its index rows, as a digest.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update(text.as_bytes());
            hash.update([0]);
        };
        add(self.kind.code());
        add(self.expression.as_ref().map_or("", Expression::text));
        self.targets.iter().for_each(|it| add(it.name()));
        for (url, expression) in &self.components {
            add(url);
            add(expression.text());
        }
        add(if self.is_sealed { "sealed" } else { "open" });
        hash.finalize().into()
    }
}

impl SearchParameterKind {
    const ALL: [(SearchParameterKind, &'static str); 9] = [
        (SearchParameterKind::Number, "number"),
        (SearchParameterKind::Date, "date"),
        (SearchParameterKind::String, "string"),
        (SearchParameterKind::Token, "token"),
        (SearchParameterKind::Reference, "reference"),
        (SearchParameterKind::Composite, "composite"),
        (SearchParameterKind::Quantity, "quantity"),
        (SearchParameterKind::Uri, "uri"),
        (SearchParameterKind::Special, "special"),
    ];

    /// The kind of that code.
    #[must_use]
    pub fn parse(code: &str) -> Option<SearchParameterKind> {
        SearchParameterKind::ALL.iter().find(|(_, it)| *it == code).map(|(kind, _)| *kind)
    }

    /// The code.
    #[must_use]
    pub fn code(self) -> &'static str {
        SearchParameterKind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, code)| code)
    }
}

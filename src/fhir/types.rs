//! The shape of every FHIR type: which elements it has, how they are spelled in JSON, and of what
//! type they are. Data, loaded once by `conformance`; everybody who walks a resource walks this
//! beside it.
//!
//! Backbone elements are types of their own, named by their path (`Patient.contact`), and a
//! content reference (`Questionnaire.item.item`) is simply that type again. Rules about values
//! (bindings, invariants, profiles) are `conformance`'s.

use std::collections::HashMap;

/// The place of a type in [`Types`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TypeId(u16);

/// Every type, by number and by name.
#[derive(Default, Clone)]
pub struct Types {
    types: Vec<Type>,
    by_name: HashMap<String, TypeId>,
}

/// One type: a resource, a datatype, a primitive or a backbone element.
#[derive(Clone, Debug)]
pub struct Type {
    /// `Patient`, `HumanName`, `string`, `Patient.contact`.
    pub name: String,
    /// The type it specialises: `Patient` → `DomainResource` → `Resource`; `code` → `string`.
    pub base: Option<TypeId>,
    /// What kind of type it is.
    pub kind: TypeKind,
    /// Its elements, inherited ones first, in the specification's order.
    pub elements: Vec<Element>,
    /// JSON member name → element and the element's type; sorted by name.
    members: Vec<(Box<str>, u16, TypeId)>,
}

/// What kind of type it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A bare value with an optional `_name` companion: `string`, `date`, `code`.
    Primitive,
    /// A datatype: `HumanName`, `Extension`.
    Complex,
    /// A resource.
    Resource,
    /// An element with members of its own, defined inside another type.
    Backbone,
}

/// One element of a type.
#[derive(Clone, Debug)]
pub struct Element {
    /// The name without `[x]`: `value`, `birthDate`.
    pub name: Box<str>,
    /// The fewest occurrences.
    pub min: u16,
    /// The most; `None` is `*`. More than one means an array in JSON.
    pub max: Option<u16>,
    /// The types it may have; several, or one under a choice name, where `is_choice`.
    pub types: Vec<TypeId>,
    /// `value[x]`: spelled `valueQuantity`, `valueString` …
    pub is_choice: bool,
    /// Part of `_summary=true`.
    pub is_summary: bool,
    /// Changes the meaning of what holds it.
    pub is_modifier: bool,
}

/// What a JSON member is.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// The element's definition.
    pub element: &'a Element,
    /// The place of the element in its type.
    pub place: usize,
    /// The type of this spelling of it.
    pub type_id: TypeId,
}

impl TypeId {
    /// Its number, for tables beside [`Types`].
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Element {
    /// Whether it is an array in JSON.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.max != Some(1)
    }
}

impl Types {
    /// The type of that name.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The type with that number.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<&Type> {
        self.types.get(usize::from(id.0))
    }

    /// The name of a type, or nothing for a number that is not of this table.
    #[must_use]
    pub fn name(&self, id: TypeId) -> &str {
        self.get(id).map_or("", |it| &it.name)
    }

    /// What the member of that JSON name is in a type: `("Observation", "valueQuantity")`. The
    /// companion `_name` of a primitive is not a member: strip the underscore first.
    #[must_use]
    pub fn member(&self, id: TypeId, json_name: &str) -> Option<Member<'_>> {
        let of = self.get(id)?;
        let place = of.members.binary_search_by(|(name, ..)| (**name).cmp(json_name)).ok()?;
        let (_, element, type_id) = of.members.get(place)?;
        let place = usize::from(*element);
        Some(Member { element: of.elements.get(place)?, place, type_id: *type_id })
    }

    /// The JSON name of an element when it has that type: `value` as `Quantity` is `valueQuantity`.
    #[must_use]
    pub fn json_name(&self, element: &Element, type_id: TypeId) -> String {
        if !element.is_choice {
            return element.name.to_string();
        }
        let mut letters = self.name(type_id).chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        element.name.chars().chain(first).chain(letters).collect()
    }

    /// Whether a type is the other or specialises it.
    #[must_use]
    pub fn is_a(&self, id: TypeId, ancestor: TypeId) -> bool {
        std::iter::successors(Some(id), |id| self.get(*id)?.base).any(|it| it == ancestor)
    }

    /// Whether values of the type are primitive.
    #[must_use]
    pub fn is_primitive(&self, id: TypeId) -> bool {
        self.get(id).is_some_and(|it| it.kind == TypeKind::Primitive)
    }

    /// Makes room for a type, so that others may refer to it; [`Types::define`] fills it in. The
    /// same name gives the same number.
    pub fn declare(&mut self, name: &str, kind: TypeKind) -> TypeId {
        if let Some(id) = self.id(name) {
            return id;
        }
        let id = TypeId(u16::try_from(self.types.len()).unwrap_or(u16::MAX));
        self.types.push(Type {
            name: name.to_owned(),
            base: None,
            kind,
            elements: Vec::new(),
            members: Vec::new(),
        });
        self.by_name.insert(name.to_owned(), id);
        id
    }

    /// Says what a declared type is made of.
    pub fn define(&mut self, id: TypeId, base: Option<TypeId>, elements: Vec<Element>) {
        let mut members = Vec::with_capacity(elements.len());
        for (place, element) in elements.iter().enumerate() {
            for type_id in &element.types {
                let name = self.json_name(element, *type_id).into_boxed_str();
                members.push((name, u16::try_from(place).unwrap_or(u16::MAX), *type_id));
            }
        }
        members.sort();
        // A plain element with several types (Resource.contained in a profile) has one spelling.
        members.dedup_by(|later, earlier| later.0 == earlier.0);
        if let Some(it) = self.types.get_mut(usize::from(id.0)) {
            *it = Type { base, elements, members, ..it.clone() };
        }
    }

    /// Every type with its number.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        (0..=u16::MAX).map(TypeId).zip(&self.types)
    }
}

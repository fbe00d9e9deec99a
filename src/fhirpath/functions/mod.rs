//! The functions. <http://hl7.org/fhirpath/N1/#functions>, <https://hl7.org/fhir/R4/fhirpath.html#functions>
//!
//! One file per section of the specification; each knows its functions' names, how many arguments
//! they take, and what they do.

pub(super) mod conversion;
pub(super) mod existence;
pub(super) mod fhir;
pub(super) mod filtering;
pub(super) mod math;
pub(super) mod subsetting;
pub(super) mod text;
pub(super) mod tree;
pub(super) mod types;
pub(super) mod utility;

use super::EvaluationError;
use super::ast::{Ast, Call};
use super::evaluate::{Evaluator, Items, Result, Scope};
use super::value::{Item, Value};
use std::borrow::Cow;

/// A function, known since the expression was parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Existence(existence::Name),
    Filtering(filtering::Name),
    Subsetting(subsetting::Name),
    Types(types::Name),
    Text(text::Name),
    Math(math::Name),
    Conversion(conversion::Name),
    Tree(tree::Name),
    Fhir(fhir::Name),
    Utility(utility::Name),
}

/// A table of functions: name, what it is, the fewest and the most arguments.
type Table<N> = [(&'static str, N, usize, usize)];

/// The function of that name, and how many arguments it takes.
pub(super) fn named(name: &str) -> Option<(Function, usize, usize)> {
    fn find<N: Copy>(
        table: &Table<N>,
        name: &str,
        of: fn(N) -> Function,
    ) -> Option<(Function, usize, usize)> {
        table.iter().find(|(it, ..)| *it == name).map(|(_, it, fewest, most)| (of(*it), *fewest, *most))
    }
    find(existence::TABLE, name, Function::Existence)
        .or_else(|| find(filtering::TABLE, name, Function::Filtering))
        .or_else(|| find(subsetting::TABLE, name, Function::Subsetting))
        .or_else(|| find(types::TABLE, name, Function::Types))
        .or_else(|| find(text::TABLE, name, Function::Text))
        .or_else(|| find(math::TABLE, name, Function::Math))
        .or_else(|| find(conversion::TABLE, name, Function::Conversion))
        .or_else(|| find(tree::TABLE, name, Function::Tree))
        .or_else(|| find(fhir::TABLE, name, Function::Fhir))
        .or_else(|| find(utility::TABLE, name, Function::Utility))
}

/// Calls a function on a collection.
pub(super) fn call<'a>(
    on: &Evaluator<'_, 'a>,
    call: &Call,
    focus: Items<'a>,
    scope: &Scope<'a>,
) -> Result<Items<'a>> {
    let given = Given { on, call, scope };
    match call.function {
        Function::Existence(name) => existence::call(name, focus, &given),
        Function::Filtering(name) => filtering::call(name, focus, &given),
        Function::Subsetting(name) => subsetting::call(name, focus, &given),
        Function::Types(name) => types::call(name, focus, &given),
        Function::Text(name) => text::call(name, &focus, &given),
        Function::Math(name) => math::call(name, &focus, &given),
        Function::Conversion(name) => conversion::call(name, &focus, &given),
        Function::Tree(name) => tree::call(name, &focus, &given),
        Function::Fhir(name) => fhir::call(name, focus, &given),
        Function::Utility(name) => utility::call(name, focus, &given),
    }
}

/// What a function is given besides its focus.
pub(super) struct Given<'g, 'e, 'a> {
    pub(super) on: &'g Evaluator<'e, 'a>,
    pub(super) call: &'g Call,
    pub(super) scope: &'g Scope<'a>,
}

impl<'g, 'a> Given<'g, '_, 'a> {
    fn ast(&self, place: usize) -> Result<&'g Ast> {
        self.call.arguments.get(place).ok_or(EvaluationError::Argument)
    }

    fn has(&self, place: usize) -> bool {
        self.call.arguments.len() > place
    }

    /// An argument, evaluated where the function was called.
    fn argument(&self, place: usize) -> Result<Items<'a>> {
        self.on.apart(self.ast(place)?, self.scope)
    }

    /// An argument as text.
    fn text(&self, place: usize) -> Result<Option<Cow<'g, str>>>
    where
        'a: 'g,
    {
        match self.ast(place)? {
            Ast::Literal(Value::String(text)) => Ok(Some(Cow::Borrowed(text))),
            _ => self.on.text(&self.argument(place)?),
        }
    }

    /// An argument as a whole number.
    fn integer(&self, place: usize) -> Result<Option<i64>> {
        self.on.integer(&self.argument(place)?)
    }

    /// What an argument is for one item of the focus.
    fn each(&self, place: usize, item: &Item<'a>, index: usize) -> Result<Items<'a>> {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        let scope = Scope { this: item.clone(), index, total: self.scope.total.clone() };
        self.on.apart(self.ast(place)?, &scope)
    }

    /// Whether a criterion holds for one item.
    fn holds(&self, place: usize, item: &Item<'a>, index: usize) -> Result<bool> {
        Ok(self.on.condition(&self.each(place, item, index)?)? == Some(true))
    }
}

/// What a function gives for a collection of one, of nothing for none.
fn given_one<'a>(value: Option<Value<'a>>) -> Items<'a> {
    value.map_or_else(Items::new, super::evaluate::one)
}

/// A count as an Integer.
fn count<'a>(count: usize) -> Value<'a> {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

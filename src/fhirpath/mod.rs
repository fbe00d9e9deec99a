//! FHIRPath: the expression language of invariants and search parameters.
//!
//! <http://hl7.org/fhirpath/N1/>, with R4's own functions, <https://hl7.org/fhir/R4/fhirpath.html>
//!
//! Parsed once (names of functions, literals and patterns are resolved then), evaluated over a
//! resource in place. Steps, depth and the texts that an expression makes are bounded. What an
//! expression may ask of the world (other resources, value sets, profiles) comes from
//! [`Surroundings`]; nothing here does I/O.

mod arithmetic;
mod ast;
mod check;
mod equality;
mod evaluate;
mod functions;
mod lexer;
mod moment;
mod navigate;
mod parser;
pub mod patch;
mod quantity;
pub mod value;

use crate::fhir::json::Node;
use crate::fhir::types::Types;
use ast::Ast;
use evaluate::{Evaluator, Items, Scope};
pub use parser::ParseError;
use rust_decimal::Decimal;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::sync::Arc;
use value::Item;

/// A step takes about 50 ns, so this is a tenth of a second at most.
const MOST_STEPS: u32 = 1_000_000;

/// A compiled expression; cheap to share.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
    ast: Arc<Ast>,
}

/// Whether one quantity in units of UCUM is certainly less than another; never where they do not measure the same.
#[must_use]
pub fn is_less_quantity(one: (Decimal, &str), other: (Decimal, &str)) -> bool {
    quantity::compare(one, other) == Some(Ordering::Less)
}

/// What an expression may ask of its surroundings.
#[derive(Clone)]
pub struct Environment<'a> {
    /// The shape of every type.
    pub types: &'a Types,
    /// `%resource`: the resource that holds the focus.
    pub resource: Item<'a>,
    /// `%rootResource`: the outermost resource.
    pub root_resource: Item<'a>,
    /// `%context`, where it is not `%resource`.
    pub context: Option<Item<'a>>,
    /// Other names after `%`, with what they stand for.
    pub constants: Vec<(String, Vec<Item<'a>>)>,
    /// What `now()` and `today()` say; without it they are unknown.
    pub now: Option<jiff::Timestamp>,
    /// Who resolves references, value sets and profiles.
    pub surroundings: Option<&'a dyn Surroundings>,
    /// The most steps that one evaluation may take.
    pub most_steps: u32,
}

/// What the world answers to an expression. Every answer may be "nobody knows".
pub trait Surroundings: Sync {
    /// The resource that a reference points at.
    fn resolve(&self, _reference: &str) -> Option<Node<'_>> {
        None
    }

    /// Whether a code, Coding, CodeableConcept or Quantity is in a value set.
    fn is_member_of(&self, _item: &Item<'_>, _value_set: &str) -> Option<bool> {
        None
    }

    /// Whether the first Coding or code is the second or above it.
    fn subsumes(&self, _general: &Item<'_>, _special: &Item<'_>) -> Option<bool> {
        None
    }

    /// Whether an item conforms to a profile.
    fn conforms_to(&self, _item: &Item<'_>, _profile: &str) -> Option<bool> {
        None
    }
}

/// Why an expression has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// One item was expected and there were several.
    #[error("a single item is expected")]
    NotSingle,
    /// It takes too many steps.
    #[error("the expression takes too long")]
    TooCostly,
    /// A function or variable that is not known.
    #[error("unknown {0}")]
    Unknown(&'static str),
    /// An argument is missing or of the wrong kind.
    #[error("wrong argument")]
    Argument,
    /// An operator or function does not work on what it was given.
    #[error("a value of another type is expected")]
    Operand,
    /// The order of what was asked for is nowhere defined.
    #[error("the items have no order")]
    Unordered,
}

#[cfg(test)]
thread_local! {
    /// How many expressions this thread has compiled.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The text is not one, or nests too deeply.
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        Ok(Expression { text: text.into(), ast: Arc::new(parser::parse(text)?) })
    }

    /// Checks strictly, for expressions on a type: names that no type has, and what depends on an order
    /// that is nowhere defined. Evaluation alone is lenient: what is not there is empty.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn check(&self, types: &Types, context: &str) -> Result<(), EvaluationError> {
        let context = types.id(context).ok_or(EvaluationError::Unknown("type"))?;
        check::check(types, &self.ast, context)
    }

    /// The text that it was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates on a focus.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate<'a>(
        &self,
        env: &Environment<'a>,
        focus: Item<'a>,
    ) -> Result<Vec<Item<'a>>, EvaluationError> {
        Ok(self.run(env, focus)?.1.into_vec())
    }

    /// Evaluates as a condition; nothing where the result is empty.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate_to_bool<'a>(
        &self,
        env: &Environment<'a>,
        focus: Item<'a>,
    ) -> Result<Option<bool>, EvaluationError> {
        let (evaluator, items) = self.run(env, focus)?;
        evaluator.condition(&items)
    }

    /// Evaluates within a budget that several evaluations share: the steps that were taken are counted on.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate_within<'a>(
        &self,
        env: &Environment<'a>,
        focus: Item<'a>,
        spent: &Cell<u32>,
    ) -> Result<Vec<Item<'a>>, EvaluationError> {
        let evaluator = Evaluator { env, steps: Cell::new(spent.get()), variables: RefCell::default() };
        let scope = Scope { this: focus, index: 0, total: Items::new() };
        let items = evaluator.eval(&self.ast, &scope);
        spent.set(evaluator.steps.get());
        Ok(items?.into_vec())
    }

    /// The names after `%` in it.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.ast.walk(&mut |ast| {
            if let Ast::Variable(name) = ast {
                names.push(&**name);
            }
        });
        names
    }

    /// Whether it defines variables of its own.
    #[must_use]
    pub fn defines_variables(&self) -> bool {
        let mut is_defining = false;
        self.ast.walk(&mut |ast| is_defining |= ast.defines_variable());
        is_defining
    }

    fn run<'e, 'a>(
        &self,
        env: &'e Environment<'a>,
        focus: Item<'a>,
    ) -> Result<(Evaluator<'e, 'a>, Items<'a>), EvaluationError> {
        let evaluator = Evaluator { env, steps: Cell::new(0), variables: RefCell::default() };
        let scope = Scope { this: focus, index: 0, total: Items::new() };
        let items = evaluator.eval(&self.ast, &scope)?;
        Ok((evaluator, items))
    }
}

impl<'a> Environment<'a> {
    /// For expressions on one resource.
    #[must_use]
    pub fn of(types: &'a Types, resource: Item<'a>) -> Environment<'a> {
        Environment {
            types,
            root_resource: resource.clone(),
            resource,
            context: None,
            constants: Vec::new(),
            now: None,
            surroundings: None,
            most_steps: MOST_STEPS,
        }
    }
}

//! FHIRPath: the expression language of invariants and search parameters.
//!
//! <http://hl7.org/fhirpath/N1/>, with R4's own functions, <https://hl7.org/fhir/R4/fhirpath.html>
//!
//! Parsed once, evaluated over a resource in place. Steps and depth are bounded.

mod ast;
mod evaluate;
mod functions;
mod lexer;
mod parser;
pub mod patch;
pub mod value;

use crate::fhir::types::Types;
use ast::Ast;
use evaluate::{Evaluator, Items, Scope};
pub use parser::ParseError;
use std::cell::Cell;
use std::sync::Arc;
use value::Item;

/// A compiled expression; cheap to share.
#[derive(Clone, Debug)]
pub struct Expression {
    text: Arc<str>,
    ast: Arc<Ast>,
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
    /// The most steps that one evaluation may take.
    pub most_steps: u32,
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
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The text is not one, or nests too deeply.
    pub fn parse(text: &str) -> Result<Expression, ParseError> {
        Ok(Expression { text: text.into(), ast: Arc::new(parser::parse(text)?) })
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
        Ok(self.run(env, focus)?.into_vec())
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
        let evaluator = Evaluator { env, steps: Cell::new(0) };
        let items = self.run(env, focus)?;
        evaluator.condition(&items)
    }

    fn run<'a>(&self, env: &Environment<'a>, focus: Item<'a>) -> Result<Items<'a>, EvaluationError> {
        let evaluator = Evaluator { env, steps: Cell::new(0) };
        let scope = Scope { this: [focus].into_iter().collect(), index: 0, total: Items::new() };
        evaluator.eval(&self.ast, &scope)
    }
}

impl<'a> Environment<'a> {
    /// For expressions on one resource.
    #[must_use]
    pub fn of(types: &'a Types, resource: Item<'a>) -> Environment<'a> {
        Environment { types, root_resource: resource.clone(), resource, context: None, most_steps: 100_000 }
    }
}

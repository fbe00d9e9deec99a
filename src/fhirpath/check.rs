//! Strict checks before anything is evaluated: names that no type has, and orders that are nowhere
//! defined. <http://hl7.org/fhirpath/N1/#type-safety-and-strict-evaluation>
//!
//! What cannot be known without a resource (`children()`, `resolve()`, extensions' values) is let
//! pass.

use super::EvaluationError;
use super::ast::{Ast, Call, Operator, TypeName};
use super::functions::{Function, existence, fhir, filtering, subsetting, tree};
use crate::fhir::types::{TypeId, Types};

type Result<T> = std::result::Result<T, EvaluationError>;

/// What a part of an expression may give.
#[derive(Clone, Debug)]
enum Kind {
    /// Elements of one of these types.
    Elements(Vec<TypeId>),
    /// Values of FHIRPath's own types, or nobody knows.
    Any,
    /// Elements in no order.
    Unordered,
}

pub(super) fn check(types: &Types, ast: &Ast, context: TypeId) -> Result<()> {
    Checker { types }.kind(ast, &Kind::Elements(vec![context])).map(drop)
}

struct Checker<'t> {
    types: &'t Types,
}

impl Checker<'_> {
    fn kind(&self, ast: &Ast, this: &Kind) -> Result<Kind> {
        match ast {
            Ast::This => Ok(this.clone()),
            Ast::Empty | Ast::Literal(_) | Ast::Index | Ast::Total | Ast::Variable(_) => Ok(Kind::Any),
            Ast::Member(None, name) if name.starts_with(|it: char| it.is_ascii_uppercase()) => {
                self.type_as_root(name, this)
            }
            Ast::Member(None, name) => self.member(this, name),
            Ast::Member(Some(on), name) => self.member(&self.kind(on, this)?, name),
            Ast::Indexer(on, index) => {
                self.kind(index, this)?;
                match self.kind(on, this)? {
                    Kind::Unordered => Err(EvaluationError::Unordered),
                    kind => Ok(kind),
                }
            }
            Ast::Negate(on) | Ast::Affirm(on) | Ast::Is(on, _) => self.kind(on, this).map(|_| Kind::Any),
            Ast::As(on, name) => self.kind(on, this).map(|_| self.named(name)),
            Ast::Binary(operator, left, right) => {
                let (left, right) = (self.kind(left, this)?, self.kind(right, this)?);
                Ok(match (operator, left, right) {
                    (Operator::Union, Kind::Elements(mut left), Kind::Elements(right)) => {
                        left.extend(right);
                        Kind::Elements(left)
                    }
                    _ => Kind::Any,
                })
            }
            Ast::Call(call) => {
                let focus = match &call.on {
                    Some(on) => self.kind(on, this)?,
                    None => this.clone(),
                };
                self.call(call, focus, this)
            }
        }
    }

    fn type_as_root(&self, name: &str, this: &Kind) -> Result<Kind> {
        let Kind::Elements(of) = this else { return Ok(Kind::Any) };
        let wanted = self.types.id(name).ok_or(EvaluationError::Unknown("type"))?;
        let is_it = of.iter().any(|it| self.types.is_a(*it, wanted) || self.types.is_a(wanted, *it));
        if is_it { Ok(Kind::Elements(vec![wanted])) } else { Err(EvaluationError::Unknown("element")) }
    }

    fn member(&self, on: &Kind, name: &str) -> Result<Kind> {
        let Kind::Elements(of) = on else { return Ok(Kind::Any) };
        let mut found = Vec::new();
        for id in of {
            // A resource inside another says only then what it is.
            if matches!(self.types.name(*id), "Resource" | "DomainResource" | "Element") {
                return Ok(Kind::Any);
            }
            let elements = self.types.get(*id).map(|it| it.elements.as_slice()).unwrap_or_default();
            for element in elements.iter().filter(|it| *it.name == *name) {
                found.extend(&element.types);
            }
        }
        if found.is_empty() { Err(EvaluationError::Unknown("element")) } else { Ok(Kind::Elements(found)) }
    }

    fn named(&self, name: &TypeName) -> Kind {
        self.types.id(&name.name).map_or(Kind::Any, |id| Kind::Elements(vec![id]))
    }

    fn call(&self, call: &Call, focus: Kind, this: &Kind) -> Result<Kind> {
        let argument = |this: &Kind| -> Result<Kind> {
            let mut last = Kind::Any;
            for ast in &call.arguments {
                last = self.kind(ast, this)?;
            }
            Ok(last)
        };
        match call.function {
            Function::Types(it) if it.takes_a_type() => {
                Ok(call.type_name.as_ref().map_or(Kind::Any, |name| self.named(name)))
            }
            Function::Filtering(filtering::Name::Where | filtering::Name::Sort) => {
                argument(&focus)?;
                Ok(focus)
            }
            Function::Filtering(filtering::Name::Select) => argument(&focus),
            Function::Filtering(_) => Ok(Kind::Any),
            Function::Existence(existence::Name::Exists | existence::Name::All) => {
                argument(&focus)?;
                Ok(Kind::Any)
            }
            Function::Existence(existence::Name::Distinct) => Ok(focus),
            Function::Subsetting(name) => {
                argument(this)?;
                let needs_order = matches!(
                    name,
                    subsetting::Name::First
                        | subsetting::Name::Last
                        | subsetting::Name::Tail
                        | subsetting::Name::Skip
                        | subsetting::Name::Take
                );
                match focus {
                    Kind::Unordered if needs_order => Err(EvaluationError::Unordered),
                    _ if matches!(name, subsetting::Name::Union | subsetting::Name::Combine) => Ok(Kind::Any),
                    focus => Ok(focus),
                }
            }
            Function::Tree(tree::Name::Children | tree::Name::Descendants) => Ok(Kind::Unordered),
            Function::Fhir(fhir::Name::Extension) => {
                argument(this)?;
                Ok(self.types.id("Extension").map_or(Kind::Any, |id| Kind::Elements(vec![id])))
            }
            Function::Utility(_) => Ok(focus),
            _ => {
                argument(this)?;
                Ok(Kind::Any)
            }
        }
    }
}

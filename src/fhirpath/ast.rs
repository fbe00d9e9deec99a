//! An expression, parsed: names of functions and types are already resolved, literals are values.

use super::functions::{Function, utility};
use super::value::{SystemType, Value};

/// One node of the tree.
#[derive(Clone, Debug)]
pub(super) enum Ast {
    /// `{}`
    Empty,
    /// `true`, `'x'`, `4`, `4.0`, `@2026`, `4 'mg'`
    Literal(Value<'static>),
    /// `$this`, `$index`, `$total`
    This,
    Index,
    Total,
    /// `%resource`
    Variable(Box<str>),
    /// `name` on the focus of what stands before, or on `$this`
    Member(Option<Box<Ast>>, Box<str>),
    /// `where(...)`
    Call(Box<Call>),
    /// `x[0]`
    Indexer(Box<Ast>, Box<Ast>),
    /// `-x`
    Negate(Box<Ast>),
    /// `+x`
    Affirm(Box<Ast>),
    /// `x + y`, `x and y` …
    Binary(Operator, Box<Ast>, Box<Ast>),
    /// `x is T`, `x as T`
    Is(Box<Ast>, TypeName),
    As(Box<Ast>, TypeName),
}

/// A function and what it is given.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// What it works on; nothing for `$this`.
    pub(super) on: Option<Ast>,
    pub(super) function: Function,
    pub(super) arguments: Vec<Ast>,
    /// The argument of `ofType`, `is` and `as`.
    pub(super) type_name: Option<TypeName>,
    /// The first argument as a pattern, where it is a literal.
    pub(super) pattern: Option<regex::Regex>,
}

/// A type, as it is written.
#[derive(Clone, Debug)]
pub(super) struct TypeName {
    pub(super) space: Option<Space>,
    pub(super) name: Box<str>,
    /// The type of FHIRPath's own with that name.
    pub(super) system: Option<SystemType>,
}

/// Where a type's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    Fhir,
    System,
    /// A name space that nobody knows.
    Other,
}

impl TypeName {
    /// Reads `Patient`, `FHIR.Patient`, `System.String`.
    pub(super) fn of(text: &str) -> TypeName {
        let (space, name) = match text.split_once('.') {
            None => (None, text),
            Some(("FHIR", name)) => (Some(Space::Fhir), name),
            Some(("System", name)) => (Some(Space::System), name),
            Some((_, name)) => (Some(Space::Other), name),
        };
        TypeName { space, name: name.into(), system: SystemType::named(name) }
    }
}

impl Ast {
    /// How many levels the tree has.
    pub(super) fn depth(&self) -> usize {
        let deepest = match self {
            Ast::Empty | Ast::Literal(_) | Ast::This | Ast::Index | Ast::Total | Ast::Variable(_) => 0,
            Ast::Member(on, _) => on.as_ref().map_or(0, |on| on.depth()),
            Ast::Call(call) => call.on.iter().chain(&call.arguments).map(Ast::depth).max().unwrap_or(0),
            Ast::Negate(it) | Ast::Affirm(it) | Ast::Is(it, _) | Ast::As(it, _) => it.depth(),
            Ast::Indexer(on, index) => on.depth().max(index.depth()),
            Ast::Binary(_, left, right) => left.depth().max(right.depth()),
        };
        deepest + 1
    }

    /// Shows every node of the tree.
    pub(super) fn walk<'t>(&'t self, see: &mut impl FnMut(&'t Ast)) {
        see(self);
        match self {
            Ast::Empty | Ast::Literal(_) | Ast::This | Ast::Index | Ast::Total | Ast::Variable(_) => {}
            Ast::Member(on, _) => on.iter().for_each(|it| it.walk(see)),
            Ast::Call(call) => call.on.iter().chain(&call.arguments).for_each(|it| it.walk(see)),
            Ast::Negate(it) | Ast::Affirm(it) | Ast::Is(it, _) | Ast::As(it, _) => it.walk(see),
            Ast::Indexer(on, index) => [on, index].into_iter().for_each(|it| it.walk(see)),
            Ast::Binary(_, left, right) => [left, right].into_iter().for_each(|it| it.walk(see)),
        }
    }

    /// Whether it is a call of `defineVariable`.
    pub(super) fn defines_variable(&self) -> bool {
        matches!(self, Ast::Call(it) if it.function == Function::Utility(utility::Name::DefineVariable))
    }

    /// The type that an argument names: `Patient`, `FHIR.Patient`.
    pub(super) fn as_type_name(&self) -> Option<TypeName> {
        match self {
            Ast::Member(None, name) => Some(TypeName::of(name)),
            Ast::Member(Some(on), name) => match &**on {
                Ast::Member(None, space) => Some(TypeName::of(&format!("{space}.{name}"))),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Union,
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

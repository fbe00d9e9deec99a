//! An expression, parsed.

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ast {
    /// `{}`
    Empty,
    /// `true`, `'x'`, `4`, `4.0`, `@2026`, `4 'mg'`
    Literal(Literal),
    /// `$this`, `$index`, `$total`
    This,
    Index,
    Total,
    /// `%resource`
    Variable(String),
    /// `name` on the focus of what stands before, or on `$this`
    Member(Option<Box<Ast>>, String),
    /// `where(...)`
    Function(Option<Box<Ast>>, String, Vec<Ast>),
    /// `x[0]`
    Indexer(Box<Ast>, Box<Ast>),
    /// `-x`, `+x`
    Negate(Box<Ast>),
    /// `x + y`, `x and y`, `x is T` …
    Binary(Operator, Box<Ast>, Box<Ast>),
    /// `x is T`, `x as T`
    Is(Box<Ast>, String),
    As(Box<Ast>, String),
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Boolean(bool),
    String(String),
    Number(String),
    Date(String),
    DateTime(String),
    Time(String),
    Quantity(String, String),
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

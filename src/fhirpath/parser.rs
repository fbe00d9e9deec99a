//! Tokens to a tree. <http://hl7.org/fhirpath/N1/#formal-specifications>

use super::ast::{Ast, Call, Operator, TypeName};
use super::functions::{self, Function, text};
use super::lexer::{Token, tokens};
use super::quantity;
use super::value::Value;

/// Deeper expressions are refused: they could exhaust the stack.
const DEEPEST: usize = 64;

/// Longer expressions are refused: R4's longest invariant has about 2,000 letters.
const LONGEST: usize = 64 << 10;

/// Expressions of more steps and operators are refused.
const MOST_LINKS: usize = 1_000;

/// The deepest tree: each level is one of the evaluation's stack.
const DEEPEST_TREE: usize = 160;

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIRPath expression at byte {offset}: {reason}")]
pub struct ParseError {
    /// The byte where it was noticed.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// Binary operators from loosest to tightest: words or signs of each level.
const LEVELS: &[&[(&str, Operator)]] = &[
    &[("implies", Operator::Implies)],
    &[("or", Operator::Or), ("xor", Operator::Xor)],
    &[("and", Operator::And)],
    &[("in", Operator::In), ("contains", Operator::Contains)],
    &[
        ("=", Operator::Equal),
        ("~", Operator::Equivalent),
        ("!=", Operator::NotEqual),
        ("!~", Operator::NotEquivalent),
    ],
    &[
        ("<=", Operator::LessOrEqual),
        ("<", Operator::Less),
        (">=", Operator::GreaterOrEqual),
        (">", Operator::Greater),
    ],
    &[("|", Operator::Union)],
    // `is` and `as` stand here.
    &[],
    &[("+", Operator::Add), ("-", Operator::Subtract), ("&", Operator::Concatenate)],
    &[("*", Operator::Multiply), ("/", Operator::Divide), ("div", Operator::Div), ("mod", Operator::Mod)],
];

const TYPES_LEVEL: usize = 7;

pub(super) fn parse(text: &str) -> Result<Ast, ParseError> {
    if text.len() > LONGEST {
        return Err(ParseError { offset: LONGEST, reason: "it is too long" });
    }
    let tokens =
        tokens(text).map_err(|offset| ParseError { offset, reason: "nothing can begin like this" })?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0, links: 0 };
    let ast = parser.level(0)?;
    if parser.at < tokens.len() {
        return parser.fail("an operator or the end is expected");
    }
    if ast.depth() > DEEPEST_TREE {
        return Err(ParseError { offset: 0, reason: "it nests too deeply" });
    }
    Ok(ast)
}

struct Parser<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    end: usize,
    depth: usize,
    links: usize,
}

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Result<Ast, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        if level == 0 {
            self.deeper()?;
        }
        let mut left = self.level(level + 1)?;
        loop {
            if level == TYPES_LEVEL {
                let is_is = self.takes("is");
                if !is_is && !self.takes("as") {
                    break;
                }
                let name = self.type_name()?;
                left = if is_is { Ast::Is(Box::new(left), name) } else { Ast::As(Box::new(left), name) };
            } else {
                let Some((_, operator)) = operators.iter().find(|(word, _)| self.takes(word)) else { break };
                let right = self.level(level + 1)?;
                left = Ast::Binary(*operator, Box::new(left), Box::new(right));
            }
            self.link()?;
        }
        if level == 0 {
            self.depth -= 1;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, ParseError> {
        let is_minus = self.takes("-");
        if !is_minus && !self.takes("+") {
            return self.path();
        }
        self.deeper()?;
        let inner = Box::new(self.unary()?);
        self.depth -= 1;
        Ok(if is_minus { Ast::Negate(inner) } else { Ast::Affirm(inner) })
    }

    fn path(&mut self) -> Result<Ast, ParseError> {
        let mut ast = self.term()?;
        loop {
            self.link()?;
            if self.takes(".") {
                ast = self.step(Some(ast))?;
            } else if self.takes("[") {
                let index = self.level(0)?;
                self.expect("]")?;
                ast = Ast::Indexer(Box::new(ast), Box::new(index));
            } else {
                return Ok(ast);
            }
        }
    }

    fn term(&mut self) -> Result<Ast, ParseError> {
        if self.takes("(") {
            let inner = self.level(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.takes("{") {
            self.expect("}")?;
            return Ok(Ast::Empty);
        }
        match self.peek().cloned() {
            Some(Token::Literal(value)) => {
                self.at += 1;
                Ok(Ast::Literal(self.with_unit(value)))
            }
            Some(Token::Percent(name)) => {
                self.at += 1;
                Ok(Ast::Variable(name.into()))
            }
            Some(Token::Word(word)) if word == "true" || word == "false" => {
                self.at += 1;
                Ok(Ast::Literal(Value::Boolean(word == "true")))
            }
            _ => self.step(None),
        }
    }

    /// A number may carry a unit: `4 'mg'`, `3 days`.
    fn with_unit(&mut self, value: Value<'static>) -> Value<'static> {
        let number = match &value {
            Value::Integer(it) => (*it).into(),
            Value::Decimal(it) => *it,
            _ => return value,
        };
        let unit = match self.peek() {
            Some(Token::Literal(Value::String(unit))) => unit.clone(),
            Some(Token::Word(word)) if quantity::calendar_word(word).is_some() => word.clone().into(),
            _ => return value,
        };
        self.at += 1;
        Value::Quantity(number, unit)
    }

    /// A member, a function or `$this`, on what stands before.
    fn step(&mut self, on: Option<Ast>) -> Result<Ast, ParseError> {
        let offset = self.offset();
        let (name, is_quoted) = match self.peek().cloned() {
            Some(Token::Word(name)) => (name, false),
            Some(Token::Quoted(name)) => (name, true),
            Some(Token::Dollar(name)) => {
                let ast = match name.as_str() {
                    "this" => Ast::This,
                    "index" => Ast::Index,
                    "total" => Ast::Total,
                    _ => return self.fail("only $this, $index and $total are known"),
                };
                self.at += 1;
                return Ok(ast);
            }
            _ => return self.fail("a value or a name is expected"),
        };
        self.at += 1;
        if is_quoted || !self.takes("(") {
            return Ok(Ast::Member(on.map(Box::new), name.into()));
        }
        let mut arguments = Vec::new();
        if !self.takes(")") {
            loop {
                arguments.push(self.level(0)?);
                if self.takes(")") {
                    break;
                }
                self.expect(",")?;
            }
        }
        call(on, &name, arguments).map_err(|reason| ParseError { offset, reason })
    }

    fn type_name(&mut self) -> Result<TypeName, ParseError> {
        let mut name = String::new();
        loop {
            match self.peek().cloned() {
                Some(Token::Word(part) | Token::Quoted(part)) => name.push_str(&part),
                _ => return self.fail("the name of a type is expected"),
            }
            self.at += 1;
            // `x is Patient.name` cannot be: a type's name has at most one dot.
            if name.contains('.') || !self.takes(".") {
                return Ok(TypeName::of(&name));
            }
            name.push('.');
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let is_there = match self.peek() {
            Some(Token::Word(word)) => word == wanted,
            Some(Token::Sign(sign)) => *sign == wanted,
            _ => false,
        };
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ParseError> {
        if self.takes(wanted) { Ok(()) } else { self.fail("a closing bracket or a comma is expected") }
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > DEEPEST { self.fail("it nests too deeply") } else { Ok(()) }
    }

    fn link(&mut self) -> Result<(), ParseError> {
        self.links += 1;
        if self.links > MOST_LINKS { self.fail("it has too many steps") } else { Ok(()) }
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(_, offset)| *offset)
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, ParseError> {
        Err(ParseError { offset: self.offset(), reason })
    }
}

fn call(on: Option<Ast>, name: &str, arguments: Vec<Ast>) -> Result<Ast, &'static str> {
    let (function, fewest, most) = functions::named(name).ok_or("there is no such function")?;
    if arguments.len() < fewest || arguments.len() > most {
        return Err("the function takes another number of arguments");
    }
    let first = arguments.first();
    let type_name = match function {
        Function::Types(it) if it.takes_a_type() => {
            Some(first.and_then(Ast::as_type_name).ok_or("the name of a type is expected")?)
        }
        _ => None,
    };
    let pattern = match (function, first) {
        (Function::Text(it), Some(Ast::Literal(Value::String(pattern)))) if it.takes_a_pattern() => {
            Some(text::pattern(pattern, it).ok_or("not a regular expression, or one too large")?)
        }
        _ => None,
    };
    Ok(Ast::Call(Box::new(Call { on, function, arguments, type_name, pattern })))
}

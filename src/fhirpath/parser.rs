//! Tokens to a tree. <http://hl7.org/fhirpath/N1/#formal-specifications>

use super::ast::{Ast, Literal, Operator};
use super::lexer::{Token, tokens};

/// Deeper expressions are refused: they could exhaust the stack.
const DEEPEST: usize = 64;

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a FHIRPath expression at byte {offset}")]
pub struct ParseError {
    /// The byte where it was noticed.
    pub offset: usize,
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
    let tokens = tokens(text).map_err(|offset| ParseError { offset })?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len(), depth: 0 };
    let ast = parser.level(0)?;
    if parser.at < tokens.len() { parser.fail() } else { Ok(ast) }
}

struct Parser<'t> {
    tokens: &'t [(Token, usize)],
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Result<Ast, ParseError> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        if level == 0 {
            self.depth += 1;
            if self.depth > DEEPEST {
                return self.fail();
            }
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
                continue;
            }
            let Some((_, operator)) = operators.iter().find(|(word, _)| self.takes(word)) else { break };
            let right = self.level(level + 1)?;
            left = Ast::Binary(*operator, Box::new(left), Box::new(right));
        }
        if level == 0 {
            self.depth -= 1;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, ParseError> {
        if self.takes("-") {
            self.depth += 1;
            if self.depth > DEEPEST {
                return self.fail();
            }
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Ast::Negate(Box::new(inner)));
        }
        while self.takes("+") {}
        self.path()
    }

    fn path(&mut self) -> Result<Ast, ParseError> {
        let mut ast = self.term()?;
        loop {
            if self.takes(".") {
                ast = self.step(Some(Box::new(ast)))?;
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
            Some(Token::Literal(Literal::Number(number))) => {
                self.at += 1;
                Ok(Ast::Literal(self.with_unit(number)))
            }
            Some(Token::Literal(literal)) => {
                self.at += 1;
                Ok(Ast::Literal(literal))
            }
            Some(Token::Percent(name)) => {
                self.at += 1;
                Ok(Ast::Variable(name))
            }
            Some(Token::Word(word)) if word == "true" || word == "false" => {
                self.at += 1;
                Ok(Ast::Literal(Literal::Boolean(word == "true")))
            }
            _ => self.step(None),
        }
    }

    /// A number may carry a unit: `4 'mg'`, `3 days`.
    fn with_unit(&mut self, number: String) -> Literal {
        const CALENDAR: [&str; 8] =
            ["year", "month", "week", "day", "hour", "minute", "second", "millisecond"];
        let unit = match self.peek() {
            Some(Token::Literal(Literal::String(unit))) => Some(unit.clone()),
            Some(Token::Word(word)) if CALENDAR.contains(&word.strip_suffix('s').unwrap_or(word)) => {
                Some(word.clone())
            }
            _ => None,
        };
        match unit {
            None => Literal::Number(number),
            Some(unit) => {
                self.at += 1;
                Literal::Quantity(number, unit)
            }
        }
    }

    /// A member, a function or `$this`, on what stands before.
    fn step(&mut self, on: Option<Box<Ast>>) -> Result<Ast, ParseError> {
        let (name, is_quoted) = match self.peek().cloned() {
            Some(Token::Word(name)) => (name, false),
            Some(Token::Quoted(name)) => (name, true),
            Some(Token::Dollar(name)) => {
                self.at += 1;
                return match name.as_str() {
                    "this" => Ok(Ast::This),
                    "index" => Ok(Ast::Index),
                    "total" => Ok(Ast::Total),
                    _ => self.fail(),
                };
            }
            _ => return self.fail(),
        };
        self.at += 1;
        if is_quoted || !self.takes("(") {
            return Ok(Ast::Member(on, name));
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
        Ok(Ast::Function(on, name, arguments))
    }

    fn type_name(&mut self) -> Result<String, ParseError> {
        let mut name = String::new();
        loop {
            match self.peek().cloned() {
                Some(Token::Word(part) | Token::Quoted(part)) => name.push_str(&part),
                _ => return self.fail(),
            }
            self.at += 1;
            if !self.takes(".") {
                return Ok(name);
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
        if self.takes(wanted) { Ok(()) } else { self.fail() }
    }

    fn fail<T>(&self) -> Result<T, ParseError> {
        let offset = self.tokens.get(self.at).map_or(self.end, |(_, offset)| *offset);
        Err(ParseError { offset })
    }
}

//! `_filter`: conditions with and, or, not and brackets.
//!
//! <https://hl7.org/fhir/R4/search_filter.html>
//!
//! `and` binds tighter than `or`. On strings `eq` compares whole strings, without case and accents. `ne` holds
//! where some value is different, as the specification has it; `not (… eq …)` where none is equal. `in`, `ss` and `sb`
//! ask what `:in`, `:below` and `:above` ask.

use super::condition::{Planning, asks, reference};
use super::set::{self, Need};
use super::value::{Modifier, Reading};
use super::{Refusal, built};
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::ResourceType;
use crate::search::criterion::Test;
use crate::search::normal::normalised;
use crate::search::parameters::{Parameter, TypeParameters};
use crate::search::predicate::Predicate;
use crate::search::range::{Comparator, RangeTest};

/// The deepest nesting of brackets and paths.
const DEEPEST: usize = 16;

type Result<T> = std::result::Result<T, Refusal>;

/// The predicate of a filter on resources of that type.
pub(super) fn predicate(
    planning: &Planning<'_>,
    resource_type: ResourceType,
    name: &str,
    text: &str,
) -> Result<Predicate> {
    let (expression, count) = read(name, text)?;
    planning.count_values(name, count)?;
    Asker { planning, name }.predicate(resource_type, &expression)
}

/// What a filter asks of terminology; nothing where it is none.
pub(super) fn needed(text: &str) -> Vec<Need> {
    let mut needs = Vec::new();
    if let Ok((expression, _)) = read("_filter", text) {
        collect(&expression, &mut needs);
    }
    needs
}

fn collect(expression: &Expression<'_>, needs: &mut Vec<Need>) {
    match expression {
        Expression::All(parts) | Expression::Any(parts) => {
            for part in parts {
                collect(part, needs);
            }
        }
        Expression::Not(inner) => collect(inner, needs),
        Expression::Compare(path, operator, value) => {
            needs.extend(set_modifier(operator).and_then(|it| set::need(it, &escaped(value))));
            let mut path = Some(path);
            while let Some(it) = path {
                if let Some(filter) = &it.filter {
                    collect(filter, needs);
                }
                path = it.rest.as_deref();
            }
        }
    }
}

/// The modifier that asks the same as an operator. `ss`: the value subsumes a code of the resource; `sb`: it is
/// subsumed by one.
fn set_modifier(operator: &str) -> Option<&'static str> {
    match operator {
        "in" => Some("in"),
        "ss" => Some("below"),
        "sb" => Some("above"),
        _ => None,
    }
}

/// A value as it stands in a query; `|` stands for itself in both.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace(',', r"\,").replace('$', r"\$")
}

/// The filter, and how many comparisons it has.
fn read<'t>(name: &str, text: &'t str) -> Result<(Expression<'t>, usize)> {
    let mut reader = Reader { name, text, depth: 0, count: 0 };
    let expression = reader.either()?;
    reader.skip();
    if !reader.text.is_empty() {
        return Err(reader.bad("the filter goes on where it should end"));
    }
    Ok((expression, reader.count))
}

/// A filter, parsed.
enum Expression<'t> {
    All(Vec<Expression<'t>>),
    Any(Vec<Expression<'t>>),
    Not(Box<Expression<'t>>),
    Compare(Path<'t>, &'t str, String),
}

/// `subject[type eq Patient].name`
struct Path<'t> {
    name: &'t str,
    filter: Option<Box<Expression<'t>>>,
    rest: Option<Box<Path<'t>>>,
}

struct Reader<'t, 'p> {
    name: &'p str,
    text: &'t str,
    depth: usize,
    count: usize,
}

/// What makes a predicate of a filter.
struct Asker<'p> {
    planning: &'p Planning<'p>,
    name: &'p str,
}

impl<'t> Reader<'t, '_> {
    fn bad(&self, reason: &str) -> Refusal {
        Refusal::value(self.name, reason)
    }

    fn skip(&mut self) {
        self.text = self.text.trim_start();
    }

    fn take(&mut self, symbol: char) -> bool {
        self.skip();
        let rest = self.text.strip_prefix(symbol);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// Takes a word such as `and`, if it stands there as a whole.
    fn take_word(&mut self, word: &str) -> bool {
        self.skip();
        match self.text.strip_prefix(word) {
            Some(rest) if rest.starts_with([' ', '(']) => {
                self.text = rest;
                true
            }
            _ => false,
        }
    }

    fn either(&mut self) -> Result<Expression<'t>> {
        let mut parts = vec![self.both()?];
        while self.take_word("or") {
            parts.push(self.both()?);
        }
        Ok(one_of(parts, Expression::Any))
    }

    fn both(&mut self) -> Result<Expression<'t>> {
        let mut parts = vec![self.one()?];
        while self.take_word("and") {
            parts.push(self.one()?);
        }
        Ok(one_of(parts, Expression::All))
    }

    fn one(&mut self) -> Result<Expression<'t>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refusal::too_costly(self.name, "the filter is nested too deeply"));
        }
        let is_negated = self.take_word("not");
        let expression = if self.take('(') {
            let inner = self.either()?;
            if !self.take(')') {
                return Err(self.bad("a bracket is not closed"));
            }
            inner
        } else if is_negated {
            return Err(self.bad("a bracket is expected after not"));
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(if is_negated { Expression::Not(Box::new(expression)) } else { expression })
    }

    fn comparison(&mut self) -> Result<Expression<'t>> {
        self.count += 1;
        let path = self.path()?;
        self.skip();
        let operator = self.until(|letter| !letter.is_ascii_alphabetic());
        if operator.is_empty() || !self.text.starts_with(' ') {
            return Err(self.bad("path operator value is expected"));
        }
        self.skip();
        let value = if self.text.starts_with('"') { self.quoted()? } else { self.token().to_owned() };
        if value.is_empty() {
            return Err(self.bad("a value is expected"));
        }
        Ok(Expression::Compare(path, operator, value))
    }

    fn path(&mut self) -> Result<Path<'t>> {
        self.skip();
        let name = self.until(|letter| !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_');
        if name.is_empty() {
            return Err(self.bad("the name of a search parameter is expected"));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Refusal::too_costly(self.name, "the filter is nested too deeply"));
        }
        let mut path = Path { name, filter: None, rest: None };
        if self.text.starts_with('[') {
            self.take('[');
            path.filter = Some(Box::new(self.either()?));
            if !self.take(']') {
                return Err(self.bad("a square bracket is not closed"));
            }
        }
        if let Some(rest) = self.text.strip_prefix('.') {
            self.text = rest;
            path.rest = Some(Box::new(self.path()?));
        }
        self.depth -= 1;
        Ok(path)
    }

    fn until(&mut self, is_end: impl Fn(char) -> bool) -> &'t str {
        let end = self.text.find(is_end).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        taken
    }

    fn token(&mut self) -> &'t str {
        self.until(|letter| letter.is_whitespace() || matches!(letter, ')' | ']'))
    }

    fn quoted(&mut self) -> Result<String> {
        let mut value = String::new();
        let text = self.text;
        let mut letters = text.char_indices().skip(1);
        while let Some((place, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.text = text.get(place + 1..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
                _ => value.push(letter),
            }
        }
        Err(self.bad("a quotation mark is not closed"))
    }
}

impl Asker<'_> {
    fn bad(&self, reason: &str) -> Refusal {
        Refusal::value(self.name, reason)
    }

    fn predicate(&self, of: ResourceType, expression: &Expression<'_>) -> Result<Predicate> {
        match expression {
            Expression::All(parts) => {
                let parts: Result<Vec<_>> = parts.iter().map(|it| self.predicate(of, it)).collect();
                Ok(Predicate::all(parts?))
            }
            Expression::Any(parts) => {
                let parts: Result<Vec<_>> = parts.iter().map(|it| self.predicate(of, it)).collect();
                Ok(Predicate::any(parts?))
            }
            Expression::Not(inner) => Ok(self.predicate(of, inner)?.negated()),
            Expression::Compare(path, operator, value) => self.compare(of, path, operator, value),
        }
    }

    fn compare(&self, of: ResourceType, path: &Path<'_>, operator: &str, value: &str) -> Result<Predicate> {
        let parameters = self.planning.all.of_type(of);
        let Some(rest) = &path.rest else {
            if path.filter.is_some() {
                return Err(self.bad("a path is expected after the square brackets"));
            }
            return self.compare_value(of, parameters, path.name, operator, value);
        };
        let Some(reference) = built(self.name, reference(parameters, path.name))? else {
            return Err(Refusal::unknown(self.name, "the path goes through what is no reference"));
        };
        let mut targets =
            reference.target.map_or_else(|| reference.definition.targets.clone(), |it| vec![it]);
        // `[type eq Patient]` names the type; any other filter is one more condition there.
        let mut filter = path.filter.as_deref();
        if let Some(Expression::Compare(Path { name: "type", rest: None, .. }, "eq", named)) = filter {
            targets.retain(|it| it.name() == named.as_str());
            filter = None;
        }
        let found = self.planning.through(parameters, reference, &targets, |target| {
            let rest = self.compare(target, rest, operator, value)?;
            match filter {
                Some(filter) => Ok(self.predicate(target, filter)?.and(rest)),
                None => Ok(rest),
            }
        });
        found.unwrap_or_else(|| Err(self.bad("the reference is never to that type")))
    }

    fn compare_value(
        &self,
        of: ResourceType,
        parameters: &TypeParameters,
        name: &str,
        operator: &str,
        value: &str,
    ) -> Result<Predicate> {
        let escaped = escaped(value);
        if let Some(modifier) = set_modifier(operator) {
            return self
                .planning
                .condition(of, &format!("{name}:{modifier}"), &escaped, 0)
                .map_err(|it| it.within(self.name));
        }
        if matches!(name, "_id" | "_lastUpdated") {
            let value = if operator == "eq" { escaped } else { format!("{operator}{escaped}") };
            return self.planning.condition(of, name, &value, 0);
        }
        let Some(parameter) = built(self.name, parameters.get(name))? else {
            return Err(Refusal::unknown(
                self.name,
                &format!("the filter names what is no search parameter of {of}"),
            ));
        };
        if operator == "pr" {
            return self.planning.condition(
                of,
                &format!("{name}:missing"),
                if value == "true" { "false" } else { "true" },
                0,
            );
        }
        let reading = self.planning.reading(parameters, self.name);
        let test = self.test(&reading, parameter, operator, &escaped, value)?;
        Ok(asks(parameters, parameter, &test))
    }

    fn test(
        &self,
        reading: &Reading<'_>,
        parameter: &Parameter,
        operator: &str,
        escaped: &str,
        value: &str,
    ) -> Result<Test> {
        use SearchParameterKind as Of;
        let read = |text: &str| reading.test(parameter, Modifier::Plain, text);
        let not = |test: Test| Test::Not(Box::new(test));
        let normal = || -> Box<str> { normalised(value).into() };
        match (parameter.kind(), operator) {
            (Of::String, "eq") => Ok(Test::Equals(normal())),
            (Of::String, "ne") => Ok(not(Test::Equals(normal()))),
            (Of::String, "co") => Ok(Test::Contains(normal())),
            (Of::String, "sw") => Ok(Test::StartsWith(normal())),
            (Of::String, "ew") => Ok(Test::EndsWith(normal())),
            (Of::Token | Of::Uri | Of::Reference, "eq") | (Of::Reference, "re") => read(escaped),
            (Of::Token | Of::Uri | Of::Reference, "ne") => Ok(not(read(escaped)?)),
            (Of::Date, "po") => {
                let RangeTest { low, high, .. } = reading.date(escaped)?;
                Ok(Test::Date(RangeTest { comparator: Comparator::Approximately, low, high }))
            }
            (Of::Date | Of::Number | Of::Quantity, _) if Comparator::parse(operator).is_some() => {
                read(&format!("{operator}{escaped}"))
            }
            _ => Err(self.bad("that operator is not one for that parameter")),
        }
    }
}

fn one_of<'t>(
    mut parts: Vec<Expression<'t>>,
    of: impl Fn(Vec<Expression<'t>>) -> Expression<'t>,
) -> Expression<'t> {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            of(parts)
        }
        None => of(parts),
    }
}

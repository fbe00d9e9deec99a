//! Searched values: from the text of one alternative to a [`Test`].
//!
//! <https://hl7.org/fhir/R4/search.html#ptypes>

use super::Refusal;
use super::split::{split, unescape};
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::reference::Reference;
use crate::search::criterion::Test;
use crate::search::extract::token::token;
use crate::search::extract::uri::with_parents;
use crate::search::index::KeyKind;
use crate::search::normal::{normalised, words};
use crate::search::number::{Decimal, Unit};
use crate::search::parameters::{Parameter, TypeParameters};
use crate::search::range::{Comparator, RangeTest, Step};
use std::borrow::Cow;

/// How far `near` reaches where no distance is named, in kilometres.
const DEFAULT_DISTANCE: &str = "10";

/// What a modifier makes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    /// None
    Plain,
    /// `:exact`
    Exact,
    /// `:contains`
    Contains,
    /// `:text`
    Text,
    /// `:of-type`
    OfType,
    /// `:identifier`
    Identifier,
    /// `:Patient`
    Type(ResourceType),
    /// `:below`
    Below,
    /// `:above`
    Above,
}

/// What a value is read with.
pub(super) struct Reading<'a> {
    /// The FHIR base of this server.
    pub(super) base: &'a str,
    /// Now, in microseconds since 1970.
    pub(super) now: i64,
    /// The parameters of the type.
    pub(super) parameters: &'a TypeParameters,
    /// The name of the parameter as it was sent.
    pub(super) name: &'a str,
}

type Result<T> = std::result::Result<T, Refusal>;

impl Reading<'_> {
    /// What one value of a parameter asks for.
    pub(super) fn test(&self, parameter: &Parameter, modifier: Modifier, raw: &str) -> Result<Test> {
        if raw.is_empty() {
            return Err(self.bad("a value is needed"));
        }
        match parameter.kind() {
            _ if matches!(&**parameter.code(), "_text" | "_content") => {
                let words: Vec<_> = words(&unescape(raw)).map(Into::into).collect();
                if words.is_empty() { Err(self.bad("a word is needed")) } else { Ok(Test::Words(words)) }
            }
            SearchParameterKind::String => self.string(modifier, raw),
            SearchParameterKind::Token => self.token(parameter, modifier, raw),
            SearchParameterKind::Reference => self.reference(parameter, modifier, raw),
            SearchParameterKind::Uri => self.uri(modifier, raw),
            SearchParameterKind::Date => Ok(Test::Date(self.date(raw)?)),
            SearchParameterKind::Number => {
                Ok(Test::Number { unit: None, test: self.number(raw)?.range(|it| it) })
            }
            SearchParameterKind::Quantity => self.quantity(raw),
            SearchParameterKind::Composite => self.composite(parameter, raw),
            SearchParameterKind::Special => self.near(raw),
        }
    }

    /// A refusal of the value; it says nothing of the value itself, which may be anybody's name.
    pub(super) fn bad(&self, reason: &str) -> Refusal {
        Refusal::value(self.name, reason)
    }

    fn string(&self, modifier: Modifier, raw: &str) -> Result<Test> {
        let text = unescape(raw);
        let normal: Box<str> = normalised(&text).into();
        match modifier {
            Modifier::Exact => Ok(Test::Key(KeyKind::Exact, text.as_ref().into())),
            _ if normal.is_empty() => Err(self.bad("more than white space is needed")),
            Modifier::Contains => Ok(Test::Contains(normal)),
            _ => Ok(Test::StartsWith(normal)),
        }
    }

    fn token(&self, parameter: &Parameter, modifier: Modifier, raw: &str) -> Result<Test> {
        let parts: Vec<Cow<'_, str>> = split(raw, '|').into_iter().map(unescape).collect();
        let key = |kind, value: &str| Ok(Test::Key(kind, value.into()));
        match (modifier, parts.as_slice()) {
            (Modifier::Text, _) => match normalised(&unescape(raw)) {
                text if text.is_empty() => Err(self.bad("more than white space is needed")),
                text => Ok(Test::Text(text.into())),
            },
            (Modifier::OfType, [system, code, value]) if !code.is_empty() && !value.is_empty() => {
                key(KeyKind::OfType, &format!("{system}|{code}|{value}"))
            }
            (Modifier::OfType, _) => Err(self.bad("system|code|value is expected")),
            (_, [code]) => {
                let is_boolean = parameter.ends.iter().all(|it| **it == *"boolean");
                if is_boolean && !matches!(&**code, "true" | "false") {
                    return Err(self.bad("true or false is expected"));
                }
                key(KeyKind::Code, code)
            }
            (_, [_, _]) if self.has_no_systems(parameter) => Err(self.bad("this parameter takes no system")),
            (_, [_, code]) if parameter.is_bare() && !code.is_empty() => key(KeyKind::Code, code),
            (_, [system, code]) if code.is_empty() && !system.is_empty() => key(KeyKind::System, system),
            (_, [system, code]) if !code.is_empty() => key(KeyKind::Token, &token(system, code)),
            _ => Err(self.bad("code, system|code, |code or system| is expected")),
        }
    }

    /// R4 forbids the bar on ContactPoint, uri and boolean; a code's system is the one of its element.
    fn has_no_systems(&self, parameter: &Parameter) -> bool {
        parameter.ends.iter().all(|it| matches!(&**it, "boolean" | "ContactPoint" | "uri" | "canonical"))
    }

    fn reference(&self, parameter: &Parameter, modifier: Modifier, raw: &str) -> Result<Test> {
        if modifier == Modifier::Identifier {
            let parts: Vec<Cow<'_, str>> = split(raw, '|').into_iter().map(unescape).collect();
            return match parts.as_slice() {
                [value] => Ok(Test::Key(KeyKind::IdentifierValue, value.as_ref().into())),
                [system, value] if !value.is_empty() => {
                    Ok(Test::Key(KeyKind::Identifier, token(system, value).into()))
                }
                _ => Err(self.bad("value, system|value or |value is expected")),
            };
        }
        let text = unescape(raw);
        let (takes_urls, takes_references) = parameter.takes();
        let mut tests = Vec::new();
        if takes_urls {
            tests.push(Test::Key(KeyKind::ReferenceUrl, text.as_ref().into()));
        }
        if takes_references {
            match self.reference_to(parameter, modifier, &text) {
                Err(_) if takes_urls => {}
                Err(refusal) => return Err(refusal),
                Ok(test) => tests.push(test),
            }
        }
        Ok(any(tests))
    }

    fn reference_to(&self, parameter: &Parameter, modifier: Modifier, text: &str) -> Result<Test> {
        let target = match modifier {
            Modifier::Type(it) => Some(it),
            _ => parameter.target,
        };
        match Reference::parse(text) {
            Some(Reference::Resource { base, resource_type, id, version }) => {
                if target.is_some_and(|it| it != resource_type) {
                    return match modifier {
                        Modifier::Type(_) => {
                            Err(self.bad("the reference is to another type than the modifier says"))
                        }
                        _ => Ok(Test::Any(Vec::new())),
                    };
                }
                if base.is_some_and(|it| it != self.base) {
                    return Ok(Test::Key(KeyKind::ReferenceUrl, text.into()));
                }
                let version = version.map(|it| format!("/_history/{it}")).unwrap_or_default();
                Ok(Test::Key(KeyKind::Reference, format!("{resource_type}/{id}{version}").into()))
            }
            Some(Reference::Urn(_) | Reference::Url(_)) => Ok(Test::Key(KeyKind::ReferenceUrl, text.into())),
            Some(_) => Err(self.bad("a reference to a resource of its own is expected")),
            None => {
                let Some(id) = ResourceId::parse(text) else {
                    return Err(self.bad("an id, Type/id or a URL is expected"));
                };
                if let Some(target) = target {
                    return Ok(Test::Key(KeyKind::Reference, format!("{target}/{id}").into()));
                }
                let has_bare_ids = self.parameters.owners(parameter).all(Parameter::has_bare_ids);
                if has_bare_ids && parameter.has_bare_ids() {
                    return Ok(Test::Key(KeyKind::ReferenceId, id.as_str().into()));
                }
                let targets = parameter.definition.targets.iter();
                Ok(any(targets
                    .map(|it| Test::Key(KeyKind::Reference, format!("{it}/{id}").into()))
                    .collect()))
            }
        }
    }

    fn uri(&self, modifier: Modifier, raw: &str) -> Result<Test> {
        let uri = unescape(raw);
        let key = |kind, uri: &str| Test::Key(kind, uri.into());
        match modifier {
            Modifier::Plain => Ok(key(KeyKind::Uri, &uri)),
            _ => {
                let parents = with_parents(&uri);
                match (modifier, parents.first()) {
                    (_, None) => Err(self.bad("a URL is expected: other URIs have no hierarchy")),
                    (Modifier::Below, Some(it)) => Ok(key(KeyKind::UriBelow, it)),
                    _ => Ok(any(parents.into_iter().map(|it| key(KeyKind::Uri, it)).collect())),
                }
            }
        }
    }

    /// A date with its prefix.
    pub(super) fn date(&self, raw: &str) -> Result<RangeTest<i64>> {
        let (comparator, text) = prefixed(raw);
        // A plus sign that was not encoded arrives as a space.
        let text = text.replace(' ', "+");
        let Some(date) = DateTime::parse_search(&text) else {
            return Err(
                self.bad("a date is expected: yyyy, yyyy-mm, yyyy-mm-dd or yyyy-mm-ddThh:mm[:ss[.sss]][Z]")
            );
        };
        let interval = date.interval();
        let (mut low, mut high) = (interval.low, interval.high);
        if comparator == Comparator::Approximately {
            // A tenth of the way from now.
            let middle = low / 2 + high / 2;
            let margin = self.now.saturating_sub(middle).saturating_abs() / 10;
            (low, high) = (low.saturating_sub(margin), high.saturating_add(margin));
        }
        Ok(RangeTest { comparator, low, high })
    }

    fn number(&self, raw: &str) -> Result<Number> {
        let (comparator, text) = prefixed(raw);
        match Decimal::parse(text) {
            Some(decimal) => Ok(Number { comparator, decimal }),
            None => Err(self.bad("a number is expected")),
        }
    }

    fn quantity(&self, raw: &str) -> Result<Test> {
        let parts: Vec<Cow<'_, str>> = split(raw, '|').into_iter().map(unescape).collect();
        let (number, system, code) = match parts.as_slice() {
            [number] => (number, "", ""),
            [number, system, code] => (number, &**system, &**code),
            _ => return Err(self.bad("number, number|system|code or number||code is expected")),
        };
        let number = self.number(number)?;
        match (system, code) {
            ("", "") => Ok(Test::Number { unit: None, test: number.range(|it| it) }),
            ("", code) => Ok(Test::Unit { unit: code.into(), test: number.range(|it| it) }),
            (_, "") => Err(self.bad("a code is needed beside the system")),
            (system, code) => {
                let unit = Unit::of(Some(system), code);
                Ok(Test::Number { test: number.range(|it| unit.convert(it)), unit: Some(unit.name) })
            }
        }
    }

    fn composite(&self, parameter: &Parameter, raw: &str) -> Result<Test> {
        let Some(composite) = &parameter.composite else {
            return Err(Refusal::not_supported(self.name, "this composite is not supported"));
        };
        let values = split(raw, '$');
        if values.len() != composite.parts.len() {
            return Err(
                self.bad(&format!("{} values with $ between them are expected", composite.parts.len()))
            );
        }
        let mut tests = Vec::new();
        for ((place, _), value) in composite.parts.iter().zip(values) {
            let Some(part) = self.parameters.list.get(*place) else { continue };
            tests.push(self.test(part, Modifier::Plain, value)?);
        }
        Ok(Test::Composite(tests))
    }

    fn near(&self, raw: &str) -> Result<Test> {
        let parts: Vec<Cow<'_, str>> = split(raw, '|').into_iter().map(unescape).collect();
        let part = |place: usize| parts.get(place).map(AsRef::as_ref).filter(|it: &&str| !it.is_empty());
        let number = |text: &str| text.parse().ok().filter(|it: &f64| it.is_finite());
        let per_unit = match part(3) {
            None | Some("km") => 1000.0,
            Some("m") => 1.0,
            Some("cm") => 0.01,
            Some("[mi_i]" | "[mi_us]") => 1609.344,
            Some("[ft_i]") => 0.3048,
            Some(_) => return Err(self.bad("the unit must be km, m, cm, [mi_i], [mi_us] or [ft_i]")),
        };
        let latitude = part(0).and_then(number).filter(|it| it.abs() <= 90.0);
        let longitude = part(1).and_then(number).filter(|it| it.abs() <= 180.0);
        let distance = number(part(2).unwrap_or(DEFAULT_DISTANCE)).filter(|it| *it >= 0.0);
        match (latitude, longitude, distance, parts.len() <= 4) {
            (Some(latitude), Some(longitude), Some(distance), true) => {
                Ok(Test::Near { latitude, longitude, metres: distance * per_unit })
            }
            _ => Err(self.bad("latitude|longitude|distance|unit is expected")),
        }
    }
}

/// A searched number.
struct Number {
    comparator: Comparator,
    decimal: Decimal,
}

impl Number {
    /// What it compares with, in another unit. Digits count for equality alone.
    fn range(&self, convert: impl Fn(f64) -> f64) -> RangeTest<f64> {
        let Decimal { exact, low, end } = self.decimal;
        let (low, high) = match self.comparator {
            Comparator::Equal | Comparator::NotEqual => (convert(low), convert(end).previous()),
            Comparator::Approximately => {
                let margin = exact.abs() / 10.0;
                (convert(low.min(exact - margin)), convert(end.previous().max(exact + margin)))
            }
            _ => (convert(exact), convert(exact)),
        };
        RangeTest { comparator: self.comparator, low, high }
    }
}

fn prefixed(raw: &str) -> (Comparator, &str) {
    match raw.split_at_checked(2).and_then(|(prefix, rest)| Some((Comparator::parse(prefix)?, rest))) {
        Some((comparator, rest)) => (comparator, rest),
        None => (Comparator::Equal, raw),
    }
}

/// One of these, made simple.
pub(super) fn any(mut tests: Vec<Test>) -> Test {
    match tests.pop() {
        Some(only) if tests.is_empty() => only,
        Some(last) => {
            tests.push(last);
            Test::Any(tests)
        }
        None => Test::Any(tests),
    }
}

//! Value sets, as far as they are known.

use crate::fhir::json::quote;
use crate::terminology;
use crate::terminology::value_set::{Clause, ListedConcept, ValueSet as Definition};
use std::collections::HashSet;

/// Whether a code is in a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is.
    In,
    /// It is not.
    Out,
    /// That cannot be told with the code systems at hand.
    Unknown,
}

/// A value set.
#[derive(Debug, Default)]
pub(super) struct ValueSet {
    systems: Vec<System>,
    /// It draws on code systems that are not known at all.
    is_partial: bool,
}

#[derive(Debug)]
struct System {
    url: Box<str>,
    codes: HashSet<Box<str>>,
    has_all: bool,
    has_more: bool,
}

impl ValueSet {
    /// Reads a block: its head, and a line for each code system.
    pub(super) fn parse(block: &str) -> ValueSet {
        let mut value_set = ValueSet::default();
        for line in block.lines().skip(1) {
            let mut fields = line.split('\t').skip(1);
            let url = fields.next().unwrap_or_default();
            let codes: HashSet<Box<str>> = fields.map(Into::into).collect();
            if url == "?" {
                value_set.is_partial = true;
                continue;
            }
            let (has_all, has_more) = (codes.contains("*"), codes.contains("?"));
            value_set.systems.push(System { url: url.into(), codes, has_all, has_more });
        }
        value_set
    }

    /// A `code`: its system is not said, so any of the value set's will do.
    pub(super) fn code(&self, code: &str) -> Answer {
        let mut answer = if self.is_partial { Answer::Unknown } else { Answer::Out };
        for system in &self.systems {
            match system.answer(code) {
                Answer::In => return Answer::In,
                Answer::Unknown => answer = Answer::Unknown,
                Answer::Out => {}
            }
        }
        answer
    }

    /// A code with its system.
    pub(super) fn coding(&self, system: &str, code: &str) -> Answer {
        match self.systems.iter().find(|it| *it.url == *system) {
            Some(system) => system.answer(code),
            None if self.is_partial => Answer::Unknown,
            None => Answer::Out,
        }
    }
}

impl System {
    fn answer(&self, code: &str) -> Answer {
        if self.codes.contains(code) {
            return Answer::In;
        }
        match (self.has_all, self.has_more, terminology::is_code_of(&self.url, code)) {
            (true, _, Some(true)) => Answer::In,
            (true | false, _, Some(false)) => Answer::Out,
            (true, ..) | (_, true, _) => Answer::Unknown,
            _ => Answer::Out,
        }
    }
}

/// The block as a definition, for whoever expands it.
pub(super) fn defined(url: &str, block: &str) -> Definition {
    let mut definition = Definition {
        url: url.to_owned(),
        about: vec![("url".to_owned(), quote(url)), ("status".to_owned(), quote("active"))],
        ..Definition::default()
    };
    for line in block.lines().skip(1) {
        let mut fields = line.split('\t').skip(1);
        let system = fields.next().unwrap_or_default();
        let codes: Vec<&str> = fields.collect();
        if system == "?" || codes.contains(&"?") {
            definition.is_partial = true;
        }
        let listed = codes.iter().filter(|it| !matches!(**it, "*" | "?"));
        let concepts: Vec<ListedConcept> = match codes.contains(&"*") {
            true => Vec::new(),
            false => listed
                .map(|it| ListedConcept { code: (*it).to_owned(), ..ListedConcept::default() })
                .collect(),
        };
        if system != "?" && (codes.contains(&"*") || !concepts.is_empty()) {
            definition.include.push(Clause {
                system: Some(system.to_owned()),
                concepts,
                ..Clause::default()
            });
        }
    }
    definition
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_it_can_and_no_more() {
        let plain = ValueSet::parse("values\tv\n\ts\ta\tb\n");
        assert_eq!((plain.code("a"), plain.code("c")), (Answer::In, Answer::Out));
        assert_eq!((plain.coding("s", "b"), plain.coding("t", "b")), (Answer::In, Answer::Out));
        let open = ValueSet::parse("values\tv\n\ts\t*\n\tt\t?\ta\n\turn:ietf:bcp:47\t*\n");
        assert_eq!(open.coding("s", "x"), Answer::Unknown);
        assert_eq!((open.coding("t", "a"), open.coding("t", "b")), (Answer::In, Answer::Unknown));
        assert_eq!(
            (open.coding("urn:ietf:bcp:47", "en"), open.coding("urn:ietf:bcp:47", "_")),
            (Answer::In, Answer::Out)
        );
        assert_eq!(ValueSet::parse("values\tv\n\t?\t?\n").coding("s", "a"), Answer::Unknown);
    }
}

//! A package of facts: a guide such as US Core, or R4's own profiles and value sets.
//!
//! Reading one finds where its blocks stand; what they say is compiled when it is first needed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// A package.
pub struct Guide {
    /// `hl7.fhir.us.core`
    pub name: Box<str>,
    /// `6.1.0`
    pub version: Box<str>,
    /// The URL of its ImplementationGuide, if it has one.
    pub canonical: Box<str>,
    /// What a server of this guide must say about itself.
    pub capabilities: Vec<Capability>,
    /// The operations that it defines.
    pub operations: Vec<Operation>,
    text: Cow<'static, str>,
    profiles: HashMap<Box<str>, Range<usize>>,
    value_sets: HashMap<Box<str>, Range<usize>>,
    parameters: Range<usize>,
}

/// What a guide's CapabilityStatement asks of a server.
#[derive(Clone, Debug)]
pub struct Capability {
    /// Its canonical URL.
    pub url: Box<str>,
    /// By resource type.
    pub types: Vec<CapabilityOfType>,
}

/// What it asks for one resource type.
#[derive(Clone, Debug)]
pub struct CapabilityOfType {
    /// The resource type.
    pub resource_type: Box<str>,
    /// The profiles to support.
    pub profiles: Vec<Box<str>>,
    /// Search parameters to be used together, and how strongly that is asked: `SHALL`, `SHOULD`, `MAY`.
    pub combinations: Vec<(Box<str>, Vec<Box<str>>)>,
}

/// An operation, as its OperationDefinition says.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The canonical URL of the definition.
    pub url: Box<str>,
    /// The name without `$`.
    pub code: Box<str>,
    /// It may be asked of the system.
    pub on_system: bool,
    /// It may be asked of a type.
    pub on_type: bool,
    /// It may be asked of an instance.
    pub on_instance: bool,
    /// It changes something.
    pub affects_state: bool,
    /// The types that it is for.
    pub resource_types: Vec<Box<str>>,
}

impl Guide {
    /// Reads a package of facts; nothing if it does not begin like one.
    #[must_use]
    pub fn parse(text: impl Into<Cow<'static, str>>) -> Option<Guide> {
        let text = text.into();
        let mut guide = Guide {
            name: Box::default(),
            version: Box::default(),
            canonical: Box::default(),
            capabilities: Vec::new(),
            operations: Vec::new(),
            text: Cow::Borrowed(""),
            profiles: HashMap::new(),
            value_sets: HashMap::new(),
            parameters: 0..0,
        };
        for block in blocks(&text) {
            let lines = text.get(block.clone()).unwrap_or_default();
            let (head, body) = lines.split_once('\n').unwrap_or((lines, ""));
            let fields: Vec<&str> = head.split('\t').collect();
            match *fields.as_slice() {
                ["package", name, version, canonical] => {
                    guide.name = name.into();
                    guide.version = version.into();
                    guide.canonical = canonical.into();
                }
                ["profile", url, ..] => {
                    guide.profiles.insert(url.into(), block);
                }
                ["values", url] => {
                    guide.value_sets.insert(url.into(), block);
                }
                ["parameter", ..] => {
                    let start =
                        if guide.parameters.is_empty() { block.start } else { guide.parameters.start };
                    guide.parameters = start..block.end;
                }
                ["operation", url, code, places, types] => {
                    guide.operations.push(operation(url, code, places, types));
                }
                ["capability", url] => {
                    let types = body.lines().filter_map(capability_of_type).collect();
                    guide.capabilities.push(Capability { url: url.into(), types });
                }
                _ => return None,
            }
        }
        guide.text = text;
        (!guide.name.is_empty()).then_some(guide)
    }

    /// The facts, as they were read.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The block of a profile: its head, and a line for each element.
    pub fn profile(&self, url: &str) -> Option<&str> {
        self.text.get(self.profiles.get(url)?.clone())
    }

    /// The URLs of its profiles and extensions.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(|url| &**url)
    }

    /// The block of a value set: its head, and a line for each code system.
    pub fn value_set(&self, url: &str) -> Option<&str> {
        self.text.get(self.value_sets.get(url)?.clone())
    }

    /// The URLs of its value sets.
    pub fn value_sets(&self) -> impl Iterator<Item = &str> {
        self.value_sets.keys().map(|url| &**url)
    }

    /// The lines of its search parameters.
    pub(super) fn search_parameters(&self) -> &str {
        self.text.get(self.parameters.clone()).unwrap_or_default()
    }
}

/// Where the blocks stand: a line that is not indented, and the indented ones below it.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if !line.starts_with('\t') {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().copied().skip(1).chain([at]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

fn operation(url: &str, code: &str, places: &str, types: &str) -> Operation {
    Operation {
        url: url.into(),
        code: code.into(),
        on_system: places.contains('s'),
        on_type: places.contains('t'),
        on_instance: places.contains('i'),
        affects_state: places.contains('a'),
        resource_types: words(types),
    }
}

fn capability_of_type(line: &str) -> Option<CapabilityOfType> {
    let mut fields = line.strip_prefix('\t')?.split('\t');
    let resource_type = fields.next()?.into();
    let profiles = words(fields.next().unwrap_or_default());
    let combinations = fields.next().unwrap_or_default().split(' ').filter_map(|it| it.split_once(':'));
    let combinations = combinations
        .map(|(expectation, codes)| (expectation.into(), codes.split('+').map(Into::into).collect()))
        .collect();
    Some(CapabilityOfType { resource_type, profiles, combinations })
}

fn words(text: &str) -> Vec<Box<str>> {
    text.split(' ').filter(|it| !it.is_empty()).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_blocks_of_a_package() {
        let guide = Guide::parse(
            "package\tx\t1\t\nprofile\thttp://p\t1\tPatient\tPatient\n\tname\tcard 1..\nvalues\thttp://v\n\ts\ta\n\
             parameter\thttp://q\tq\ttoken\tPatient\t\tPatient.id\noperation\thttp://o\to\tta\tPatient Group\n\
             capability\thttp://c\n\tPatient\thttp://p\tSHALL:a+b MAY:c\n",
        )
        .unwrap();
        assert_eq!(guide.profile("http://p").unwrap().lines().count(), 2);
        assert_eq!(guide.value_set("http://v").unwrap(), "values\thttp://v\n\ts\ta\n");
        assert!(guide.search_parameters().starts_with("parameter\thttp://q"));
        assert!(
            guide.operations[0].on_type
                && !guide.operations[0].on_system
                && guide.operations[0].affects_state
        );
        let of = &guide.capabilities[0].types[0];
        assert_eq!(
            (&*of.combinations[0].0, of.combinations[0].1.len(), of.combinations.len()),
            ("SHALL", 2, 2)
        );
        assert!(Guide::parse("nonsense\n").is_none());
    }
}

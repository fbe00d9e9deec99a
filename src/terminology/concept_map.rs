//! A ConceptMap: from the codes of one system to those of another.
//!
//! <https://hl7.org/fhir/R4/conceptmap.html>

use super::code_system::{items, text};
use crate::fhir::json::Node;

/// A concept map.
#[derive(Clone, Debug, Default)]
pub struct ConceptMap {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// The value set it maps from.
    pub source: Option<String>,
    /// The value set it maps to.
    pub target: Option<String>,
    groups: Vec<Group>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    source: String,
    target: String,
    elements: Vec<Element>,
    unmapped: Option<(String, Element)>,
}

#[derive(Clone, Debug, Default)]
struct Element {
    code: String,
    targets: Vec<Target>,
}

#[derive(Clone, Debug, Default)]
struct Target {
    code: String,
    display: Option<String>,
    equivalence: String,
}

/// What a code is mapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match<'a> {
    /// How the two compare: `equivalent`, `wider` …
    pub equivalence: &'a str,
    /// The system of the other code.
    pub system: &'a str,
    /// The other code.
    pub code: String,
    /// What it is called.
    pub display: Option<&'a str>,
}

impl ConceptMap {
    /// Reads a ConceptMap resource.
    #[must_use]
    pub fn read(root: Node<'_>) -> ConceptMap {
        let side = |name: &str| {
            text(root, &format!("{name}Uri")).or_else(|| text(root, &format!("{name}Canonical")))
        };
        ConceptMap {
            url: text(root, "url").unwrap_or_default(),
            version: text(root, "version"),
            source: side("source"),
            target: side("target"),
            groups: items(root, "group").map(group).collect(),
        }
    }

    /// What a code of a system is mapped to, in any target system or in that one.
    #[must_use]
    pub fn translate(&self, system: &str, code: &str, target: Option<&str>) -> Vec<Match<'_>> {
        let groups = self.groups.iter().filter(|it| it.source == system);
        let groups = groups.filter(|it| target.is_none_or(|target| it.target == target));
        groups.flat_map(|it| it.translate(code)).collect()
    }

    /// Which codes are mapped to a code of a system: the map read backwards.
    #[must_use]
    pub fn translate_back(&self, system: &str, code: &str, source: Option<&str>) -> Vec<Match<'_>> {
        let groups = self.groups.iter().filter(|it| it.target == system);
        let mut found = Vec::new();
        for group in groups.filter(|it| source.is_none_or(|source| it.source == source)) {
            for element in &group.elements {
                let hits = element.targets.iter().filter(|it| it.code == code);
                found.extend(hits.map(|it| Match {
                    equivalence: reversed(&it.equivalence),
                    system: &group.source,
                    code: element.code.clone(),
                    display: None,
                }));
            }
        }
        found
    }
}

impl Group {
    fn translate(&self, code: &str) -> Vec<Match<'_>> {
        let matched = |it: &'_ Target| it.code.clone();
        if let Some(element) = self.elements.iter().find(|it| it.code == code) {
            let targets = element.targets.iter();
            return targets
                .map(|it| Match {
                    equivalence: &it.equivalence,
                    system: &self.target,
                    code: matched(it),
                    display: it.display.as_deref(),
                })
                .collect();
        }
        let Some((mode, fixed)) = &self.unmapped else { return Vec::new() };
        match mode.as_str() {
            "provided" => {
                vec![Match {
                    equivalence: "equal",
                    system: &self.target,
                    code: code.to_owned(),
                    display: None,
                }]
            }
            "fixed" => {
                let of = |it: &Target| it.display.is_some();
                let display = fixed.targets.iter().find(|it| of(it)).and_then(|it| it.display.as_deref());
                vec![Match {
                    equivalence: "inexact",
                    system: &self.target,
                    code: fixed.code.clone(),
                    display,
                }]
            }
            _ => Vec::new(),
        }
    }
}

fn group(node: Node<'_>) -> Group {
    let unmapped = node.get("unmapped").and_then(|it| {
        let targets = vec![Target { display: text(it, "display"), ..Target::default() }];
        Some((text(it, "mode")?, Element { code: text(it, "code").unwrap_or_default(), targets }))
    });
    Group {
        source: text(node, "source").unwrap_or_default(),
        target: text(node, "target").unwrap_or_default(),
        elements: items(node, "element").filter_map(element).collect(),
        unmapped,
    }
}

fn element(node: Node<'_>) -> Option<Element> {
    let target = |it: Node<'_>| Target {
        code: text(it, "code").unwrap_or_default(),
        display: text(it, "display"),
        equivalence: text(it, "equivalence").unwrap_or_default(),
    };
    Some(Element { code: text(node, "code")?, targets: items(node, "target").map(target).collect() })
}

/// How the target compares with the source, seen from the other side.
fn reversed(equivalence: &str) -> &str {
    match equivalence {
        "wider" => "narrower",
        "narrower" => "wider",
        "subsumes" => "specializes",
        "specializes" => "subsumes",
        same => same,
    }
}

/// Whether a match says that there is such a code at all.
#[must_use]
pub fn is_match(equivalence: &str) -> bool {
    !matches!(equivalence, "unmatched" | "disjoint")
}

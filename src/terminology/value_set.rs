//! A ValueSet: what it includes and excludes.
//!
//! <https://hl7.org/fhir/R4/valueset.html>

use super::code_system::{Designation, designations, items, text};
use crate::fhir::json::Node;

/// A value set.
#[derive(Clone, Debug, Default)]
pub struct ValueSet {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// What it is made of.
    pub include: Vec<Clause>,
    /// What is taken out again.
    pub exclude: Vec<Clause>,
    /// `false` where codes that are not active are not part of it.
    pub includes_inactive: Option<bool>,
    /// The members that an expansion repeats, as JSON text: `name`, `title`, `status` …
    pub about: Vec<(String, String)>,
    /// It draws on code systems that are not said: a value set known by compact facts alone.
    pub is_partial: bool,
}

/// A part of a value set: what satisfies all that it says.
#[derive(Clone, Debug, Default)]
pub struct Clause {
    /// The code system.
    pub system: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// These codes alone; empty where none are listed.
    pub concepts: Vec<ListedConcept>,
    /// What its concepts must satisfy.
    pub filters: Vec<Filter>,
    /// Value sets that a code must be in as well.
    pub value_sets: Vec<String>,
}

/// A code that a value set lists.
#[derive(Clone, Debug, Default)]
pub struct ListedConcept {
    /// The code.
    pub code: String,
    /// What the value set calls it.
    pub display: Option<String>,
    /// What else it calls it.
    pub designations: Vec<Designation>,
}

/// What concepts must satisfy. <https://hl7.org/fhir/R4/valueset-filter-operator.html>
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Which property, or `concept`, `code`, `display`.
    pub property: String,
    /// `=`, `is-a` …
    pub operator: String,
    /// With what.
    pub value: String,
}

/// What an expansion repeats of its definition.
const ABOUT: [&str; 9] =
    ["url", "identifier", "version", "name", "title", "status", "experimental", "date", "publisher"];

impl ValueSet {
    /// Reads a ValueSet resource. One with an expansion and no definition is what the expansion holds.
    #[must_use]
    pub fn read(root: Node<'_>) -> ValueSet {
        let compose = root.get("compose");
        let clauses = |name: &str| compose.into_iter().flat_map(|it| items(it, name)).map(clause).collect();
        let mut value_set = ValueSet {
            url: text(root, "url").unwrap_or_default(),
            version: text(root, "version"),
            include: clauses("include"),
            exclude: clauses("exclude"),
            includes_inactive: compose.and_then(|it| it.get("inactive")).and_then(Node::as_bool),
            about: ABOUT
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), root.get(name)?.raw().to_owned())))
                .collect(),
            is_partial: false,
        };
        if let (None, Some(expansion)) = (compose, root.get("expansion")) {
            contained(expansion, &mut value_set.include, 0);
        }
        value_set
    }

    /// `url|version`
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.clone(),
        }
    }

    /// Every part, included and excluded.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.include.iter().chain(&self.exclude)
    }
}

fn clause(node: Node<'_>) -> Clause {
    Clause {
        system: text(node, "system"),
        version: text(node, "version"),
        concepts: items(node, "concept").filter_map(listed).collect(),
        filters: items(node, "filter").map(filter).collect(),
        value_sets: items(node, "valueSet").filter_map(|it| it.as_str().map(|it| it.into_owned())).collect(),
    }
}

fn listed(node: Node<'_>) -> Option<ListedConcept> {
    Some(ListedConcept {
        code: text(node, "code")?,
        display: text(node, "display"),
        designations: designations(node),
    })
}

fn filter(node: Node<'_>) -> Filter {
    Filter {
        property: text(node, "property").unwrap_or_default(),
        operator: text(node, "op").unwrap_or_default(),
        value: text(node, "value").unwrap_or_default(),
    }
}

/// What an expansion holds, as clauses that list it.
fn contained(node: Node<'_>, clauses: &mut Vec<Clause>, depth: usize) {
    for item in items(node, "contains") {
        let is_abstract = item.get("abstract").and_then(Node::as_bool) == Some(true);
        if let (Some(system), Some(concept), false) = (text(item, "system"), listed(item), is_abstract) {
            let version = text(item, "version");
            let same = clauses.last_mut().filter(|it| it.system.as_ref() == Some(&system));
            match same {
                Some(clause) => clause.concepts.push(concept),
                None => clauses.push(Clause {
                    system: Some(system),
                    version,
                    concepts: vec![concept],
                    ..Clause::default()
                }),
            }
        }
        if depth < 64 {
            contained(item, clauses, depth + 1);
        }
    }
}

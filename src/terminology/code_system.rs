//! A CodeSystem: its concepts in order, and who stands above whom.
//!
//! <https://hl7.org/fhir/R4/codesystem.html>
//!
//! The hierarchy is that of nesting together with the properties `parent`, `child` and `subsumedBy`.

use crate::fhir::json::Node;
use std::collections::{HashMap, HashSet};

/// The deepest nesting of concepts that is read.
const DEEPEST: usize = 64;

/// A code system.
#[derive(Clone, Debug, Default)]
pub struct CodeSystem {
    /// Its canonical URL.
    pub url: String,
    /// Its version.
    pub version: Option<String>,
    /// Its computer name.
    pub name: Option<String>,
    /// The language of its displays.
    pub language: Option<String>,
    /// `complete`, `fragment`, `example`, `not-present`, `supplement`.
    pub content: String,
    /// The system that it supplements, where it is a supplement.
    pub supplements: Option<String>,
    /// Its concepts, depth first.
    pub concepts: Vec<Concept>,
    /// It holds only what a question needs of a system that is too large to be held.
    pub is_excerpt: bool,
    is_case_sensitive: bool,
    places: HashMap<String, usize>,
}

/// A concept.
#[derive(Clone, Debug, Default)]
pub struct Concept {
    /// The code.
    pub code: String,
    /// What people call it.
    pub display: Option<String>,
    /// What it means, in words.
    pub definition: Option<String>,
    /// What else it is called.
    pub designations: Vec<Designation>,
    /// What else is known of it.
    pub properties: Vec<Property>,
    /// The concepts right above it, by their places.
    pub parents: Vec<usize>,
    /// The concepts right below it, by their places.
    pub children: Vec<usize>,
}

/// Another name of a concept.
#[derive(Clone, Debug, Default)]
pub struct Designation {
    /// Its language.
    pub language: Option<String>,
    /// Its use: a Coding as JSON text.
    pub usage: Option<String>,
    /// The name.
    pub value: String,
}

/// A property of a concept.
#[derive(Clone, Debug)]
pub struct Property {
    /// Which one.
    pub code: String,
    /// The member that holds the value: `valueCode`, `valueString` …
    pub kind: String,
    /// The value as JSON text.
    pub json: String,
    /// The value as it is compared: of a Coding the code.
    pub text: String,
}

impl CodeSystem {
    /// Reads a CodeSystem resource; nothing if it has no URL.
    #[must_use]
    pub fn read(root: Node<'_>) -> Option<CodeSystem> {
        let mut system = CodeSystem {
            url: text(root, "url")?,
            version: text(root, "version"),
            name: text(root, "name"),
            language: text(root, "language"),
            content: text(root, "content").unwrap_or_default(),
            supplements: text(root, "supplements"),
            // R4 leaves it open where nothing is said; codes that differ in case alone are then two codes.
            is_case_sensitive: root.get("caseSensitive").and_then(Node::as_bool).unwrap_or(true),
            ..CodeSystem::default()
        };
        system.read_concepts(root, None, 0);
        system.link_by_properties();
        Some(system)
    }

    /// What a question needs of a big system: concepts, and steps of the hierarchy as child and parent.
    #[must_use]
    pub fn excerpt(
        url: &str,
        version: &str,
        concepts: impl IntoIterator<Item = Concept>,
        steps: &[(String, String)],
    ) -> CodeSystem {
        let mut system = CodeSystem {
            url: url.to_owned(),
            version: (!version.is_empty()).then(|| version.to_owned()),
            content: "complete".to_owned(),
            is_excerpt: true,
            is_case_sensitive: true,
            ..CodeSystem::default()
        };
        for concept in concepts {
            system.add(concept);
        }
        for (child, parent) in steps {
            if let (Some(child), Some(parent)) = (system.place(child), system.place(parent)) {
                system.link(parent, child);
            }
        }
        system
    }

    /// The place of a code.
    #[must_use]
    pub fn place(&self, code: &str) -> Option<usize> {
        match self.is_case_sensitive {
            true => self.places.get(code).copied(),
            false => self.places.get(&code.to_lowercase()).copied(),
        }
    }

    /// The concept with that code.
    #[must_use]
    pub fn concept(&self, code: &str) -> Option<&Concept> {
        self.concepts.get(self.place(code)?)
    }

    /// Whether two codes that differ in case alone are two codes.
    #[must_use]
    pub fn is_case_sensitive(&self) -> bool {
        self.is_case_sensitive
    }

    /// Whether it holds every code that there is.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.content == "complete"
    }

    /// `url|version`
    #[must_use]
    pub fn canonical(&self) -> String {
        match &self.version {
            Some(version) => format!("{}|{version}", self.url),
            None => self.url.clone(),
        }
    }

    /// Everything below a concept, itself not included.
    #[must_use]
    pub fn below(&self, place: usize) -> HashSet<usize> {
        self.closure(place, |it| &it.children)
    }

    /// Everything above a concept, itself not included.
    #[must_use]
    pub fn above(&self, place: usize) -> HashSet<usize> {
        self.closure(place, |it| &it.parents)
    }

    fn closure(&self, place: usize, next: impl Fn(&Concept) -> &Vec<usize>) -> HashSet<usize> {
        let (mut found, mut open) = (HashSet::new(), vec![place]);
        while let Some(at) = open.pop() {
            for near in self.concepts.get(at).map(&next).into_iter().flatten() {
                if *near != place && found.insert(*near) {
                    open.push(*near);
                }
            }
        }
        found
    }

    /// Adds what a supplement says of the concepts that are here; it cannot add concepts.
    pub fn supplement(&mut self, supplement: &CodeSystem) {
        for more in &supplement.concepts {
            let Some(concept) = self.place(&more.code).and_then(|it| self.concepts.get_mut(it)) else {
                continue;
            };
            concept.designations.extend(more.designations.iter().cloned());
            concept.properties.extend(more.properties.iter().cloned());
            if let (Some(display), Some(language)) = (&more.display, &supplement.language) {
                let language = Some(language.clone());
                concept.designations.push(Designation { language, usage: None, value: display.clone() });
            }
        }
    }

    /// Adds a concept below others; codes that are there already stay as they are.
    pub fn add(&mut self, concept: Concept) -> usize {
        let key = match self.is_case_sensitive {
            true => concept.code.clone(),
            false => concept.code.to_lowercase(),
        };
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.concepts.len();
        self.places.insert(key, place);
        self.concepts.push(concept);
        place
    }

    /// Puts one concept right below another.
    pub fn link(&mut self, parent: usize, child: usize) {
        if parent == child {
            return;
        }
        if let Some(it) = self.concepts.get_mut(parent)
            && !it.children.contains(&child)
        {
            it.children.push(child);
        }
        if let Some(it) = self.concepts.get_mut(child)
            && !it.parents.contains(&parent)
        {
            it.parents.push(parent);
        }
    }

    fn read_concepts(&mut self, node: Node<'_>, parent: Option<usize>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        for item in node.get("concept").into_iter().flat_map(Node::items) {
            let Some(code) = text(item, "code") else { continue };
            let place = self.add(Concept {
                code,
                display: text(item, "display"),
                definition: text(item, "definition"),
                designations: designations(item),
                properties: items(item, "property").filter_map(property).collect(),
                ..Concept::default()
            });
            if let Some(parent) = parent {
                self.link(parent, place);
            }
            self.read_concepts(item, Some(place), depth + 1);
        }
    }

    fn link_by_properties(&mut self) {
        let mut links = Vec::new();
        for (place, concept) in self.concepts.iter().enumerate() {
            for property in &concept.properties {
                let Some(other) = self.place(&property.text) else { continue };
                match property.code.as_str() {
                    "parent" | "subsumedBy" => links.push((other, place)),
                    "child" => links.push((place, other)),
                    _ => {}
                }
            }
        }
        for (parent, child) in links {
            self.link(parent, child);
        }
    }
}

impl Concept {
    /// Whether it may be used in a record no more.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.properties.iter().any(|it| match it.code.as_str() {
            "inactive" => it.text == "true",
            "status" => matches!(it.text.as_str(), "retired" | "inactive" | "deprecated"),
            // The date from which it is deprecated is not compared with today: the core knows no clock.
            "deprecated" => it.kind == "valueBoolean" && it.text == "true",
            _ => false,
        })
    }

    /// Whether it only groups others and is not for use.
    #[must_use]
    pub fn is_abstract(&self) -> bool {
        self.properties
            .iter()
            .any(|it| matches!(it.code.as_str(), "notSelectable" | "abstract") && it.text == "true")
    }

    /// Its name in a language, or else its display.
    #[must_use]
    pub fn display_in(&self, language: Option<&str>) -> Option<&str> {
        let named = language.and_then(|language| {
            let speaks =
                |it: &&Designation| it.language.as_deref().is_some_and(|it| is_language_of(it, language));
            self.designations.iter().find(speaks).map(|it| it.value.as_str())
        });
        named.or(self.display.as_deref())
    }
}

/// Whether a text in one language serves who asks for another: `de-CH` serves `de`.
#[must_use]
pub fn is_language_of(language: &str, asked: &str) -> bool {
    asked.split(',').map(|it| it.split(';').next().unwrap_or_default().trim()).any(|asked| {
        language.eq_ignore_ascii_case(asked)
            || language.split_once('-').is_some_and(|(it, _)| it.eq_ignore_ascii_case(asked))
    })
}

/// The designations of a concept.
pub(super) fn designations(concept: Node<'_>) -> Vec<Designation> {
    let read = |it: Node<'_>| {
        Some(Designation {
            language: text(it, "language"),
            usage: it.get("use").map(|it| it.raw().to_owned()),
            value: text(it, "value")?,
        })
    };
    items(concept, "designation").filter_map(read).collect()
}

fn property(node: Node<'_>) -> Option<Property> {
    let (name, value) =
        node.members().find(|(name, _)| name.as_str().is_some_and(|it| it.starts_with("value")))?;
    let compared = match value.is_object() {
        true => text(value, "code").unwrap_or_default(),
        false => value.as_str().map_or_else(|| value.raw().to_owned(), std::borrow::Cow::into_owned),
    };
    Some(Property {
        code: text(node, "code")?,
        kind: name.as_str()?.into_owned(),
        json: value.raw().to_owned(),
        text: compared,
    })
}

/// A string of an object.
pub(super) fn text(node: Node<'_>, name: &str) -> Option<String> {
    node.string(name).map(std::borrow::Cow::into_owned)
}

/// The items of a list of an object.
pub(super) fn items<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> {
    node.get(name).into_iter().flat_map(Node::items)
}

//! A questionnaire, ready to be compared with.

use crate::conformance::rulebook::Rulebook;
use crate::conformance::value_set;
use crate::fhir::json::Node;
use crate::terminology::expand::{self, Ready};
use crate::terminology::library::Library;
use crate::terminology::value_set::ValueSet;
use std::collections::{HashMap, HashSet};

/// The questionnaire.
pub(super) struct Form<'q> {
    /// Its canonical: the rule that an issue names.
    pub(super) rule: String,
    pub(super) items: Asking<'q>,
    /// Every linkId, at whatever place.
    pub(super) link_ids: HashSet<String>,
    sets: HashMap<String, Set<'q>>,
}

/// The items of one level.
#[derive(Default)]
pub(super) struct Asking<'q> {
    pub(super) items: Vec<Asked<'q>>,
    positions: HashMap<String, usize>,
}

/// An item that is asked.
pub(super) struct Asked<'q> {
    pub(super) node: Node<'q>,
    pub(super) link_id: String,
    /// `group`, `display`, `choice` …
    pub(super) kind: String,
    pub(super) is_required: bool,
    pub(super) repeats: bool,
    pub(super) inner: Asking<'q>,
}

/// A value set, with displays or without.
enum Set<'q> {
    Ready(Ready<'q>),
    Facts(&'q value_set::ValueSet),
}

/// Whether a coding is one of a value set.
pub(super) enum Membership<'q> {
    /// It is, and may be called by these names; none are known where there are none.
    In(Vec<&'q str>),
    Out,
    Unknown,
}

impl<'q> Form<'q> {
    pub(super) fn new(
        questionnaire: Node<'q>,
        canonical: &str,
        contained: &'q [(String, ValueSet)],
        library: Option<&'q Library>,
        book: &'q Rulebook,
    ) -> Form<'q> {
        let mut form = Form {
            rule: canonical.split('|').next().unwrap_or(canonical).to_owned(),
            items: Asking::default(),
            link_ids: HashSet::new(),
            sets: HashMap::new(),
        };
        let mut wanted = HashSet::new();
        form.items = level(questionnaire, &mut form.link_ids, &mut wanted);
        let library = library.unwrap_or(&EMPTY);
        for canonical in wanted {
            let named = match canonical.strip_prefix('#') {
                Some(id) => contained.iter().find(|(it, _)| it == id).map(|(_, it)| it),
                None => library.value_set(&canonical).map(|it| &**it),
            };
            let ready = named.and_then(|set| Ready::new(library, set).ok());
            let set = match (ready, named) {
                (Some(ready), _) => Some(Set::Ready(ready)),
                (None, Some(_)) => None,
                (None, None) => book.value_set(&canonical, None).map(Set::Facts),
            };
            form.sets.extend(set.map(|it| (canonical, it)));
        }
        form
    }

    /// Whether a coding is one of the value set of that canonical.
    pub(super) fn membership(&self, canonical: &str, coding: Node<'_>) -> Membership<'q> {
        // Whatever a value set holds has a system and a code.
        let (Some(system), Some(code)) = (coding.string("system"), coding.string("code")) else {
            return Membership::Out;
        };
        let Some(set) = self.sets.get(canonical) else { return Membership::Unknown };
        match set {
            Set::Facts(facts) => match facts.coding(&system, &code) {
                value_set::Answer::In => Membership::In(Vec::new()),
                value_set::Answer::Out => Membership::Out,
                value_set::Answer::Unknown => Membership::Unknown,
            },
            Set::Ready(ready) => match ready.coding(&system, coding.string("version").as_deref(), &code) {
                expand::Answer::In(member) => {
                    let names = member.designations().map(|it| it.value.as_str());
                    let own = member.concept.and_then(|it| it.display.as_deref());
                    Membership::In(member.display(None).into_iter().chain(own).chain(names).collect())
                }
                expand::Answer::Out => Membership::Out,
                expand::Answer::Unknown(_) => Membership::Unknown,
            },
        }
    }
}

/// A library without books, for value sets that list their codes.
static EMPTY: std::sync::LazyLock<Library> = std::sync::LazyLock::new(Library::default);

/// The value sets that a questionnaire contains, by id.
pub(super) fn contained_sets(questionnaire: Node<'_>) -> Vec<(String, ValueSet)> {
    let contained = questionnaire.get("contained").into_iter().flat_map(Node::items);
    let sets = contained.filter(|it| it.get("resourceType").is_some_and(|it| it.is("ValueSet")));
    sets.filter_map(|it| Some((it.string("id")?.into_owned(), ValueSet::read(it)))).collect()
}

fn level<'q>(holder: Node<'q>, link_ids: &mut HashSet<String>, wanted: &mut HashSet<String>) -> Asking<'q> {
    let mut asking = Asking::default();
    for node in holder.get("item").into_iter().flat_map(Node::items) {
        let Some(link_id) = node.string("linkId") else { continue };
        wanted.extend(node.string("answerValueSet").map(|it| it.into_owned()));
        if let Some(units) = extension(node, UNIT_VALUE_SET).and_then(|it| it.as_str()) {
            wanted.insert(units.into_owned());
        }
        link_ids.insert(link_id.clone().into_owned());
        asking.positions.insert(link_id.clone().into_owned(), asking.items.len());
        asking.items.push(Asked {
            node,
            link_id: link_id.into_owned(),
            kind: node.string("type").unwrap_or_default().into_owned(),
            is_required: node.get("required").and_then(Node::as_bool) == Some(true),
            repeats: node.get("repeats").and_then(Node::as_bool) == Some(true),
            inner: level(node, link_ids, wanted),
        });
    }
    asking
}

/// `questionnaire-unitValueSet`
pub(super) const UNIT_VALUE_SET: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-unitValueSet";

impl Asking<'_> {
    pub(super) fn position(&self, link_id: &str) -> Option<usize> {
        self.positions.get(link_id).copied()
    }
}

impl Asked<'_> {
    /// Whether an answer of that type may be given. <https://hl7.org/fhir/R4/valueset-item-type.html>
    pub(super) fn takes(&self, kind: &str) -> bool {
        match self.kind.as_str() {
            "boolean" => kind == "Boolean",
            "decimal" => kind == "Decimal",
            "integer" => kind == "Integer",
            "date" => kind == "Date",
            "dateTime" => kind == "DateTime",
            "time" => kind == "Time",
            "string" | "text" => kind == "String",
            "url" => kind == "Uri",
            "attachment" => kind == "Attachment",
            "reference" => kind == "Reference",
            "quantity" => kind == "Quantity",
            // The types that an option of the questionnaire may have.
            "choice" | "open-choice" => {
                matches!(kind, "Coding" | "String" | "Integer" | "Date" | "Time" | "Reference")
            }
            _ => true,
        }
    }
}

/// `value[x]`: its type, as the name ends, and the value.
pub(super) fn value_of(node: Node<'_>) -> Option<(&str, Node<'_>)> {
    node.members().find_map(|(key, value)| {
        let raw = key.raw();
        let kind = raw.get(1..raw.len().saturating_sub(1))?.strip_prefix("value")?;
        Some((kind, value))
    })
}

/// The value of an extension.
pub(super) fn extension<'n>(node: Node<'n>, url: &str) -> Option<Node<'n>> {
    extensions(node, url).first().copied()
}

/// The values of every extension of that URL.
pub(super) fn extensions<'n>(node: Node<'n>, url: &str) -> Vec<Node<'n>> {
    let all = node.get("extension").into_iter().flat_map(Node::items);
    let of_url = all.filter(|it| it.get("url").is_some_and(|it| it.is(url)));
    of_url.filter_map(|it| Some(value_of(it)?.1)).collect()
}

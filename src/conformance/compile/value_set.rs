//! Value sets, expanded as far as their code systems are at hand.
//!
//! Codes only, no displays. `*` stands for every code of a system that is not at hand, `?` for codes that
//! cannot be told without the system.

use super::{Source, list, text, write_line};
use crate::conformance::definitions::Definitions;
use crate::terminology;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// System → its codes.
type Codes = BTreeMap<String, BTreeSet<String>>;

#[derive(Default)]
struct Catalogue<'s> {
    /// Where value sets are that were expanded before.
    definitions: Option<&'s Definitions>,
    value_sets: HashMap<&'s str, &'s Value>,
    expansions: HashMap<&'s str, &'s Value>,
    code_systems: HashMap<&'s str, &'s Value>,
}

/// A block for each of these value sets that is known.
pub(super) fn value_sets(urls: &[String], source: &Source, core: &Source) -> String {
    let mut catalogue = Catalogue::default();
    catalogue.add_all(core);
    catalogue.add_all(source);
    let mut out = String::new();
    for url in urls {
        if let Some(codes) = catalogue.expand(url, 0) {
            write(&mut out, url, &codes);
        }
    }
    out
}

/// A block for each of these value sets that the source holds. Those that are decided by neither, or in part
/// alone, are told.
pub(super) fn added(
    urls: &[String],
    source: &Source,
    definitions: &Definitions,
    warnings: &mut Vec<String>,
) -> String {
    let mut catalogue = Catalogue { definitions: Some(definitions), ..Catalogue::default() };
    catalogue.add_all(source);
    let mut out = String::new();
    for url in urls {
        let plain = url.split('|').next().unwrap_or(url);
        let is_own = [url.as_str(), plain]
            .iter()
            .any(|it| catalogue.value_sets.contains_key(it) || catalogue.expansions.contains_key(it));
        let codes = catalogue.expand(url, 0);
        let Some(codes) = codes.filter(|_| is_own) else {
            if catalogue.known(url).is_none() {
                warnings.push(format!("{url}: the value set is not here; codes are not held to it"));
            }
            continue;
        };
        let open = codes.iter().filter(|(_, codes)| codes.contains("*") || codes.contains("?"));
        let open: Vec<&str> = open
            .map(|(system, _)| system.as_str())
            .filter(|it| terminology::is_code_of(it, "").is_none())
            .collect();
        if !open.is_empty() {
            let systems = open.join(", ");
            warnings.push(format!("{url}: the codes of {systems} are not here; they are taken as they come"));
        }
        write(&mut out, url, &codes);
    }
    out
}

fn write(out: &mut String, url: &str, codes: &Codes) {
    write_line(out, &["values", url]);
    for (system, codes) in codes {
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        write_line(out, &["", system, &codes.join("\t")]);
    }
}

impl<'s> Catalogue<'s> {
    fn add_all(&mut self, from: &'s Source) {
        for value_set in from.of("ValueSet") {
            let url = text(&value_set["url"]);
            if value_set["expansion"].is_object() {
                self.expansions.insert(url, value_set);
            }
            if value_set["compose"].is_object() {
                self.value_sets.insert(url, value_set);
            }
        }
        self.code_systems.extend(from.of("CodeSystem").iter().map(|it| (text(&it["url"]), it)));
    }

    /// What a value set holds that was expanded before.
    fn known(&self, url: &str) -> Option<Codes> {
        let plain = url.split('|').next().unwrap_or(url);
        let guides = self.definitions?.guides().iter();
        let block = guides.rev().find_map(|it| it.value_set(url).or_else(|| it.value_set(plain)))?;
        let mut codes = Codes::new();
        for line in block.lines().skip(1) {
            let mut fields = line.split('\t').skip(1).map(str::to_owned);
            if let Some(system) = fields.next() {
                codes.entry(system).or_default().extend(fields);
            }
        }
        Some(codes)
    }

    fn expand(&self, url: &str, depth: usize) -> Option<Codes> {
        let plain = url.split('|').next().unwrap_or(url);
        let mut codes = Codes::new();
        let composed = self.value_sets.get(url).or_else(|| self.value_sets.get(plain));
        if let Some(value_set) = composed.filter(|_| depth < 8) {
            for include in list(&value_set["compose"]["include"]) {
                self.add(include, depth, &mut codes);
            }
            for exclude in list(&value_set["compose"]["exclude"]) {
                let mut taken = Codes::new();
                self.add(exclude, depth, &mut taken);
                for (system, out) in taken {
                    if let Some(codes) = codes.get_mut(&system) {
                        codes.retain(|code| !out.contains(code));
                    }
                }
            }
        }
        let is_complete = !codes.is_empty() && !codes.values().any(|it| it.contains("*") || it.contains("?"));
        // The codes of a grammar cannot be listed: an expansion of them is never whole.
        let is_grammar = codes.keys().any(|system| terminology::is_code_of(system, "").is_some());
        let expansion = self.expansions.get(plain).filter(|_| !is_complete && !is_grammar);
        if let Some(expanded) = expansion.filter(|it| is_whole(it)) {
            codes.clear();
            contains(&expanded["expansion"], &mut codes);
        }
        if codes.is_empty() { self.known(url) } else { Some(codes) }
    }

    fn add(&self, include: &Value, depth: usize, codes: &mut Codes) {
        let Some(system) = include["system"].as_str() else {
            // Several value sets: what is in all of them.
            let mut sets = list(&include["valueSet"]).map(|it| self.expand(text(it), depth + 1));
            let Some(first) = sets.next() else { return };
            let mut common = first.unwrap_or_else(unknown);
            for other in sets {
                let Some(other) = other else { continue };
                common.retain(|system, _| other.contains_key(system));
                for (system, codes) in &mut common {
                    codes.retain(|code| other.get(system).is_some_and(|it| it.contains(code)));
                }
            }
            for (system, found) in common {
                codes.entry(system).or_default().extend(found);
            }
            return;
        };
        let into = codes.entry(system.to_owned()).or_default();
        if include["concept"].is_array() {
            into.extend(list(&include["concept"]).map(|it| text(&it["code"]).to_owned()));
            return;
        }
        let known = self.code_systems.get(system).filter(|it| it["content"] == "complete");
        let has_filter = include["filter"].is_array();
        match known {
            Some(code_system) if !has_filter => all_concepts(code_system, &mut |code| {
                into.insert(code.to_owned());
            }),
            Some(code_system) => match filtered(code_system, &include["filter"]) {
                Some(found) => into.extend(found),
                None => {
                    into.insert("?".to_owned());
                }
            },
            None => {
                into.insert(if has_filter { "?" } else { "*" }.to_owned());
            }
        }
    }
}

fn unknown() -> Codes {
    Codes::from([("?".to_owned(), BTreeSet::from(["?".to_owned()]))])
}

fn is_whole(value_set: &Value) -> bool {
    let mut codes = Codes::new();
    contains(&value_set["expansion"], &mut codes);
    let count = codes.values().map(BTreeSet::len).sum::<usize>() as u64;
    value_set["expansion"]["total"].as_u64().is_none_or(|total| total <= count) && count > 0 && count != 1000
}

fn contains(of: &Value, codes: &mut Codes) {
    for entry in list(&of["contains"]) {
        if let Some(code) = entry["code"].as_str().filter(|_| entry["abstract"] != true) {
            codes.entry(text(&entry["system"]).to_owned()).or_default().insert(code.to_owned());
        }
        contains(entry, codes);
    }
}

fn all_concepts(of: &Value, each: &mut impl FnMut(&str)) {
    for concept in list(&of["concept"]) {
        each(text(&concept["code"]));
        all_concepts(concept, each);
    }
}

/// The codes that meet every filter; nothing where one is not understood.
fn filtered(code_system: &Value, filters: &Value) -> Option<Vec<String>> {
    let mut found: Option<Vec<String>> = None;
    for filter in list(filters) {
        let value = text(&filter["value"]);
        let subtree = below(code_system, value);
        let matching = match (text(&filter["property"]), text(&filter["op"])) {
            ("concept" | "code", "is-a") => subtree,
            ("concept" | "code", "descendent-of") => subtree.into_iter().filter(|it| it != value).collect(),
            ("concept" | "code", "is-not-a") => {
                let mut rest = Vec::new();
                all_concepts(code_system, &mut |code| rest.push(code.to_owned()));
                rest.retain(|code| !subtree.contains(code));
                rest
            }
            _ => return None,
        };
        found = Some(match found {
            None => matching,
            Some(before) => before.into_iter().filter(|it| matching.contains(it)).collect(),
        });
    }
    found
}

/// A concept and all below it: nested, or related by a property `subsumedBy` or `parent`.
fn below(code_system: &Value, root: &str) -> Vec<String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    relations(code_system, None, &mut pairs);
    let mut found = vec![root.to_owned()];
    let mut place = 0;
    while let Some(parent) = found.get(place).cloned() {
        for (child, of) in &pairs {
            if *of == parent && !found.contains(child) {
                found.push(child.clone());
            }
        }
        place += 1;
    }
    found
}

fn relations(of: &Value, parent: Option<&str>, pairs: &mut Vec<(String, String)>) {
    for concept in list(&of["concept"]) {
        let code = text(&concept["code"]);
        pairs.extend(parent.map(|parent| (code.to_owned(), parent.to_owned())));
        for property in list(&concept["property"]) {
            if matches!(text(&property["code"]), "subsumedBy" | "parent") {
                pairs.push((code.to_owned(), text(&property["valueCode"]).to_owned()));
            }
        }
        relations(concept, Some(code), pairs);
    }
}

//! Security labels: what makes a resource sensitive, worked out from the codes in it.
//!
//! <https://hl7.org/fhir/R4/security-labels.html>, <http://hl7.org/fhir/uv/security-label-ds4p/>
//!
//! The server writes the label of a class (`fhir-profiles/vesta/labels.tsv`) into `meta.security` of every resource
//! that holds one of its codes, whoever writes it and whatever they say: it can be added to, and not taken away.
//! What a label only implies (a visit during which something sensitive was found) is not worked out.

use crate::fhir::json::{Kind, Node, Splices};
use crate::fhir::resource::Resource;
use std::collections::HashMap;

const LABELS: &str = include_str!("../../fhir-profiles/vesta/labels.tsv");

/// The code system of labels.
pub const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";

/// The classes of labels, and the codes that put a resource into each.
#[derive(Debug, Default)]
pub struct Labels {
    classes: Vec<LabelClass>,
    whole: HashMap<Box<str>, HashMap<Box<str>, Vec<usize>>>,
    beginnings: HashMap<Box<str>, Vec<(Box<str>, usize)>>,
}

/// Labels that go together.
#[derive(Debug)]
pub struct LabelClass {
    /// What roles call it.
    pub name: Box<str>,
    /// The label that the server writes, and those that mean the class, too.
    pub codes: Vec<Box<str>>,
}

impl Labels {
    /// Those that come with the program.
    #[must_use]
    pub fn embedded() -> Labels {
        let mut labels = Labels::default();
        for line in LABELS.lines().filter(|it| !it.starts_with('#')) {
            let mut words = line.split('\t');
            match (words.next(), words.next()) {
                (Some("class"), Some(name)) => {
                    let codes = words.map(Box::from).collect();
                    labels.classes.push(LabelClass { name: name.into(), codes });
                }
                (Some("code"), Some(name)) => {
                    let class = labels.classes.iter().position(|it| &*it.name == name);
                    let (Some(class), Some(system)) = (class, words.next()) else { continue };
                    words.for_each(|code| labels.add(class, system, code));
                }
                _ => {}
            }
        }
        labels
    }

    fn add(&mut self, class: usize, system: &str, code: &str) {
        for url in systems(system) {
            // What stands below a code of ICD-10 begins with it.
            match code.strip_suffix('*').or((system == "icd").then_some(code)) {
                Some(beginning) => {
                    self.beginnings.entry((*url).into()).or_default().push((beginning.into(), class));
                }
                None => {
                    let codes = self.whole.entry((*url).into()).or_default();
                    codes.entry(code.into()).or_default().push(class);
                }
            }
        }
    }

    /// Every class.
    #[must_use]
    pub fn classes(&self) -> &[LabelClass] {
        &self.classes
    }

    /// The class that a label means.
    #[must_use]
    pub fn class_of(&self, code: &str) -> Option<&LabelClass> {
        self.classes.iter().find(|it| it.codes.iter().any(|own| &**own == code))
    }

    /// The resource with the labels that it must carry; nothing where it carries them already.
    #[must_use]
    pub fn applied(&self, resource: &Resource) -> Option<String> {
        let mut found = vec![false; self.classes.len()];
        for (name, value) in resource.root().members() {
            if !name.is("meta") {
                self.look_into(value, &mut found);
            }
        }
        if !found.contains(&true) {
            return None;
        }
        let meta = resource.root().get("meta").filter(|it| it.is_object());
        let security = meta.and_then(|it| it.get("security")).filter(|it| it.is_array());
        let is_there = |code: &str| {
            security.into_iter().flat_map(Node::items).any(|it| {
                it.string("code").is_some_and(|it| it == code)
                    && it.string("system").is_some_and(|it| it == SYSTEM)
            })
        };
        let missing: Vec<String> = self
            .classes
            .iter()
            .zip(found)
            .filter(|(_, is_found)| *is_found)
            .filter_map(|(class, _)| class.codes.first())
            .filter(|code| !is_there(code))
            .map(|code| format!("{{\"system\":\"{SYSTEM}\",\"code\":\"{code}\"}}"))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let missing = missing.join(",");
        let mut splices = Splices::default();
        match (meta, security) {
            (_, Some(security)) => {
                let end = security.span().end.saturating_sub(1);
                let joint = if security.items().next().is_some() { "," } else { "" };
                splices.replace(end..end, format!("{joint}{missing}"));
            }
            (Some(meta), None) => {
                let end = meta.span().end.saturating_sub(1);
                let joint = if meta.members().next().is_some() { "," } else { "" };
                splices.replace(end..end, format!("{joint}\"security\":[{missing}]"));
            }
            (None, None) => {
                let end = resource.root().get("resourceType")?.span().end;
                splices.replace(end..end, format!(",\"meta\":{{\"security\":[{missing}]}}"));
            }
        }
        Some(splices.apply(resource.json()))
    }

    fn look_into(&self, node: Node<'_>, found: &mut [bool]) {
        match node.kind() {
            Kind::Array => node.items().for_each(|it| self.look_into(it, found)),
            Kind::Object => {
                if let (Some(system), Some(code)) = (node.get("system"), node.get("code")) {
                    self.look_at(system, code, found);
                }
                node.members().for_each(|(_, it)| self.look_into(it, found));
            }
            _ => {}
        }
    }

    fn look_at(&self, system: Node<'_>, code: Node<'_>, found: &mut [bool]) {
        let (Some(system), Some(code)) = (system.as_str(), code.as_str()) else { return };
        let mut mark = |class: usize| {
            if let Some(it) = found.get_mut(class) {
                *it = true;
            }
        };
        if let Some(classes) = self.whole.get(&*system).and_then(|codes| codes.get(&*code)) {
            classes.iter().for_each(|it| mark(*it));
        }
        for (beginning, class) in self.beginnings.get(&*system).into_iter().flatten() {
            if begins(&code, beginning) {
                mark(*class);
            }
        }
    }
}

/// Whether a code begins so. ICD-10 is written with and without its dot, and in small letters by some.
fn begins(code: &str, beginning: &str) -> bool {
    let letters =
        |text: &str| text.bytes().filter(|it| *it != b'.').map(|it| it.to_ascii_uppercase()).collect();
    let (code, beginning): (Vec<u8>, Vec<u8>) = (letters(code), letters(beginning));
    code.starts_with(&beginning)
}

fn systems(name: &str) -> &'static [&'static str] {
    match name {
        "icd" => &["http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-10"],
        "sct" => &["http://snomed.info/sct"],
        "loinc" => &["http://loinc.org"],
        "rxnorm" => &["http://www.nlm.nih.gov/research/umls/rxnorm"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    fn applied(text: &str) -> Option<String> {
        Labels::embedded().applied(&Resource::parse(text, &Limits::default()).unwrap())
    }

    #[test]
    fn every_line_names_a_class_and_a_system_that_there_are() {
        let labels = Labels::embedded();
        for line in LABELS.lines().filter(|it| !it.starts_with('#')) {
            let words: Vec<&str> = line.split('\t').collect();
            assert!(labels.classes.iter().any(|it| &*it.name == words[1]), "{line}");
            assert!(words[0] == "class" || !systems(words[2]).is_empty(), "{line}");
            assert!(words.len() > 2, "{line}");
        }
    }

    #[test]
    fn a_sensitive_code_is_labelled_wherever_it_stands() {
        let labelled = r#"{"resourceType":"Condition","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"SUD"}]},"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"F10.20"}]}}"#;
        let plain = r#"{"resourceType":"Condition","code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"F10.20"}]}}"#;
        assert_eq!(applied(plain).as_deref(), Some(labelled));
        assert_eq!(applied(labelled), None, "it has it already");
        let without_dot = plain.replace("F10.20", "f1020");
        assert!(applied(&without_dot).unwrap().contains("SUD"));
    }

    #[test]
    fn labels_join_those_that_are_there() {
        let text = r#"{"resourceType":"Observation","meta":{"security":[{"system":"x","code":"y"}]},"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"20447-9"}]}}]}"#;
        let labelled = applied(text).unwrap();
        assert!(
            labelled.contains(r#"{"system":"x","code":"y"},{"system":"http://terminology"#),
            "{labelled}"
        );
        assert!(labelled.contains("\"HIV\""), "{labelled}");
        let text = r#"{"resourceType":"Observation","meta":{},"code":{"coding":[{"system":"http://loinc.org","code":"20447-9"}]}}"#;
        assert!(applied(text).unwrap().contains(r#""meta":{"security":[{"#));
    }

    #[test]
    fn what_is_not_sensitive_stays_as_it_is() {
        for (system, code) in [
            ("http://loinc.org", "8867-4"),
            ("http://hl7.org/fhir/sid/icd-10-cm", "F17.210"),
            ("http://elsewhere", "86406008"),
        ] {
            let text = format!(
                r#"{{"resourceType":"Condition","code":{{"coding":[{{"system":"{system}","code":"{code}"}}]}}}}"#
            );
            assert_eq!(applied(&text), None, "{system}|{code}");
        }
        let tagged = r#"{"resourceType":"Basic","meta":{"tag":[{"system":"http://snomed.info/sct","code":"86406008"}]}}"#;
        assert_eq!(applied(tagged), None, "a tag is no content");
    }
}

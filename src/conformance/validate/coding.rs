//! Codes of code systems that are at hand: whether they exist, and are called what the resource says.
//!
//! <https://hl7.org/fhir/R4/datatypes.html#Coding>. A code system that is not at hand, or only in part, refuses
//! nothing. Only asked by `$validate`: a write does not wait for code systems to be found.

use super::Mode;
use super::walk::Walk;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::terminology::code_system::Concept;

impl Walk<'_, '_> {
    /// Checks a Coding by its own code system.
    pub(super) fn coding(&mut self, coding: Node<'_>) {
        if self.mode < Mode::Full {
            return;
        }
        let Some((system, url)) = coding.get("system").and_then(|it| Some((it, it.as_str()?))) else {
            if coding.get("code").is_some() {
                let message = "a code without its system means nothing to anybody else";
                self.warn(coding, IssueType::CodeInvalid, "", message);
            }
            return;
        };
        // CodeSystem.url is "an absolute URI ... This is used in Coding.system".
        if !url.contains(':') {
            return self.complain(system, IssueType::Value, "", "the URI of a code system is absolute");
        }
        let library = self.beside.map(|it| &it.library);
        let is_value_set = url.starts_with("http://hl7.org/fhir/ValueSet/")
            || library.is_some_and(|it| it.code_system(&url).is_none() && it.value_set(&url).is_some());
        if is_value_set {
            return self.complain(system, IssueType::CodeInvalid, "", "a value set is no code system");
        }
        let (Some(library), Some(code)) = (library, coding.string("code")) else { return };
        if library.is_supplement(&url) {
            let message = "a supplement of a code system has no codes of its own";
            return self.complain(system, IssueType::CodeInvalid, "", message);
        }
        let Some(known) = library.code_system(&canonical(&url, coding)) else { return };
        let Some(concept) = known.concept(&code) else {
            if known.is_complete() {
                self.complain(coding, IssueType::CodeInvalid, &url, "the code system has no such code");
            }
            return;
        };
        if let Some(display) = coding.get("display")
            && display.as_str().is_some_and(|it| !is_called(&it, names(concept)))
        {
            let message = "the display is not what the code system calls the code";
            self.complain(display, IssueType::CodeInvalid, &url, message);
        }
    }
}

fn canonical(url: &str, coding: Node<'_>) -> String {
    match coding.string("version") {
        Some(version) => format!("{url}|{version}"),
        None => url.to_owned(),
    }
}

fn names(concept: &Concept) -> impl Iterator<Item = &str> {
    let designations = concept.designations.iter().map(|it| it.value.as_str());
    concept.display.as_deref().into_iter().chain(designations)
}

/// Whether a display is one of these names, case and white space aside. Where there are no names any will do.
pub(super) fn is_called<'n>(display: &str, names: impl IntoIterator<Item = &'n str>) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let said = plain(display);
    let mut names = names.into_iter().peekable();
    names.peek().is_none() || names.any(|it| plain(it) == said)
}

//! Whether a code is one of a code system or value set, and is called what somebody says.
//!
//! <https://hl7.org/fhir/R4/valueset-operation-validate-code.html>

use super::code_system::{CodeSystem, Concept};
use super::expand::{Answer, Member, Ready};
use super::is_code_of;
use super::library::Library;

/// A code that somebody asks about.
#[derive(Clone, Debug, Default)]
pub struct Coding {
    /// Its system, if that is said.
    pub system: Option<String>,
    /// The version of the system.
    pub version: Option<String>,
    /// The code.
    pub code: String,
    /// What it is said to be called.
    pub display: Option<String>,
}

/// What is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is in, and the display, if there was one, is right.
    pub is_valid: bool,
    /// What is wrong, or worth knowing.
    pub message: Option<String>,
    /// What it should be called.
    pub display: Option<String>,
    /// Its system, as found.
    pub system: Option<String>,
    /// The code, as found.
    pub code: Option<String>,
    /// The version of the system that was asked.
    pub version: Option<String>,
    /// It is not active.
    pub is_inactive: bool,
}

/// Whether a code is one of a code system.
#[must_use]
pub fn in_code_system(system: &CodeSystem, coding: &Coding, language: Option<&str>) -> Verdict {
    let found = Verdict {
        system: Some(system.url.clone()),
        version: system.version.clone(),
        code: Some(coding.code.clone()),
        ..Verdict::default()
    };
    let Some(concept) = system.concept(&coding.code) else {
        let message = match system.is_complete() {
            true => format!("there is no code {} in {}", coding.code, system.url),
            false => format!("the code {} is not known; {} is known only in part", coding.code, system.url),
        };
        return Verdict { message: Some(message), ..found };
    };
    named(found, coding, Some(concept), concept.display_in(language))
}

/// Whether a code is in a value set. Without a system it is looked for in every system of the set.
///
/// A code system that is not here makes the answer `false` with a message, as the specification asks.
#[must_use]
pub fn in_value_set(
    library: &Library,
    ready: &Ready<'_>,
    (name, coding): (&str, &Coding),
    language: Option<&str>,
) -> Verdict {
    let systems: Vec<&str> = match &coding.system {
        Some(system) => vec![system],
        None => ready.systems().into_iter().collect(),
    };
    let (mut unknown, mut found): (Option<String>, Vec<(&str, Member<'_>)>) = (None, Vec::new());
    for system in &systems {
        match ready.coding(system, coding.version.as_deref(), &coding.code) {
            Answer::In(member) => found.push((system, member)),
            Answer::Unknown(canonical) => unknown = Some(canonical),
            Answer::Out => {}
        }
    }
    let verdict = Verdict {
        code: Some(coding.code.clone()),
        system: coding.system.clone(),
        version: coding.version.clone(),
        ..Verdict::default()
    };
    match (found.as_slice(), unknown) {
        ([(system, member)], _) => {
            let verdict = Verdict {
                system: Some((*system).to_owned()),
                version: member.version.map(str::to_owned).or(verdict.version),
                ..verdict
            };
            named(verdict, coding, member.concept, member.display(language))
        }
        ([], Some(canonical)) => {
            let message =
                format!("the code system {canonical} is not known here, so the code cannot be checked");
            Verdict { message: Some(message), ..verdict }
        }
        ([], None) => {
            let shown = coding.system.as_deref().map(|it| format!("{it}#")).unwrap_or_default();
            let mut message = format!("the code {shown}{} is not in the value set {name}", coding.code);
            let system = coding.system.as_deref().and_then(|it| library.code_system(it));
            let is_code = match (system, &coding.system) {
                (Some(system), _) => Some(system.concept(&coding.code).is_some()),
                (None, Some(url)) => is_code_of(url, &coding.code),
                (None, None) => None,
            };
            if is_code == Some(false) {
                message.push_str("; the code system has no such code");
            }
            Verdict { message: Some(message), ..verdict }
        }
        (_, _) => {
            let message = "several code systems of the value set have that code, name the system".to_owned();
            Verdict { message: Some(message), ..verdict }
        }
    }
}

/// The verdict on a code that is there: its display must be one of its names.
fn named(found: Verdict, coding: &Coding, concept: Option<&Concept>, display: Option<&str>) -> Verdict {
    let found = Verdict {
        display: display.map(str::to_owned),
        is_inactive: concept.is_some_and(Concept::is_inactive),
        ..found
    };
    let Some(said) = &coding.display else { return Verdict { is_valid: true, ..found } };
    let is_same = |it: &str| plain(it) == plain(said);
    let of_concept = concept.into_iter().flat_map(|it| {
        it.display.as_deref().into_iter().chain(it.designations.iter().map(|it| it.value.as_str()))
    });
    let mut names = display.into_iter().chain(of_concept).peekable();
    if names.peek().is_none() || names.any(is_same) {
        return Verdict { is_valid: true, ..found };
    }
    let right = display.unwrap_or_default();
    let message = format!("the display of {} is not as was said; it is \"{right}\"", coding.code);
    Verdict { is_valid: false, message: Some(message), ..found }
}

/// A name without what does not matter: case and white space.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

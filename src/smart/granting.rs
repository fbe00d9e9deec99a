//! Which scopes may be asked for, granted, and asked for again: they only ever shrink.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>
//!
//! Scopes stay as the client wrote them, version 1 or 2, because the token answer must say what was granted
//! in its words. What is unknown, or more than the client registered for, is left out: nothing is granted
//! by a word that nobody understands.

use crate::access::scope::{Level, Permission, ResourceScope};
use crate::crypto::token_hash;

/// The scopes that are not over resources.
const WORDS: [&str; 9] = [
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "smart/orchestrate_launch",
];

const PERMISSIONS: [Permission; 5] =
    [Permission::Create, Permission::Read, Permission::Update, Permission::Delete, Permission::Search];

/// A finer choice that users are offered instead of a whole type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finer {
    /// The scope.
    pub scope: String,
    /// What it means.
    pub label: &'static str,
}

const CONDITION: &str = "http://terminology.hl7.org/CodeSystem/condition-category";
const US_CORE: &str = "http://hl7.org/fhir/us/core/CodeSystem/condition-category";
const OBSERVATION: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// The categories of a type: system, code, and what users read.
fn categories(type_name: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match type_name {
        "Condition" => &[
            (CONDITION, "encounter-diagnosis", "diagnoses of visits"),
            (CONDITION, "problem-list-item", "the problem list"),
            (US_CORE, "health-concern", "health concerns"),
        ],
        "Observation" => &[
            (OBSERVATION, "laboratory", "laboratory results"),
            (OBSERVATION, "vital-signs", "vital signs"),
            (OBSERVATION, "social-history", "social history"),
            (OBSERVATION, "survey", "surveys"),
            (OBSERVATION, "exam", "examinations"),
            (OBSERVATION, "imaging", "imaging"),
            (OBSERVATION, "procedure", "procedures"),
            (OBSERVATION, "therapy", "therapy"),
            (OBSERVATION, "activity", "activity"),
            (
                "http://hl7.org/fhir/us/core/CodeSystem/us-core-category",
                "sdoh",
                "social determinants of health",
            ),
        ],
        _ => &[],
    }
}

/// The scopes of a request that the client may have, for a user or for a system, each once.
#[must_use]
pub(super) fn permitted(asked: &str, registered: Option<&str>, is_system: bool) -> Vec<String> {
    let mut permitted: Vec<String> = Vec::new();
    for word in asked.split_ascii_whitespace() {
        let is_known = match ResourceScope::parse(word) {
            Some(scope) => (scope.level == Level::System) == is_system,
            None => WORDS.contains(&word) && !is_system,
        };
        let is_registered = registered.is_none_or(|registered| covers(registered, word));
        if is_known && is_registered && !permitted.iter().any(|it| it == word) {
            permitted.push(word.to_owned());
        }
    }
    permitted
}

/// Whether a word grants no more than these scopes do.
#[must_use]
pub(super) fn covers(scopes: &str, word: &str) -> bool {
    let Some(asked) = ResourceScope::parse(word) else {
        return scopes.split_ascii_whitespace().any(|it| it == word);
    };
    let wider: Vec<ResourceScope> =
        scopes.split_ascii_whitespace().filter_map(ResourceScope::parse).collect();
    // Each permission may stand in a scope of its own: `cud` and `rs` cover `*`.
    let asked_for = PERMISSIONS.into_iter().filter(|it| asked.permissions.allow(*it));
    asked_for.into_iter().all(|permission| {
        wider.iter().any(|it| {
            it.level == asked.level
                && it.permissions.allow(permission)
                && (it.resource_type.is_none() || it.resource_type == asked.resource_type)
                && (it.query.is_empty() || it.query == asked.query)
        })
    })
}

/// The finer choices that a scope may be replaced by.
#[must_use]
pub(super) fn finer(word: &str) -> Vec<Finer> {
    let Some(scope) = ResourceScope::parse(word).filter(|it| it.query.is_empty()) else { return Vec::new() };
    let Some(resource_type) = scope.resource_type else { return Vec::new() };
    // Version 1 words have no finer ones: these are of version 2.
    let (Some((head, _)), letters) = (word.split_once('.'), letters(&scope)) else { return Vec::new() };
    let choice = |(system, code, label): &(&str, &str, &'static str)| Finer {
        scope: format!("{head}.{letters}?category={system}|{code}"),
        label,
    };
    categories(resource_type.name()).iter().map(choice).collect()
}

/// What users chose, of what was asked for: each asked for, or a finer choice of that.
#[must_use]
pub(super) fn chosen<'c>(asked: &[String], choices: impl Iterator<Item = &'c str>) -> Vec<String> {
    let mut granted: Vec<String> = Vec::new();
    for choice in choices {
        let is_offered =
            asked.iter().any(|it| it == choice || finer(it).iter().any(|finer| finer.scope == choice));
        if is_offered && !granted.iter().any(|it| it == choice) {
            granted.push(choice.to_owned());
        }
    }
    granted
}

/// What a scope means, for users.
#[must_use]
pub(super) fn describe(word: &str) -> String {
    let plain = match word {
        "openid" => "know who you are",
        "fhirUser" | "profile" => "read your profile",
        "launch" => "know what you have open",
        "launch/patient" => "know which patient is chosen",
        "launch/encounter" => "know which visit is chosen",
        "offline_access" => "keep its access while you are away, until you take it back",
        "online_access" => "keep its access until you log out",
        "smart/orchestrate_launch" => "open other apps",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    let Some(scope) = ResourceScope::parse(word) else { return word.to_owned() };
    let may = |it| scope.permissions.allow(it);
    let deeds: Vec<&str> = [
        (may(Permission::Read), "read"),
        (may(Permission::Search) && !may(Permission::Read), "find"),
        (may(Permission::Create), "add"),
        (may(Permission::Update), "change"),
        (may(Permission::Delete), "delete"),
    ]
    .into_iter()
    .filter_map(|(is_allowed, deed)| is_allowed.then_some(deed))
    .collect();
    let what = scope.resource_type.map_or("all records", |it| plain_name(it.name()));
    let whose = match scope.level {
        Level::Patient => "of the chosen patient",
        Level::User => "that you may see",
        Level::System => "of everybody",
    };
    let part: Vec<String> = scope.query.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let part = if part.is_empty() { String::new() } else { format!(", only {}", part.join(" and ")) };
    format!("{} {what} {whose}{part}", deeds.join(", "))
}

/// What people call the resources that most apps ask for.
fn plain_name(type_name: &'static str) -> &'static str {
    match type_name {
        "AllergyIntolerance" => "allergies",
        "Appointment" => "appointments",
        "CarePlan" => "care plans",
        "CareTeam" => "care teams",
        "Condition" => "problems and diagnoses",
        "Coverage" => "insurance",
        "Device" => "implants and devices",
        "DiagnosticReport" => "reports",
        "DocumentReference" => "documents and notes",
        "Encounter" => "visits",
        "Goal" => "goals",
        "Immunization" => "immunizations",
        "MedicationDispense" => "dispensed medications",
        "MedicationRequest" => "prescriptions",
        "Observation" => "measurements and results",
        "Patient" => "names, birth dates and addresses",
        "Procedure" => "procedures",
        "QuestionnaireResponse" => "answers to questionnaires",
        "ServiceRequest" => "orders and referrals",
        other => other,
    }
}

/// A short name of a scope for the `id` of its checkbox.
#[must_use]
pub(super) fn element_id(word: &str) -> String {
    token_hash::derive(word, "scope").chars().take(12).collect()
}

fn letters(scope: &ResourceScope) -> String {
    let letter = |it: &Permission| match it {
        Permission::Create => 'c',
        Permission::Read => 'r',
        Permission::Update => 'u',
        Permission::Delete => 'd',
        Permission::Search => 's',
    };
    PERMISSIONS.iter().filter(|it| scope.permissions.allow(**it)).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_no_more_than_it_registered_for() {
        let registered = Some("openid launch/patient patient/*.rs user/Patient.cud user/Patient.rs");
        let check = |asked, expected: &[&str]| assert_eq!(permitted(asked, registered, false), expected);
        check("openid openid offline_access", &["openid"]);
        check("patient/*.read patient/Observation.rs", &["patient/*.read", "patient/Observation.rs"]);
        check("patient/Observation.rs?category=x|y", &["patient/Observation.rs?category=x|y"]);
        check(
            "patient/*.cruds user/*.rs user/Patient.cruds user/Patient.*",
            &["user/Patient.cruds", "user/Patient.*"],
        );
        check("system/*.rs nonsense patient/Nonsense.rs", &[]);
        assert_eq!(permitted("system/*.rs patient/*.rs openid", None, true), ["system/*.rs"]);
    }

    #[test]
    fn granular_scopes_do_not_widen() {
        assert!(!covers("patient/Observation.rs?category=x|y", "patient/Observation.rs"));
        assert!(!covers("patient/Observation.rs?category=x|y", "patient/Observation.rs?category=x|z"));
        assert!(covers("patient/Observation.rs?category=x|y", "patient/Observation.r?category=x|y"));
        assert!(!covers("patient/Observation.rs", "patient/*.rs"));
        assert!(!covers("patient/*.rs", "user/*.rs"));
    }

    #[test]
    fn users_choose_what_was_asked_or_finer() {
        let asked = ["patient/Condition.rs".to_owned(), "openid".to_owned()];
        let problem_list = format!("patient/Condition.rs?category={CONDITION}|problem-list-item");
        let choices = ["openid", problem_list.as_str(), "patient/Observation.rs", "openid"];
        assert_eq!(chosen(&asked, choices.into_iter()), ["openid", problem_list.as_str()]);
        assert_eq!(finer("patient/Condition.read").len(), 3);
        assert!(finer("patient/*.rs").is_empty());
        assert_eq!(describe("patient/Condition.rs"), "read problems and diagnoses of the chosen patient");
    }
}

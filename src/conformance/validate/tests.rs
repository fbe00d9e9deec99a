use super::*;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Severity;
use std::sync::LazyLock;

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| Definitions::embedded().unwrap());

/// Each issue as `severity rule place`.
fn issues(text: &str, options: &Options<'_>) -> Vec<String> {
    let resource = Resource::parse(text, &Limits::default()).unwrap();
    let issues = validate(&DEFINITIONS, &resource, options);
    issues
        .iter()
        .map(|it| {
            let code = if it.severity == Severity::Error { "error" } else { "warning" };
            let rule = it.rule.as_deref().unwrap_or(it.code.code());
            format!("{code} {} {}", rule.rsplit('/').next().unwrap(), it.expression.join(","))
        })
        .collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(issues(text, &Options::default()), expected, "{text}");
}

#[test]
fn structure_and_cardinality() {
    check(r#"{"resourceType":"Patient","id":"a","name":[{"family":"F"}]}"#, &[]);
    check(r#"{"resourceType":"Patient","nam":1}"#, &["error structure Patient.nam"]);
    check(r#"{"resourceType":"Patient","name":{}}"#, &["error structure Patient.name"]);
    check(r#"{"resourceType":"Patient","name":[{}]}"#, &["error structure Patient.name[0]"]);
    check(r#"{"resourceType":"Patient","name":[{"id":"x"}]}"#, &["error ele-1 Patient.name[0]"]);
    check(
        r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}"#,
        &["error structure Patient"],
    );
    check(r#"{"resourceType":"Patient","deceasedDateTime":"2020","_deceasedDateTime":{"id":"x"}}"#, &[]);
    check(
        r#"{"resourceType":"Patient","name":[{"given":[null,"B"]}]}"#,
        &["error ele-1 Patient.name[0].given[0]"],
    );
    check(r#"{"resourceType":"Observation","code":{"text":"x"}}"#, &["error required Observation"]);
}

#[test]
fn codes_rules_and_references() {
    check(r#"{"resourceType":"Patient","gender":"banana"}"#, &["error administrative-gender Patient.gender"]);
    check(r#"{"resourceType":"Patient","language":"en_US"}"#, &["error all-languages Patient.language"]);
    check(r#"{"resourceType":"Patient","contact":[{"gender":"male"}]}"#, &["error pat-1 Patient.contact[0]"]);
    check(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Claim/1"}}"#,
        &["error structure Observation.subject"],
    );
    check(
        r##"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"}}"##,
        &["error ref-1 Observation.subject"],
    );
    check(
        r##"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"},"contained":[{"resourceType":"Claim","id":"p"}]}"##,
        &[
            "error structure Observation.subject",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
            "error required Observation.contained[0]",
        ],
    );
    check(
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueString":"a","dataAbsentReason":{"text":"b"}}"#,
        &["error obs-6 Observation"],
    );
    check(
        r#"{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"period":{"start":"2020-02","end":"2020-01-01"}}"#,
        &["error per-1 Encounter.period"],
    );
}

#[test]
fn extensions_stand_where_they_may() {
    let of = |extension: &str| format!(r#"{{"resourceType":"Patient","extension":[{extension}]}}"#);
    check(&of(r#"{"url":"http://unknown.org/x","valueString":"a"}"#), &[]);
    check(&of(r#"{"url":"http://unknown.org/x"}"#), &["error ext-1 Patient.extension[0]"]);
    check(
        &of(
            r#"{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"x"}}"#,
        ),
        &[],
    );
    check(
        &of(r#"{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueString":"x"}"#),
        &["error patient-birthPlace Patient.extension[0].valueString"],
    );
    check(
        r#"{"resourceType":"Group","type":"person","actual":true,"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"x"}}]}"#,
        &["error patient-birthPlace Group.extension[0]"],
    );
    check(
        r#"{"resourceType":"Patient","modifierExtension":[{"url":"http://unknown.org/x","valueString":"a"}]}"#,
        &["warning extension Patient.modifierExtension[0]"],
    );
    check(
        r#"{"resourceType":"Patient","birthDate":"1970-03-30","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1970-03-30T10:00:00Z"}]}}"#,
        &[],
    );
}

#[test]
fn claims_are_held() {
    let pressure = |components: &str| {
        format!(
            r#"{{"resourceType":"Observation","meta":{{"profile":["http://hl7.org/fhir/StructureDefinition/bp"]}},"status":"final",
            "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],
            "code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9"}}]}},"subject":{{"reference":"Patient/1"}},
            "effectiveDateTime":"2020-01-01","component":[{components}]}}"#
        )
    };
    let part = |code: &str, unit: &str| {
        format!(
            r#"{{"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"valueQuantity":{{"value":1,"unit":"u","system":"http://unitsofmeasure.org","code":"{unit}"}}}}"#
        )
    };
    check(&pressure(&format!("{},{}", part("8480-6", "mm[Hg]"), part("8462-4", "mm[Hg]"))), &[]);
    check(
        &pressure(&format!("{},{}", part("8480-6", "mm[Hg]"), part("8462-4", "cm"))),
        &["error bp Observation.component[1].valueQuantity.code"],
    );
    check(
        &pressure(&format!("{},{}", part("8480-6", "mm[Hg]"), part("8480-6", "mm[Hg]"))),
        &["error bp Observation.component[1]", "error bp Observation"],
    );
    check(
        r#"{"resourceType":"Patient","meta":{"profile":["http://unknown.org/p"]}}"#,
        &["warning not-supported Patient.meta.profile[0]"],
    );
}

#[test]
fn us_core_by_any_version() {
    let race = r#"{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"text","valueString":"x"}]}"#;
    let patient = |rest: &str| {
        format!(
            r#"{{"resourceType":"Patient","meta":{{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]}},"extension":[{race}],
            "identifier":[{{"system":"s","value":"v"}}],"name":[{{"family":"F"}}]{rest}}}"#
        )
    };
    check(&patient(r#","gender":"female""#), &[]);
    check(&patient(""), &["error us-core-patient Patient"]);
}

#[test]
fn any_unit_of_ucum_is_one() {
    let rulebook = DEFINITIONS.rulebook();
    let units = rulebook.value_set("http://hl7.org/fhir/ValueSet/ucum-units", None).unwrap();
    assert_eq!(units.code("{tbl}"), crate::conformance::value_set::Answer::In);
    assert_eq!(units.code("no unit"), crate::conformance::value_set::Answer::Out);
}

#[test]
fn a_profile_may_be_asked_for() {
    let text = r#"{"resourceType":"Patient","name":[{"family":"F"}]}"#;
    let options = Options {
        profiles: &["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0"],
        ..Options::default()
    };
    assert_eq!(issues(text, &options), ["error us-core-patient Patient", "error us-core-patient Patient"]);
    assert_eq!(
        issues(text, &Options { mode: Mode::BestPractice, ..Options::default() }),
        ["warning dom-6 Patient"]
    );
}

#[test]
fn expressions_ask_the_definitions() {
    use crate::fhirpath::value::Item;
    use crate::fhirpath::{Environment, Expression};
    let known = surroundings::Known::of(&DEFINITIONS);
    let text = r#"{"resourceType":"Patient","gender":"female","birthDate":"1970","maritalStatus":{"coding":[
        {"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"},{"system":"urn:x","code":"active"}]}}"#;
    let resource = Resource::parse(text, &Limits::default()).unwrap();
    let ask = |text: &str| {
        let focus = Item::of_resource(&DEFINITIONS.types, resource.root()).unwrap();
        let mut env = Environment::of(&DEFINITIONS.types, focus.clone());
        env.surroundings = Some(&known);
        Expression::parse(text).unwrap().evaluate_to_bool(&env, focus).ok().flatten()
    };
    assert_eq!(ask("gender.memberOf(%`vs-administrative-gender`)"), Some(true));
    assert_eq!(ask("'banana'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')"), Some(false));
    assert_eq!(ask("maritalStatus.memberOf(%`vs-condition-clinical`)"), Some(true));
    assert_eq!(ask("maritalStatus.coding[1].memberOf(%`vs-condition-clinical`)"), Some(false));
    assert_eq!(ask("gender.memberOf('urn:none')"), None);
    assert_eq!(
        ask("conformsTo('http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient')"),
        Some(false)
    );
    assert_eq!(ask("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')"), Some(true));
    assert_eq!(ask("conformsTo('urn:none')"), None);
    assert_eq!(ask("maritalStatus.coding[0].subsumes(maritalStatus.coding[0])"), Some(true));
    assert_eq!(ask("maritalStatus.coding[0].subsumes(maritalStatus.coding[1])"), Some(false));
}

#[test]
fn nothing_is_compiled_for_a_resource_once_all_is() {
    use crate::fhirpath::PARSED;
    let definitions = Definitions::embedded().unwrap();
    definitions.compile();
    let compiled = PARSED.get();
    assert!(compiled > 1000, "only {compiled} expressions are compiled");
    let us_core = "http://hl7.org/fhir/us/core/StructureDefinition";
    for text in [
        format!(
            r#"{{"resourceType":"Patient","meta":{{"profile":["{us_core}/us-core-patient"]}},"identifier":[{{"system":"s","value":"v"}}],
            "name":[{{"family":"F","period":{{"start":"2020"}}}}],"gender":"female","telecom":[{{"system":"phone","value":"1"}}]}}"#
        ),
        format!(
            r#"{{"resourceType":"Observation","meta":{{"profile":["{us_core}/us-core-observation-lab"]}},"status":"final",
            "code":{{"coding":[{{"system":"http://loinc.org","code":"2345-7"}}]}},"subject":{{"reference":"Patient/a"}},
            "effectiveDateTime":"2020-01-01","valueQuantity":{{"value":1,"unit":"g","system":"http://unitsofmeasure.org","code":"g"}},
            "referenceRange":[{{"low":{{"value":1}}}}]}}"#
        ),
        r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"a","type":"group","item":[{"linkId":"b","type":"string"}]}]}"#
            .to_owned(),
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            "resource":{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{"text":"x"},
            "subject":{"reference":"Patient/a"},"dosageInstruction":[{"timing":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}}]}}]}"#
            .to_owned(),
    ] {
        let resource = Resource::parse(text, &Limits::default()).unwrap();
        let options = Options { mode: Mode::BestPractice, ..Options::default() };
        let _ = validate(&definitions, &resource, &options);
        assert_eq!(PARSED.get(), compiled, "{}", resource.resource_type());
    }
}

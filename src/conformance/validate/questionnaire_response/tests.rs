use crate::conformance::definitions::Definitions;
use crate::conformance::validate::beside::Beside;
use crate::conformance::validate::{Options, validate};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Severity;
use crate::fhir::resource::Resource;
use std::sync::LazyLock;

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| Definitions::embedded().unwrap());

/// A form about smoking: a group whose second question is asked of smokers alone.
const FORM: &str = r##"{"resourceType":"Questionnaire","url":"http://q","version":"2","status":"active",
    "subjectType":["Patient"],
    "contained":[{"resourceType":"ValueSet","id":"kinds","status":"active","compose":{"include":[
        {"system":"http://k","concept":[{"code":"pipe","display":"Pipe"},{"code":"cigar"}]}]}}],
    "item":[
        {"linkId":"hint","type":"display","text":"Be honest"},
        {"linkId":"smoking","type":"group","item":[
            {"linkId":"smokes","type":"boolean","required":true},
            {"linkId":"daily","type":"integer","required":true,
             "enableWhen":[{"question":"smokes","operator":"=","answerBoolean":true}]},
            {"linkId":"what","type":"choice","repeats":true,"answerValueSet":"#kinds","item":[
                {"linkId":"since","type":"date"}]}]},
        {"linkId":"words","type":"open-choice","answerOption":[{"valueString":"yes"},{"valueString":"no"}],"maxLength":5},
        {"linkId":"child","type":"group","repeats":true,"item":[
            {"linkId":"ill","type":"boolean"},
            {"linkId":"illness","type":"string","enableWhen":[
                {"question":"ill","operator":"=","answerBoolean":true}]}]}]}"##;

fn check(status: &str, items: &str, expected: &[&str]) {
    let questionnaires = vec![Resource::parse(FORM, &Limits::default()).unwrap()];
    let beside = Beside { questionnaires, ..Beside::default() };
    let text = format!(
        r#"{{"resourceType":"QuestionnaireResponse","questionnaire":"http://q|2","status":"{status}","item":[{items}]}}"#
    );
    let resource = Resource::parse(text, &Limits::default()).unwrap();
    let issues = validate(&DEFINITIONS, &resource, &Options { beside: Some(&beside), ..Options::default() });
    let said: Vec<String> = issues
        .iter()
        .filter(|it| it.severity == Severity::Error)
        .map(|it| {
            assert!(matches!(it.rule.as_deref(), Some("http://q" | "qrs-1")), "{it:?}");
            format!("{} {}", it.code.code(), it.expression.join(",").replace("QuestionnaireResponse", "QR"))
        })
        .collect();
    assert_eq!(said, expected, "{items}");
}

const SMOKING: &str = r#"{"linkId":"smoking","item":[{"linkId":"smokes","answer":[{"valueBoolean":true}]},
    {"linkId":"daily","answer":[{"valueInteger":3}]}]}"#;

fn smoking(items: &str) -> String {
    format!(
        r#"{{"linkId":"smoking","item":[{{"linkId":"smokes","answer":[{{"valueBoolean":false}}]}}{items}]}}"#
    )
}

#[test]
fn everything_stands_where_it_is_asked() {
    check("completed", SMOKING, &[]);
    check("completed", &format!(r#"{SMOKING},{{"linkId":"other"}}"#), &["structure QR.item[1]"]);
    check("completed", &format!(r#"{SMOKING},{{"linkId":"since"}}"#), &["structure QR.item[1]"]);
    check(
        "completed",
        &format!(r#"{{"linkId":"words","answer":[{{"valueString":"yes"}}]}},{SMOKING}"#),
        &["structure QR.item[1]"],
    );
    check("completed", &format!("{SMOKING},{SMOKING}"), &["structure QR.item[1]"]);
    let since = r#","item":[{"linkId":"since","answer":[{"valueDate":"2020"}]}]"#;
    let what = r#"{"valueCoding":{"system":"http://k","code":"pipe"}"#;
    let inside = format!(r#",{{"linkId":"what","answer":[{what}{since}}}]}}"#);
    check("completed", &smoking(&inside), &[]);
    let beside = format!(r#",{{"linkId":"what","answer":[{what}}}]{since}}}"#);
    check(
        "completed",
        &smoking(&beside),
        &["invariant QR.item[0].item[1]", "structure QR.item[0].item[1].item"],
    );
}

#[test]
fn what_is_required_is_answered_once_it_is_asked_and_complete() {
    check("completed", &smoking(""), &[]);
    let half = r#"{"linkId":"smoking","item":[{"linkId":"smokes","answer":[{"valueBoolean":true}]}]}"#;
    check("completed", half, &["required QR.item[0]"]);
    check("amended", half, &["required QR.item[0]"]);
    check("in-progress", half, &[]);
    check(
        "in-progress",
        &smoking(r#",{"linkId":"daily","answer":[{"valueInteger":3}]}"#),
        &["business-rule QR.item[0].item[1]"],
    );
}

#[test]
fn a_condition_looks_at_its_own_group_first() {
    let child = |ill: bool| {
        format!(
            r#"{{"linkId":"child","item":[{{"linkId":"ill","answer":[{{"valueBoolean":{ill}}}]}},
            {{"linkId":"illness","answer":[{{"valueString":"x"}}]}}]}}"#
        )
    };
    check("in-progress", &format!("{},{}", child(true), child(true)), &[]);
    check("in-progress", &format!("{},{}", child(true), child(false)), &["business-rule QR.item[1].item[1]"]);
}

#[test]
fn answers_are_of_the_type_and_the_choice_that_is_offered() {
    let words = |answer: &str| format!(r#"{{"linkId":"words","answer":[{{{answer}}}]}}"#);
    check("in-progress", &words(r#""valueString":"yes""#), &[]);
    check("in-progress", &words(r#""valueString":"well""#), &[]);
    check(
        "in-progress",
        &words(r#""valueString":"perhaps""#),
        &["too-long QR.item[0].answer[0].valueString"],
    );
    check("in-progress", &words(r#""valueBoolean":true"#), &["structure QR.item[0].answer[0].valueBoolean"]);
    check(
        "in-progress",
        &words(r#""valueCoding":{"code":"yes"}"#),
        &["code-invalid QR.item[0].answer[0].valueCoding"],
    );
    let what =
        |coding: &str| smoking(&format!(r#",{{"linkId":"what","answer":[{{"valueCoding":{coding}}}]}}"#));
    let place = "QR.item[0].item[1].answer[0].valueCoding";
    check("completed", &what(r#"{"system":"http://k","code":"pipe","display":"pipe"}"#), &[]);
    check(
        "completed",
        &what(r#"{"system":"http://k","code":"pipe","display":"Rose"}"#),
        &[&format!("code-invalid {place}.display")],
    );
    check("completed", &what(r#"{"system":"http://k","code":"rose"}"#), &[&format!("code-invalid {place}")]);
    check("completed", &what(r#"{"code":"pipe"}"#), &[&format!("code-invalid {place}")]);
    check(
        "completed",
        &format!(r#"{{"linkId":"hint","answer":[{{"valueString":"x"}}]}},{SMOKING}"#),
        &["structure QR.item[0]"],
    );
}

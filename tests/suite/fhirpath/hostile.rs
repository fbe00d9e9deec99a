//! Expressions that want to hang, crash or fill the memory.

use super::{PATIENT, json, shown};
use std::time::{Duration, Instant};
use vesta::conformance::definitions::Definitions;
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression};

#[test]
fn an_expression_that_asks_for_too_much_ends() {
    let definitions = Definitions::embedded().unwrap();
    let repeated = |text: &str, times: usize| text.repeat(times);
    let doubling = format!("('x'{})", repeated(".select($this & $this)", 40));
    for (expression, error) in [
        (doubling, "! the expression takes too long"),
        (format!("1{}", repeated(".select(1.combine(2))", 60)), "! the expression takes too long"),
        (format!("name{}", repeated(".repeat($this.given & 'x')", 3)), "! "),
        ("'a'.repeat($this & 'a')".to_owned(), "! the expression takes too long"),
        (
            format!("{}'x'.replace('', 'xxxxxxxxxx'){}", "", repeated(".replace('', 'xxxxxxxxxx')", 30)),
            "! the expression takes too long",
        ),
        (format!("{}1{}", repeated("(", 300), repeated(")", 300)), "! not a FHIRPath expression"),
        (format!("{}1", repeated("-", 300)), "! not a FHIRPath expression"),
        (format!("name{}", repeated(".name", 900)), "! not a FHIRPath expression"),
        (format!("1{}", repeated(" + 1", 900)), "! not a FHIRPath expression"),
        (repeated("1 ", 50_000), "! not a FHIRPath expression"),
        ("'x'.matches('(a{1000}){1000}')".to_owned(), "! not a FHIRPath expression"),
        ("'x'.matches('(a{1000})' & '{1000}')".to_owned(), "! wrong argument"),
        ("1 'm'.comparable(1 '".to_owned() + &repeated("(", 5000) + "')", ""),
    ] {
        let start = Instant::now();
        let result = shown(&definitions, &expression);
        let start_of = expression.get(..40.min(expression.len())).unwrap();
        assert!(result.starts_with(error), "{start_of} gave {}", result.get(..80.min(result.len())).unwrap());
        assert!(start.elapsed() < Duration::from_secs(20), "{start_of}");
    }
}

/// Random sentences of the language, and random cuts of them: none may panic or hang.
#[test]
fn random_expressions_neither_panic_nor_hang() {
    const WORDS: &[&str] = &[
        "name",
        "given",
        "Patient",
        ".",
        ".",
        ".",
        "(",
        ")",
        "(",
        ")",
        "[",
        "]",
        "{}",
        "$this",
        "$index",
        "$total",
        "%resource",
        "%`x`",
        "'a'",
        "'\\u00e9'",
        "1",
        "0",
        "-1",
        "2.50",
        "1 'mg'",
        "3 days",
        "@2020",
        "@2020-02-30",
        "@T10:00",
        "@2020-01-01T10:00:00Z",
        " + ",
        " - ",
        " * ",
        " / ",
        " div ",
        " mod ",
        " & ",
        " = ",
        " != ",
        " ~ ",
        " < ",
        " >= ",
        " and ",
        " or ",
        " xor ",
        " implies ",
        " in ",
        " contains ",
        " | ",
        " is ",
        " as ",
        "where(",
        "select(",
        "repeat(",
        "all(",
        "exists(",
        "aggregate(",
        "iif(",
        "sort(",
        "ofType(",
        "matches(",
        "replaceMatches(",
        "replace(",
        "substring(",
        "split(",
        "join(",
        "toQuantity()",
        "toDate()",
        "toString()",
        "lowBoundary()",
        "highBoundary(",
        "round(",
        "power(",
        "log(",
        "descendants()",
        "children()",
        "resolve()",
        "extension(",
        "type()",
        "defineVariable('v')",
        "%v",
        "trace('t')",
        "skip(",
        "take(",
        "combine(",
        "intersect(",
        "é",
        "`",
        "'",
        "//",
        "/*",
        "9223372036854775807",
        "79228162514264337593543950335.0",
        "yearOf()",
        "comparable(",
        "encode('hex')",
        "unescape('json')",
        "htmlChecks()",
        ",",
        ",",
    ];
    let definitions = Definitions::embedded().unwrap();
    let patient = json(PATIENT);
    let focus = Item::of_resource(&definitions.types, patient.root()).unwrap();
    let env = Environment { most_steps: 20_000, ..Environment::of(&definitions.types, focus.clone()) };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    let (mut parsed, mut evaluated) = (0, 0);
    let start = Instant::now();
    for _ in 0..60_000 {
        let length = 1 + random(14);
        let mut text: String = (0..length).map(|_| WORDS[random(WORDS.len())]).collect();
        // Most sentences end too early: closing what is open makes more of them whole.
        let open = text.matches('(').count().saturating_sub(text.matches(')').count());
        text.push_str(&")".repeat(open));
        if let Ok(expression) = Expression::parse(&text) {
            parsed += 1;
            evaluated += usize::from(expression.evaluate(&env, focus.clone()).is_ok());
            let _ = expression.check(&definitions.types, "Patient");
        }
    }
    assert!(parsed > 2_000 && evaluated > 500, "{parsed} parsed, {evaluated} evaluated");
    assert!(start.elapsed() < Duration::from_secs(120));
}

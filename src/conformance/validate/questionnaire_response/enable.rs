//! `enableWhen`: whether a question is asked at all.
//!
//! <https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>

use super::option::is_same;
use crate::conformance::validate::matching;
use crate::fhir::json::Node;

/// Whether the conditions of an item hold; nothing where that cannot be told.
pub(super) fn is_enabled<'a>(
    asked: Node<'_>,
    mut answers: impl FnMut(&str) -> Option<Vec<(&'a str, Node<'a>)>>,
) -> Option<bool> {
    let Some(conditions) = asked.get("enableWhen") else { return Some(true) };
    let held: Vec<Option<bool>> = conditions
        .items()
        .map(|condition| {
            let answers = answers(&condition.string("question")?)?;
            holds(condition, &answers)
        })
        .collect();
    let all = |wanted: bool| held.iter().all(|it| *it == Some(wanted));
    let any = |wanted: bool| held.contains(&Some(wanted));
    let behavior = asked.string("enableBehavior");
    match behavior.as_deref() {
        Some("any") if any(true) => Some(true),
        Some("any") if all(false) => Some(false),
        Some("all") if any(false) => Some(false),
        _ if all(true) => Some(true),
        _ if all(false) => Some(false),
        _ => None,
    }
}

fn holds<'a>(condition: Node<'_>, answers: &[(&'a str, Node<'a>)]) -> Option<bool> {
    let operator = condition.string("operator")?;
    let (kind, wanted) = condition.members().find_map(|(key, value)| {
        let raw = key.raw();
        Some((raw.get(1..raw.len().saturating_sub(1))?.strip_prefix("answer")?, value))
    })?;
    let is_equal = |it: &(&'a str, Node<'a>)| is_same(*it, (kind, wanted));
    Some(match &*operator {
        "exists" => answers.is_empty() != wanted.as_bool()?,
        "=" => answers.iter().any(is_equal),
        "!=" => !answers.iter().any(is_equal),
        ">" => answers.iter().any(|(_, it)| matching::is_less(wanted, *it)),
        "<" => answers.iter().any(|(_, it)| matching::is_less(*it, wanted)),
        ">=" => answers.iter().any(|it| is_equal(it) || matching::is_less(wanted, it.1)),
        "<=" => answers.iter().any(|it| is_equal(it) || matching::is_less(it.1, wanted)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::validate::questionnaire_response::form::value_of;
    use crate::fhir::json::{Json, Limits};

    fn enabled(asked: &str, answers: &str) -> Option<bool> {
        let parse = |text: &str| Json::parse(text, &Limits::default()).unwrap();
        let (asked, answers) = (parse(asked), parse(answers));
        is_enabled(asked.root(), |_| Some(answers.root().items().filter_map(value_of).collect()))
    }

    #[test]
    fn conditions_hold_as_the_operators_say() {
        let when = |operator: &str, answer: &str| {
            format!(r#"{{"enableWhen":[{{"question":"q","operator":"{operator}",{answer}}}]}}"#)
        };
        let ten = r#"[{"valueInteger":10}]"#;
        for (operator, answer, answers, expected) in [
            ("=", r#""answerInteger":10"#, ten, true),
            ("=", r#""answerDecimal":10.0"#, ten, true),
            ("=", r#""answerInteger":11"#, ten, false),
            ("!=", r#""answerInteger":11"#, ten, true),
            (">", r#""answerInteger":9"#, ten, true),
            (">", r#""answerInteger":10"#, ten, false),
            (">=", r#""answerInteger":10"#, ten, true),
            ("<", r#""answerInteger":10"#, ten, false),
            ("<=", r#""answerInteger":10"#, ten, true),
            ("exists", r#""answerBoolean":true"#, ten, true),
            ("exists", r#""answerBoolean":false"#, ten, false),
            ("exists", r#""answerBoolean":false"#, "[]", true),
            ("=", r#""answerInteger":10"#, "[]", false),
            ("=", r#""answerCoding":{"system":"s","code":"a"}"#, r#"[{"valueCoding":{"code":"a"}}]"#, false),
            (
                "=",
                r#""answerCoding":{"system":"s","code":"a"}"#,
                r#"[{"valueCoding":{"code":"a","system":"s","display":"A"}}]"#,
                true,
            ),
        ] {
            assert_eq!(
                enabled(&when(operator, answer), answers),
                Some(expected),
                "{operator} {answer} {answers}"
            );
        }
    }

    #[test]
    fn several_conditions_hold_together_or_one_for_all() {
        let of = |behavior: &str| {
            let one = r#"{"question":"q","operator":"=","answerInteger":1}"#;
            let two = r#"{"question":"q","operator":"=","answerInteger":2}"#;
            format!(r#"{{"enableWhen":[{one},{two}]{behavior}}}"#)
        };
        let one = r#"[{"valueInteger":1}]"#;
        assert_eq!(enabled(&of(r#","enableBehavior":"any""#), one), Some(true));
        assert_eq!(enabled(&of(r#","enableBehavior":"all""#), one), Some(false));
        // R4 asks for the behavior where there are several conditions; without it nobody can tell.
        assert_eq!(enabled(&of(""), one), None);
        assert_eq!(enabled(&of(""), "[]"), Some(false));
        assert_eq!(enabled("{}", "[]"), Some(true));
    }
}

//! What the server said to a parcel.

use super::Refusal;
use super::parcel::Parcel;
use super::wire::Answer;
use serde_json::Value;

/// What of the parcel was refused, and why.
#[must_use]
pub fn refusals(parcel: &Parcel, answer: &Answer) -> Vec<Refusal> {
    let body: Option<Value> = serde_json::from_str(&answer.body).ok();
    let whole = |diagnostics: String, expression: Vec<String>| {
        let place =
            match expression.first().and_then(|it| entry_number(it)).and_then(|at| parcel.places.get(at)) {
                Some(place) => place.clone(),
                None => parcel.places.first().cloned().unwrap_or_default(),
            };
        vec![Refusal { place, resources: parcel.places.len() as u64, diagnostics, expression }]
    };
    match (answer.status, body) {
        (Some(200..=299), Some(bundle)) if bundle.get("resourceType").is_some_and(|it| it == "Bundle") => {
            let empty = Vec::new();
            let entries = bundle.get("entry").and_then(Value::as_array).unwrap_or(&empty);
            if entries.len() != parcel.places.len() {
                let told =
                    format!("the server answered {} of {} entries", entries.len(), parcel.places.len());
                return whole(told, Vec::new());
            }
            let pairs = parcel.places.iter().zip(entries);
            pairs.filter_map(|(place, entry)| refused_entry(place, entry)).collect()
        }
        (Some(status @ 200..=299), _) => {
            whole(format!("the server answered {status} without a bundle"), Vec::new())
        }
        (Some(status), Some(body)) => {
            let (diagnostics, expression) = words(&body);
            whole(format!("{status}: {diagnostics}"), expression)
        }
        (Some(status), None) => whole(format!("the server answered {status}"), Vec::new()),
        (None, _) => whole(answer.body.clone(), Vec::new()),
    }
}

fn refused_entry(place: &str, entry: &Value) -> Option<Refusal> {
    let response = entry.get("response")?;
    let status = response.get("status").and_then(Value::as_str).unwrap_or_default();
    if status.starts_with('2') {
        return None;
    }
    let (diagnostics, expression) = words(response.get("outcome").unwrap_or(&Value::Null));
    let diagnostics = format!("{status}: {diagnostics}");
    Some(Refusal { place: place.to_owned(), resources: 1, diagnostics, expression })
}

/// The errors of an OperationOutcome, and what they are about.
fn words(outcome: &Value) -> (String, Vec<String>) {
    let empty = Vec::new();
    let issues = outcome.get("issue").and_then(Value::as_array).unwrap_or(&empty);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut said = Vec::new();
    let mut about = Vec::new();
    for issue in issues {
        if matches!(text(issue.get("severity")).as_str(), "warning" | "information") {
            continue;
        }
        let diagnostics = text(issue.get("diagnostics"));
        said.push(if diagnostics.is_empty() { text(issue.get("code")) } else { diagnostics });
        let paths = issue.get("expression").and_then(Value::as_array).unwrap_or(&empty);
        about.extend(paths.iter().map(|it| text(Some(it))));
    }
    (said.join("; "), about)
}

/// The number in `Bundle.entry[3].resource…`
fn entry_number(expression: &str) -> Option<usize> {
    expression.strip_prefix("Bundle.entry[")?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel() -> Parcel {
        Parcel {
            body: String::new(),
            places: vec!["f:1".into(), "f:2".into()],
            is_idempotent: true,
            key: String::new(),
            bytes_read: 0,
            unsent: Vec::new(),
        }
    }

    fn said(status: u16, body: &str) -> Vec<Refusal> {
        refusals(&parcel(), &Answer { status: Some(status), body: body.to_owned() })
    }

    #[test]
    fn tells_the_entry_that_was_refused() {
        let body = r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"201 Created"}},
            {"response":{"status":"422 Unprocessable Content","outcome":{"resourceType":"OperationOutcome","issue":[
            {"severity":"warning","code":"x","diagnostics":"w"},{"severity":"error","code":"required","diagnostics":"d","expression":["Basic.code"]}]}}}]}"#;
        let refused = said(200, body);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].place, "f:2");
        assert_eq!(refused[0].diagnostics, "422 Unprocessable Content: d");
        assert_eq!(refused[0].expression, ["Basic.code"]);
    }

    #[test]
    fn a_refused_transaction_is_refused_as_a_whole() {
        let body = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value","diagnostics":"no","expression":["Bundle.entry[1].resource.id"]}]}"#;
        let refused = said(400, body);
        assert_eq!((refused[0].place.as_str(), refused[0].resources), ("f:2", 2));
        assert_eq!(said(500, "oops")[0].diagnostics, "the server answered 500");
    }

    #[test]
    fn an_answer_that_says_too_little_is_no_acknowledgement() {
        assert_eq!(said(200, "{}").len(), 1);
        assert_eq!(said(200, r#"{"resourceType":"Bundle","entry":[]}"#).len(), 1);
    }
}

//! The report as CSV: <https://www.rfc-editor.org/rfc/rfc4180>. One table, its first column says what a line counts.

use crate::audit::report::{Usage, day_name};

/// The report as CSV.
#[must_use]
pub fn csv(usage: &Usage) -> String {
    let mut out = String::from("what,name,events,failures,phi accesses,patients,users\r\n");
    let mut line = |fields: [&str; 7]| {
        let quoted: Vec<String> = fields.iter().map(|it| quote(it)).collect();
        out.push_str(&quoted.join(","));
        out.push_str("\r\n");
    };
    let number = |it: i64| it.to_string();
    line([
        "total",
        "",
        &number(usage.events()),
        &number(usage.failures()),
        &number(usage.about_patients()),
        &number(usage.touched),
        &usage.agents.len().to_string(),
    ]);
    for it in usage.by_kind() {
        line(["event", &it.name, &number(it.events), &number(it.failures), "", "", ""]);
    }
    for it in &usage.agents {
        let (events, failures) = (number(it.events), number(it.failures));
        line(["user", &it.agent, &events, &failures, &number(it.about_patients), &number(it.patients), ""]);
    }
    for it in &usage.patients {
        let id = it.id.as_deref().unwrap_or_default();
        line(["patient", id, &number(it.events), "", "", "", &number(it.agents)]);
    }
    for it in &usage.days {
        let (events, failures) = (number(it.events), number(it.failures));
        line(["day", &day_name(it.day), &events, &failures, &number(it.about_patients), "", ""]);
    }
    out
}

/// Quoted where it must be; and nothing that a spreadsheet would take for a formula.
fn quote(field: &str) -> String {
    let field = match field.starts_with(['=', '+', '-', '@', '\t']) {
        true => format!("'{field}"),
        false => field.to_owned(),
    };
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(quote("Practitioner/17"), "Practitioner/17");
        assert_eq!(quote("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(quote("=1+1"), "'=1+1");
    }
}

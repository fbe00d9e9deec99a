//! Search as the specification tells it, slowly and without an index: the measure of ours.
//!
//! <https://hl7.org/fhir/R4/search.html>. Shares no code with `vesta::search`.

use serde_json::Value;

/// The kind of a parameter.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    String,
    Token,
    Date,
    Quantity,
    Reference,
}

type Parameter = (&'static str, Kind, &'static [&'static str]);

/// What is compared: the type, and for each parameter where its values are.
pub const PARAMETERS: &[(&str, &[Parameter])] = &[
    (
        "Patient",
        &[
            ("name", Kind::String, &["name.family", "name.given", "name.prefix", "name.suffix", "name.text"]),
            ("family", Kind::String, &["name.family"]),
            ("given", Kind::String, &["name.given"]),
            ("address-city", Kind::String, &["address.city"]),
            ("birthdate", Kind::Date, &["birthDate"]),
            ("death-date", Kind::Date, &["deceasedDateTime"]),
            ("gender", Kind::Token, &["gender"]),
            ("identifier", Kind::Token, &["identifier"]),
            ("language", Kind::Token, &["communication.language"]),
        ],
    ),
    (
        "Observation",
        &[
            ("code", Kind::Token, &["code"]),
            ("combo-code", Kind::Token, &["code", "component.code"]),
            ("category", Kind::Token, &["category"]),
            ("status", Kind::Token, &["status"]),
            ("value-concept", Kind::Token, &["valueCodeableConcept"]),
            ("date", Kind::Date, &["effectiveDateTime", "effectivePeriod"]),
            ("value-quantity", Kind::Quantity, &["valueQuantity"]),
            ("combo-value-quantity", Kind::Quantity, &["valueQuantity", "component.valueQuantity"]),
            ("subject", Kind::Reference, &["subject"]),
            ("encounter", Kind::Reference, &["encounter"]),
            ("_profile", Kind::Reference, &["meta.profile"]),
        ],
    ),
    (
        "Condition",
        &[
            ("code", Kind::Token, &["code"]),
            ("clinical-status", Kind::Token, &["clinicalStatus"]),
            ("onset-date", Kind::Date, &["onsetDateTime", "onsetPeriod"]),
            ("abatement-date", Kind::Date, &["abatementDateTime", "abatementPeriod"]),
        ],
    ),
    (
        "Encounter",
        &[
            ("class", Kind::Token, &["class"]),
            ("type", Kind::Token, &["type"]),
            ("date", Kind::Date, &["period"]),
            ("identifier", Kind::Token, &["identifier"]),
        ],
    ),
    (
        "Procedure",
        &[
            ("code", Kind::Token, &["code"]),
            ("date", Kind::Date, &["performedDateTime", "performedPeriod"]),
            ("encounter", Kind::Reference, &["encounter"]),
        ],
    ),
    (
        "MedicationRequest",
        &[
            ("status", Kind::Token, &["status"]),
            ("intent", Kind::Token, &["intent"]),
            ("authoredon", Kind::Date, &["authoredOn"]),
        ],
    ),
];

/// Queries about values that are there, and about their neighbours: modifier and value.
pub fn queries(kind: Kind, paths: &[&str], resources: &[Value]) -> Vec<(String, String)> {
    let mut queries = vec![(":missing".to_owned(), "true".to_owned()), (":missing".into(), "false".into())];
    let values = resources.iter().flat_map(|it| all(it, paths));
    for (place, value) in values.enumerate() {
        let mut ask = |modifier: &str, value: String| queries.push((modifier.to_owned(), value));
        match kind {
            Kind::String => {
                let text = escaped(value.as_str().unwrap());
                let letters: Vec<char> = text.chars().collect();
                ask(
                    "",
                    letters.iter().take(1 + place % 11).collect::<String>().trim_end_matches('\\').to_owned(),
                );
                ask("", text.to_uppercase());
                ask(":exact", text.clone());
                ask(":exact", text.to_lowercase());
                ask(":contains", letters.iter().skip(1).take(1 + place % 6).collect());
            }
            Kind::Token => {
                for (system, code, text) in tokens(value) {
                    let (system, code) = (escaped(&system), escaped(&code));
                    ask("", code.clone());
                    ask(":not", code.clone());
                    if value.is_object() {
                        ask("", format!("{system}|{code}"));
                        ask("", format!("|{code}"));
                        ask("", format!("{system}|"));
                        ask(":not", format!("{system}|{code}"));
                    }
                    ask("", format!("nothing,{code}"));
                    if !text.is_empty() {
                        ask(":text", escaped(&text).chars().take(1 + place % 9).collect());
                    }
                }
            }
            Kind::Date => {
                let text = value.as_str().or(value["start"].as_str()).unwrap();
                let prefix = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"][place % 9];
                let length = [4, 7, 10, text.len()][place / 9 % 4];
                ask("", format!("{prefix}{}", &text[..length.min(text.len())]));
                let other = ["", "ne", "gt", "lt", "ge", "le", "sa", "eb"][place / 2 % 8];
                ask("", format!("{other}{}", &text[..7.min(text.len())]));
            }
            Kind::Quantity => {
                let number = value["value"].as_f64().unwrap();
                let prefix = ["", "ne", "gt", "lt", "ge", "le", "sa", "eb"][place % 8];
                let unit = [
                    String::new(),
                    format!("|http://unitsofmeasure.org|{}", value["code"].as_str().unwrap_or("1")),
                    format!("||{}", value["unit"].as_str().unwrap_or("1")),
                    "|http://unitsofmeasure.org|kg.m-3".to_owned(),
                ][place / 2 % 4]
                    .clone();
                ask("", format!("{prefix}{number:.*}{unit}", place % 3));
            }
            Kind::Reference => {
                let text = value.as_str().or(value["reference"].as_str()).unwrap();
                ask("", text.to_owned());
                ask("", format!("urn:uuid:none,{text}"));
            }
        }
    }
    queries.retain(|(_, value)| value != "|" && (kind != Kind::String || !folded(value).is_empty()));
    queries
}

/// Whether the resource is to be found.
pub fn matches(kind: Kind, paths: &[&str], resource: &Value, modifier: &str, value: &str) -> bool {
    let found = all(resource, paths);
    if modifier == ":missing" {
        return found.is_empty() == (value == "true");
    }
    let alternatives = separated(value, ',');
    let any = |test: &dyn Fn(&Value, &str) -> bool| {
        alternatives.iter().any(|alternative| found.iter().any(|it| test(it, alternative)))
    };
    match (kind, modifier) {
        (Kind::String, ":exact") => any(&|it, value| it.as_str() == Some(&unescaped(value))),
        (Kind::String, ":contains") => {
            any(&|it, value| folded(it.as_str().unwrap()).contains(&folded(value)))
        }
        (Kind::String, _) => any(&|it, value| folded(it.as_str().unwrap()).starts_with(&folded(value))),
        (Kind::Token, ":not") => !any(&|it, value| is_token(it, value)),
        (Kind::Token, ":text") => any(&|it, value| {
            let mut texts: Vec<String> = tokens(it).into_iter().map(|(_, _, text)| text).collect();
            texts.extend(it["text"].as_str().map(str::to_owned));
            texts.iter().any(|text| !text.is_empty() && folded(text).starts_with(&folded(value)))
        }),
        (Kind::Token, _) => any(&|it, value| is_token(it, value)),
        (Kind::Date, _) => any(&|it, value| {
            let (prefix, text) = prefix(value);
            let (low, high) = span(text);
            let (start, end) = match it.as_str() {
                Some(text) => span(text),
                None => (
                    it["start"].as_str().map_or(i64::MIN, |it| span(it).0),
                    it["end"].as_str().map_or(i64::MAX, |it| span(it).1),
                ),
            };
            let is_inside = start >= low && end <= high;
            match prefix {
                "ne" => !is_inside,
                "gt" => end > high,
                "lt" => start < low,
                "ge" => end > high || is_inside,
                "le" => start < low || is_inside,
                "sa" => start >= high,
                "eb" => end <= low,
                _ => is_inside,
            }
        }),
        (Kind::Quantity, _) => any(&is_quantity),
        (Kind::Reference, _) => {
            any(&|it, value| it.as_str() == Some(value) || it["reference"].as_str() == Some(value))
        }
    }
}

fn all<'a>(resource: &'a Value, paths: &[&str]) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for path in paths {
        let mut here = vec![resource];
        for name in path.split('.') {
            let values = here.into_iter().filter_map(|it| it.get(name));
            here = values
                .flat_map(|it| it.as_array().map_or(vec![it], |items| items.iter().collect()))
                .collect();
        }
        found.extend(here);
    }
    found
}

/// System, code and text.
fn tokens(value: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(code) = value.as_str() {
        return vec![(String::new(), code.to_owned(), String::new())];
    }
    match value["coding"].as_array() {
        Some(codings) => {
            codings.iter().map(|it| (text(&it["system"]), text(&it["code"]), text(&it["display"]))).collect()
        }
        None if value.get("value").is_some() => {
            vec![(text(&value["system"]), text(&value["value"]), text(&value["type"]["text"]))]
        }
        None => vec![(text(&value["system"]), text(&value["code"]), text(&value["display"]))],
    }
}

fn is_token(value: &Value, searched: &str) -> bool {
    let parts: Vec<String> = separated(searched, '|').iter().map(|it| unescaped(it)).collect();
    tokens(value).iter().any(|(system, code, _)| match parts.as_slice() {
        [only] => code == only,
        [searched, empty] if empty.is_empty() => system == searched,
        [searched, of_it] => system == searched && code == of_it,
        _ => false,
    })
}

fn is_quantity(value: &Value, searched: &str) -> bool {
    let parts = separated(searched, '|');
    let (prefix, number) = prefix(&parts[0]);
    let exact: f64 = number.parse().unwrap();
    let places = number.split_once('.').map_or(0, |(_, it)| it.len());
    let half = 0.5 * 10_f64.powi(-i32::try_from(places).unwrap());
    let mut found = value["value"].as_f64().unwrap();
    let is_right_unit = match parts.as_slice() {
        [_, system, code] if system.is_empty() => value["unit"] == **code || value["code"] == **code,
        [_, _, code] if value["code"] == **code => true,
        [_, _, code] => match (density(value["code"].as_str().unwrap_or_default()), density(code)) {
            (Some(one), Some(other)) => {
                found = found * one / other;
                true
            }
            _ => false,
        },
        _ => true,
    };
    let is_equal = found >= exact - half && found < exact + half;
    is_right_unit
        && match prefix {
            "ne" => !is_equal,
            "gt" | "sa" => found > exact,
            "lt" | "eb" => found < exact,
            "ge" => found >= exact,
            "le" => found <= exact,
            _ => is_equal,
        }
}

/// The units of UCUM in Synthea that differ in size but not in kind: in kilograms per cubic metre.
fn density(code: &str) -> Option<f64> {
    let units =
        [("kg.m-3", 1.0), ("g/L", 1.0), ("g/dL", 10.0), ("mg/dL", 0.01), ("ug/mL", 0.001), ("ng/mL", 1e-6)];
    units.iter().find(|(name, _)| *name == code).map(|(_, size)| *size)
}

fn prefix(value: &str) -> (&str, &str) {
    if value.starts_with(|it: char| it.is_ascii_alphabetic()) { value.split_at(2) } else { ("", value) }
}

/// The first microsecond, and the first one after.
fn span(text: &str) -> (i64, i64) {
    const DAY: i64 = 86_400_000_000;
    if text.len() > 10 {
        let start = text.parse::<jiff::Timestamp>().unwrap().as_microsecond();
        return (start, start + if text.contains('.') { 1000 } else { 1_000_000 });
    }
    let part = |from: usize, to: usize| text.get(from..to).map_or(1, |it| it.parse::<i16>().unwrap());
    let small = |it: i16| i8::try_from(it).unwrap();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let start = |year, month, day| {
        let date = jiff::civil::Date::new(year, small(month), small(day)).unwrap();
        date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_microsecond()
    };
    let low = start(year, month, day);
    match text.len() {
        4 => (low, start(year + 1, 1, 1)),
        7 if month == 12 => (low, start(year + 1, 1, 1)),
        7 => (low, start(year, month + 1, 1)),
        _ => (low, low + DAY),
    }
}

/// Without case, accents (those of Synthea's names) and punctuation.
fn folded(text: &str) -> String {
    let plain = unescaped(text).to_lowercase();
    let letters = plain.chars().map(|letter| match letter {
        'á' | 'à' | 'ã' => 'a',
        'é' | 'è' => 'e',
        'í' => 'i',
        'ó' | 'ö' | 'ô' => 'o',
        'ú' | 'ü' => 'u',
        'ñ' => 'n',
        other => other,
    });
    let kept: String = letters.filter(|it| it.is_alphanumeric() || it.is_whitespace()).collect();
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace(',', r"\,").replace('|', r"\|").replace('$', r"\$")
}

fn unescaped(text: &str) -> String {
    text.replace(r"\,", ",").replace(r"\|", "|").replace(r"\$", "$").replace(r"\\", "\\")
}

fn separated(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter == separator {
            parts.push(String::new());
            continue;
        }
        let last = parts.last_mut().unwrap();
        last.push(letter);
        if letter == '\\' {
            last.extend(letters.next());
        }
    }
    parts
}

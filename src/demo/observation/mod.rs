//! What was measured, asked and seen.

pub(super) mod growth;
pub(super) mod lab;
pub(super) mod social;
pub(super) mod survey;
pub(super) mod vital;

use super::chart::{Chart, Label, Visit};
use super::code::hl7;
use super::element::{moment, reference};
use serde_json::{Map, Value, json};

/// One observation, before it is in a chart.
struct Observation {
    profile: &'static str,
    label: Label,
    category: Value,
    code: Value,
    /// The value, a reason for its absence, components: what differs.
    rest: Value,
}

/// Adds an observation of a visit.
fn add(chart: &mut Chart, visit: &Visit, observation: Observation) -> String {
    let mut content = Map::new();
    let common = json!({
        "status": "final",
        "category": [observation.category],
        "code": observation.code,
        "subject": chart.patient(),
        "encounter": reference(&visit.encounter),
        "effectiveDateTime": moment(visit.at),
        "issued": moment(visit.at),
        "performer": [reference(visit.by)],
    });
    if let (Value::Object(common), Value::Object(rest)) = (common, observation.rest) {
        content.extend(common);
        // A period takes the place of the moment.
        if rest.contains_key("effectivePeriod") {
            content.shift_remove("effectiveDateTime");
        }
        content.extend(rest);
    }
    chart.add_labelled("Observation", observation.profile, observation.label, Value::Object(content))
}

fn category(code: &str, display: &str) -> Value {
    hl7("observation-category", code, display)
}

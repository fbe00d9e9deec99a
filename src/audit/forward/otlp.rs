//! A batch as OpenTelemetry logs, in JSON.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use crate::audit::checkpoint::hex;
use crate::audit::event::Kind;
use crate::audit::export;
use crate::audit::forward::target::Batch;
use serde_json::{Value, json};

pub(super) fn body(batch: &Batch) -> Value {
    let events = batch.events.iter().map(|it| {
        // Severity numbers of the log data model: INFO, WARN, ERROR.
        let (number, name) = match it.outcome {
            0 => (9, "INFO"),
            4 => (13, "WARN"),
            _ => (17, "ERROR"),
        };
        let kind = Kind::from_code(it.kind).map_or_else(String::new, |kind| format!("{kind:?}"));
        let attributes = [
            text("event.name", &kind),
            whole("audit.place", it.place),
            text("audit.hash", &hex(&it.hash)),
            whole("audit.tenant", batch.tenant.0.into()),
        ];
        record(it.recorded, (number, name), &it.text, &attributes)
    });
    let checkpoints = batch.checkpoints.iter().map(|it| {
        let attributes = [text("event.name", "Checkpoint"), whole("audit.tenant", batch.tenant.0.into())];
        record(it.signed, (9, "INFO"), &export::checkpoint_line(it), &attributes)
    });
    let records: Vec<Value> = events.chain(checkpoints).collect();
    json!({ "resourceLogs": [{
        "resource": { "attributes": [text("service.name", "vesta"), text("host.name", &batch.host)] },
        "scopeLogs": [{ "scope": { "name": "vesta.audit" }, "logRecords": records }],
    }] })
}

fn record(at: i64, (number, name): (u8, &str), body: &str, attributes: &[Value]) -> Value {
    let nanoseconds = i128::from(at) * 1000;
    json!({
        "timeUnixNano": nanoseconds.to_string(), "severityNumber": number, "severityText": name,
        "body": { "stringValue": body }, "attributes": attributes,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Whole numbers are strings in the JSON of protocol buffers.
fn whole(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

//! A batch as JSON for a webhook: the events, each with its place and hash, and the checkpoints.

use crate::audit::checkpoint::hex;
use crate::audit::export;
use crate::audit::forward::target::Batch;
use serde_json::{Value, json};

pub(super) fn body(batch: &Batch) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let events: Vec<Value> = batch
        .events
        .iter()
        .map(|it| json!({ "place": it.place, "hash": hex(&it.hash), "event": parsed(&it.text) }))
        .collect();
    let checkpoints: Vec<Value> =
        batch.checkpoints.iter().map(|it| parsed(&export::checkpoint_line(it))).collect();
    json!({ "source": batch.host, "tenant": batch.tenant.0, "events": events, "checkpoints": checkpoints })
}

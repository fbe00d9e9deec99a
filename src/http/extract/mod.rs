//! What was sent, as parsed values.

pub(super) mod body;
pub(super) mod caller;
pub(super) mod conditions;
pub(super) mod format;
pub(super) mod preferences;
pub(super) mod purpose;
pub(super) mod query;

//! Results as answers.

pub(super) mod compress;
pub(super) mod outcome;
pub(super) mod plain;
pub(super) mod pretty;
pub(super) mod resource;
pub(super) mod validators;

//! What keys can only narrow down: criteria checked on the unsealed resource.
//!
//! Each names a parameter and says what one of its values must be like, straight from the
//! specification's words, without a detour over keys.

use crate::search::range::RangeTest;
use std::sync::Arc;

/// A criterion that needs the resource.
#[derive(Clone, PartialEq)]
pub struct Criterion {
    /// The code of the parameter.
    pub parameter: Arc<str>,
    /// What one of its values must be like.
    pub test: Test,
}

/// What a value must be like.
#[derive(Clone, PartialEq)]
pub enum Test {
    /// A string begins so, both normalised.
    StartsWith(Box<str>),
    /// A string holds this, both normalised.
    Contains(Box<str>),
    /// The text beside a token begins so, both normalised.
    Text(Box<str>),
    /// A date passes.
    Date(RangeTest<i64>),
}

impl std::fmt::Debug for Criterion {
    /// Never the value: a query must not reach a log by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Criterion({})", self.parameter)
    }
}

//! What keys can only narrow down: criteria checked on the unsealed resource.
//!
//! Each names a parameter and says what one of its values must be like, straight from the
//! specification's words. [`crate::search::plan`] reads every searched value into a [`Test`] first and then
//! asks what the index can say of it; where that is not all, the test stays beside it as a criterion.

use crate::search::index::KeyKind;
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
    /// It has that key.
    Key(KeyKind, Box<str>),
    /// A string is this, both normalised.
    Equals(Box<str>),
    /// A string begins so, both normalised.
    StartsWith(Box<str>),
    /// A string ends so, both normalised.
    EndsWith(Box<str>),
    /// A string holds this, both normalised.
    Contains(Box<str>),
    /// The text beside a token begins so, both normalised.
    Text(Box<str>),
    /// A date passes.
    Date(RangeTest<i64>),
    /// A number passes, in that unit: see [`crate::search::index::RangeEntry::unit`].
    Number {
        /// The unit; nothing for the number as it stands.
        unit: Option<Arc<str>>,
        /// The test on the number.
        test: RangeTest<f64>,
    },
    /// A number passes as it stands, and its code or its stated unit is this.
    Unit {
        /// The code or unit.
        unit: Box<str>,
        /// The test on the number.
        test: RangeTest<f64>,
    },
    /// A position is no farther away.
    Near {
        /// In degrees, north.
        latitude: f64,
        /// In degrees, east.
        longitude: f64,
        /// The distance.
        metres: f64,
    },
    /// The narrative (`_text`) or any text of the resource (`_content`) holds all of these words, normalised.
    Words(Vec<Box<str>>),
    /// At least one of these holds of it.
    Any(Vec<Test>),
    /// This does not hold of it.
    Not(Box<Test>),
    /// For a composite: each holds of a value of its part, all within one element.
    Composite(Vec<Test>),
}

impl std::fmt::Debug for Criterion {
    /// Never the value: a query must not reach a log by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Criterion({})", self.parameter)
    }
}

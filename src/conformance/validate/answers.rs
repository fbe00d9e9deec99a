//! What is known of codes beside the definitions: asked for while validating, found by whoever validates.
//!
//! The core does no I/O, and which codes matter shows only on the way. So a validation notes what it could not tell; its
//! caller looks that up and validates again. Nothing is noted where nobody will look.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// So many questions are noted in one validation.
pub const MOST: usize = 256;

/// Something about codes that the definitions do not tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// Whether a code is in a value set; without a system, in any of its systems.
    IsMember {
        /// The canonical of the value set.
        value_set: String,
        /// The code system.
        system: Option<String>,
        /// The code.
        code: String,
    },
    /// Whether one code is another, or above it.
    Subsumes {
        /// The code system of both.
        system: String,
        /// The upper one.
        general: String,
        /// The lower one.
        special: String,
    },
}

/// What was found out, and what is still asked.
#[derive(Debug, Default)]
pub struct Answers {
    known: HashMap<Question, Option<bool>>,
    asked: Mutex<BTreeSet<Question>>,
}

impl Answers {
    /// Notes an answer; none: nobody can tell.
    pub fn learn(&mut self, question: Question, answer: Option<bool>) {
        self.known.insert(question, answer);
    }

    /// What was asked and is not known, which is then asked no more.
    pub fn take_asked(&mut self) -> BTreeSet<Question> {
        std::mem::take(self.asked.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer, if there is one; otherwise the question is noted.
    pub(super) fn to(&self, question: Question) -> Option<bool> {
        if let Some(known) = self.known.get(&question) {
            return *known;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MOST {
            asked.insert(question);
        }
        None
    }
}

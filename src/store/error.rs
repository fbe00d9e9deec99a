//! Why the store could not do it, and what that means in FHIR.
//!
//! Constraints are told apart by name. diesel keeps no SQLSTATE, so the few conditions that it does not
//! name are known by the words of PostgreSQL's own message, which the store asks for in English.

use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Why a deed or a question failed. Nothing of a failed deed is stored.
#[derive(thiserror::Error, Debug)]
pub enum StoreError {
    /// The version that must still stand does not: somebody else was faster.
    #[error("{resource_type}/{id} has changed in the meantime")]
    Conflict {
        /// The type of the resource.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
    },
    /// A resource with that id is there, or was.
    #[error("{resource_type}/{id} exists already")]
    AlreadyExists {
        /// The type of the resource.
        resource_type: ResourceType,
        /// Its id.
        id: ResourceId,
    },
    /// It took longer than one statement may.
    #[error("the database took too long")]
    TooCostly,
    /// The database, or the key provider, cannot be reached now.
    #[error("the database, or a key, is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key that sealed it was destroyed: nobody can read it any more.
    #[error("the key of this resource was destroyed")]
    Shredded,
    /// What must not happen did.
    #[error("the database answered what it must not")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What may be tried again without harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Retry {
    /// The database rolled back: nothing was done.
    Always,
    /// The connection was lost: only a question may be asked again.
    Reading,
    /// Again would be no better.
    Never,
}

impl StoreError {
    /// A condition that must not happen, in one clause.
    #[must_use]
    pub fn broken(clause: &'static str) -> StoreError {
        StoreError::Broken(clause.into())
    }

    /// A condition that may pass, in one clause.
    pub(super) fn unavailable(clause: &'static str) -> StoreError {
        StoreError::Unavailable(clause.into())
    }
}

/// What may be tried again after that error.
pub(super) fn retry(error: &DieselError) -> Retry {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => Retry::Always,
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, at)
            if at.constraint_name().is_some_and(|name| name.ends_with("_pkey")) =>
        {
            // Two servers minted the same row id: another will do.
            Retry::Always
        }
        DieselError::DatabaseError(_, at) if at.message().contains("deadlock detected") => Retry::Always,
        other if is_connection_lost(other) => Retry::Reading,
        _ => Retry::Never,
    }
}

fn is_connection_lost(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(_, at) => {
            let message = at.message();
            ["terminating connection", "the database system is", "connection closed", "too many clients"]
                .iter()
                .any(|words| message.contains(words))
        }
        _ => false,
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> StoreError {
        if is_connection_lost(&error) || retry(&error) == Retry::Always {
            return StoreError::Unavailable(Box::new(error));
        }
        match &error {
            DieselError::DatabaseError(_, at) => {
                let message = at.message();
                if message.contains("statement timeout") || message.contains("lock timeout") {
                    return StoreError::TooCostly;
                }
                let is_full = message.contains("No space left") || message.contains("could not extend file");
                // Without its row in the trail no deed is done: that passes when the trail is mended.
                let is_trail = message.contains("audit_events");
                if is_full || is_trail || message.contains("cannot execute") {
                    return StoreError::Unavailable(Box::new(error));
                }
                StoreError::Broken(Box::new(error))
            }
            _ => StoreError::Broken(Box::new(error)),
        }
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Outcome {
        match &error {
            StoreError::Conflict { resource_type, id } => {
                Outcome::conflict("the resource has changed in the meantime, read it again")
                    .at(format!("{resource_type}/{id}"))
            }
            StoreError::AlreadyExists { resource_type, id } => {
                Issue::error(IssueType::Conflict, "a resource with this id exists already")
                    .at(format!("{resource_type}/{id}"))
                    .into()
            }
            StoreError::TooCostly => Outcome::too_costly("this takes too long, ask for less"),
            StoreError::Shredded => Outcome::deleted(),
            StoreError::Unavailable(_) => Outcome::transient(error),
            StoreError::Broken(_) => Outcome::exception(error),
        }
    }
}

//! FHIR's issue types: what kind of thing went wrong.
//!
//! <https://hl7.org/fhir/R4/valueset-issue-type.html>

/// The kind of an issue. Named and spelled as in the code system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IssueType {
    /// Content that is not valid against the specification or a profile
    Invalid,
    /// A structural issue: wrong nesting, unknown element, not JSON
    Structure,
    /// A required element is missing
    Required,
    /// An element or header value is invalid
    Value,
    /// A validation rule failed
    Invariant,
    /// The client must authenticate
    Login,
    /// The user or system was not authenticated
    Unknown,
    /// The session expired
    Expired,
    /// The caller does not have the rights
    Forbidden,
    /// Some information was not or might not have been returned
    Suppressed,
    /// The interaction, operation, resource or profile is not supported
    NotSupported,
    /// An attempt was made to create a duplicate
    Duplicate,
    /// The criteria match more than one resource
    MultipleMatches,
    /// The resource was not found
    NotFound,
    /// The resource was deleted
    Deleted,
    /// Content is larger or nested deeper than allowed
    TooLong,
    /// A code or system could not be understood
    CodeInvalid,
    /// An extension was found that is not acceptable
    Extension,
    /// The operation would cost too much
    TooCostly,
    /// A business rule failed
    BusinessRule,
    /// The resource was changed in the meantime
    Conflict,
    /// A transient condition: try again
    Transient,
    /// A lock could not be taken: try again
    LockError,
    /// The persistent store is unavailable
    NoStore,
    /// An unexpected internal error
    Exception,
    /// The operation timed out
    Timeout,
    /// The system is throttling the caller
    Throttled,
    /// For information only
    Informational,
    /// Content is not complete
    Incomplete,
}

impl IssueType {
    /// The code, as it stands in an OperationOutcome.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            IssueType::Invalid => "invalid",
            IssueType::Structure => "structure",
            IssueType::Required => "required",
            IssueType::Value => "value",
            IssueType::Invariant => "invariant",
            IssueType::Login => "login",
            IssueType::Unknown => "unknown",
            IssueType::Expired => "expired",
            IssueType::Forbidden => "forbidden",
            IssueType::Suppressed => "suppressed",
            IssueType::NotSupported => "not-supported",
            IssueType::Duplicate => "duplicate",
            IssueType::MultipleMatches => "multiple-matches",
            IssueType::NotFound => "not-found",
            IssueType::Deleted => "deleted",
            IssueType::TooLong => "too-long",
            IssueType::CodeInvalid => "code-invalid",
            IssueType::Extension => "extension",
            IssueType::TooCostly => "too-costly",
            IssueType::BusinessRule => "business-rule",
            IssueType::Conflict => "conflict",
            IssueType::Transient => "transient",
            IssueType::LockError => "lock-error",
            IssueType::NoStore => "no-store",
            IssueType::Exception => "exception",
            IssueType::Timeout => "timeout",
            IssueType::Throttled => "throttled",
            IssueType::Informational => "informational",
            IssueType::Incomplete => "incomplete",
        }
    }

    /// The HTTP status of an answer with that issue: the only table of them.
    /// <https://hl7.org/fhir/R4/http.html#Status-Codes>
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            IssueType::Login | IssueType::Unknown | IssueType::Expired => 401,
            IssueType::Forbidden | IssueType::Suppressed => 403,
            IssueType::NotFound => 404,
            IssueType::Conflict | IssueType::Duplicate => 409,
            IssueType::Deleted => 410,
            IssueType::MultipleMatches => 412,
            IssueType::TooLong => 413,
            IssueType::Invariant
            | IssueType::BusinessRule
            | IssueType::CodeInvalid
            | IssueType::Extension => 422,
            IssueType::Throttled => 429,
            IssueType::Exception => 500,
            IssueType::Transient | IssueType::LockError | IssueType::NoStore | IssueType::Timeout => 503,
            _ => 400,
        }
    }
}

//! The kinds of events, and a row for each.
//!
//! A number is stored with every row and never changes.

use crate::access::principal::Principal;
use crate::store::audit_log::AuditRow;
use uuid::Uuid;

/// What kind of event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A resource was read: the current version.
    Read,
    /// A version was read.
    Vread,
    /// A history was read.
    History,
    /// A search.
    Search,
    /// A resource was created.
    Create,
    /// A resource was updated.
    Update,
    /// A resource was patched.
    Patch,
    /// A resource was deleted.
    Delete,
    /// A batch or transaction was processed.
    Bundle,
    /// An operation was performed.
    Operation,
    /// A request without a valid token.
    Unauthenticated,
}

/// AuditEvent.outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Result {
    /// 0
    Success,
    /// 4: refused, or the client's mistake.
    MinorFailure,
    /// 8: the server's mistake.
    SeriousFailure,
}

/// Who asked, and when.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// The id of the request.
    pub request: Uuid,
    /// The address it came from.
    pub network: Option<&'a str>,
    /// When, in microseconds since 1970.
    pub now: i64,
}

impl Kind {
    /// The number to store.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Kind::Read => 1,
            Kind::Vread => 2,
            Kind::History => 3,
            Kind::Search => 4,
            Kind::Create => 5,
            Kind::Update => 6,
            Kind::Patch => 7,
            Kind::Delete => 8,
            Kind::Bundle => 9,
            Kind::Operation => 10,
            Kind::Unauthenticated => 11,
        }
    }

    /// AuditEvent.action: create, read, update, delete or execute.
    #[must_use]
    pub fn action(self) -> char {
        match self {
            Kind::Read | Kind::Vread => 'R',
            Kind::Create => 'C',
            Kind::Update | Kind::Patch => 'U',
            Kind::Delete => 'D',
            _ => 'E',
        }
    }
}

impl Result {
    /// The number to store: AuditEvent.outcome.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Result::Success => 0,
            Result::MinorFailure => 4,
            Result::SeriousFailure => 8,
        }
    }
}

/// A row without patients, entities and detail: whoever records the event adds them.
#[must_use]
pub fn row(occasion: &Occasion<'_>, kind: Kind, result: Result, rule: &str) -> AuditRow {
    let Occasion { principal, request, network, now } = occasion;
    AuditRow {
        recorded: *now,
        kind: kind.code(),
        action: kind.action(),
        outcome: result.code(),
        agent: principal.fhir_user.clone().unwrap_or_else(|| principal.subject.clone()),
        client: Some(principal.client_id.clone()),
        purpose: principal.purpose.clone(),
        rule: Some(rule.to_owned()),
        request: Some(*request),
        network: network.map(str::to_owned),
        patients: Vec::new(),
        subjects: Vec::new(),
        entities: Vec::new(),
        detail: None,
    }
}

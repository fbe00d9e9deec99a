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
    /// A user signed in, or tried to.
    Login,
    /// A second factor was given, or asked for in vain.
    SecondFactor,
    /// A session ended, by its user or by time.
    Logout,
    /// A user granted scopes to a client, or refused to.
    Consent,
    /// A token was issued, or refused.
    TokenIssued,
    /// A token, a family of tokens or a session was revoked.
    TokenRevoked,
    /// A Consent decided about an access.
    ConsentDecision,
    /// A bulk export was asked for.
    ExportRequested,
    /// A file of an export was fetched.
    ExportFetched,
    /// An export was cancelled or deleted.
    ExportDeleted,
    /// Resources were imported in bulk.
    Import,
    /// Data left for a purpose that must be accounted for.
    Disclosure,
    /// A client was registered, changed, disabled or approved.
    ClientChanged,
    /// An account was made, changed, disabled or locked.
    UserChanged,
    /// Somebody was given a role, or lost it.
    RoleChanged,
    /// A key was made, rotated or destroyed.
    KeyChanged,
    /// A setting was changed.
    ConfigurationChanged,
    /// A policy of access, sealing or retention was changed.
    PolicyChanged,
    /// Somebody asked more often than they may.
    RateLimited,
    /// A token was presented that is none.
    MalformedToken,
    /// A code, an assertion or a refresh token was presented again.
    Replay,
    /// The trail is not what was signed.
    TamperFound,
    /// Emergency access was opened, or closed.
    BreakGlass,
    /// The server started.
    Started,
    /// The server stopped.
    Stopped,
    /// A backup was made or proved.
    Backup,
    /// A backup was restored.
    Restore,
    /// The trail itself was read, exported or verified.
    TrailRead,
    /// A client asked what a token is good for.
    Introspection,
    /// An EHR began to open an app for a user.
    Launch,
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
    /// Every kind, by number.
    pub const ALL: [Kind; 41] = [
        Kind::Read,
        Kind::Vread,
        Kind::History,
        Kind::Search,
        Kind::Create,
        Kind::Update,
        Kind::Patch,
        Kind::Delete,
        Kind::Bundle,
        Kind::Operation,
        Kind::Unauthenticated,
        Kind::Login,
        Kind::SecondFactor,
        Kind::Logout,
        Kind::Consent,
        Kind::TokenIssued,
        Kind::TokenRevoked,
        Kind::ConsentDecision,
        Kind::ExportRequested,
        Kind::ExportFetched,
        Kind::ExportDeleted,
        Kind::Import,
        Kind::Disclosure,
        Kind::ClientChanged,
        Kind::UserChanged,
        Kind::RoleChanged,
        Kind::KeyChanged,
        Kind::ConfigurationChanged,
        Kind::PolicyChanged,
        Kind::RateLimited,
        Kind::MalformedToken,
        Kind::Replay,
        Kind::TamperFound,
        Kind::BreakGlass,
        Kind::Started,
        Kind::Stopped,
        Kind::Backup,
        Kind::Restore,
        Kind::TrailRead,
        Kind::Introspection,
        Kind::Launch,
    ];

    /// The kind with that stored number.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|it| it.code() == code)
    }

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
            Kind::Login => 12,
            Kind::SecondFactor => 13,
            Kind::Logout => 14,
            Kind::Consent => 15,
            Kind::TokenIssued => 16,
            Kind::TokenRevoked => 17,
            Kind::ConsentDecision => 18,
            Kind::ExportRequested => 19,
            Kind::ExportFetched => 20,
            Kind::ExportDeleted => 21,
            Kind::Import => 22,
            Kind::Disclosure => 23,
            Kind::ClientChanged => 24,
            Kind::UserChanged => 25,
            Kind::RoleChanged => 26,
            Kind::KeyChanged => 27,
            Kind::ConfigurationChanged => 28,
            Kind::PolicyChanged => 29,
            Kind::RateLimited => 30,
            Kind::MalformedToken => 31,
            Kind::Replay => 32,
            Kind::TamperFound => 33,
            Kind::BreakGlass => 34,
            Kind::Started => 35,
            Kind::Stopped => 36,
            Kind::Backup => 37,
            Kind::Restore => 38,
            Kind::TrailRead => 39,
            Kind::Introspection => 40,
            Kind::Launch => 41,
        }
    }

    /// AuditEvent.action: create, read, update, delete or execute.
    #[must_use]
    pub fn action(self) -> char {
        match self {
            Kind::Read | Kind::Vread | Kind::ExportFetched | Kind::Disclosure | Kind::TrailRead => 'R',
            Kind::Create | Kind::Import => 'C',
            Kind::Update
            | Kind::Patch
            | Kind::ClientChanged
            | Kind::UserChanged
            | Kind::RoleChanged
            | Kind::KeyChanged
            | Kind::ConfigurationChanged
            | Kind::PolicyChanged => 'U',
            Kind::Delete | Kind::ExportDeleted => 'D',
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

/// A row for an event without a token: start and stop, a sign-in, a request that is refused at the door. `agent` is
/// whoever it was, as far as that is known: an account, a client, the server itself.
#[must_use]
pub fn row_of(agent: &str, kind: Kind, result: Result, rule: &str, now: i64) -> AuditRow {
    AuditRow {
        recorded: now,
        kind: kind.code(),
        action: kind.action(),
        outcome: result.code(),
        agent: agent.to_owned(),
        client: None,
        purpose: None,
        rule: Some(rule.to_owned()),
        request: None,
        network: None,
        patients: Vec::new(),
        subjects: Vec::new(),
        entities: Vec::new(),
        detail: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change() {
        for (place, kind) in (1_i16..).zip(Kind::ALL) {
            assert_eq!(kind.code(), place, "{kind:?}");
            assert_eq!(Kind::from_code(place), Some(kind));
        }
        assert_eq!(
            (Kind::Unauthenticated.code(), Kind::BreakGlass.code(), Kind::TrailRead.code()),
            (11, 34, 39)
        );
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(Kind::from_code(42), None);
    }
}

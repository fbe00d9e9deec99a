//! Why a FHIR request failed: an OperationOutcome in waiting.
//!
//! <https://hl7.org/fhir/R4/operationoutcome.html>
//!
//! An [`Outcome`] is the one error of the FHIR rooms. Its constructors are named for FHIR's issue
//! types; which HTTP status an issue type means is said once, in `http/respond/outcome.rs`.
//! A message is one lower-case clause that tells the client what to change; it never holds a value
//! from a resource. The cause is for the log and has no way into the answer.

use super::issue_type::IssueType;
use super::json::{Node, ParseError};
use std::error::Error;
use std::sync::Arc;

/// Why a request failed, or what there is to say about one that succeeded. Never empty.
#[derive(Clone)]
pub struct Outcome {
    issues: Vec<Issue>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is.
    pub code: IssueType,
    /// The rule that was broken, such as `dom-6` or `us-core-1`: rendered as `details`.
    pub rule: Option<String>,
    /// One clause for the person who reads it.
    pub diagnostics: String,
    /// Where: FHIRPath locations such as `Patient.name[0].family`.
    pub expression: Vec<String>,
}

/// <https://hl7.org/fhir/R4/valueset-issue-severity.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Information,
    /// The request may go on.
    Warning,
    /// The request is refused.
    Error,
    /// The server could not go on.
    Fatal,
}

impl Severity {
    /// The code, as it stands in an OperationOutcome.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Severity::Information => "information",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

impl Issue {
    /// An issue that refuses the request.
    #[must_use]
    pub fn error(code: IssueType, diagnostics: impl Into<String>) -> Issue {
        Issue {
            severity: Severity::Error,
            code,
            rule: None,
            diagnostics: diagnostics.into(),
            expression: Vec::new(),
        }
    }

    /// An issue that lets the request go on.
    #[must_use]
    pub fn warning(code: IssueType, diagnostics: impl Into<String>) -> Issue {
        Issue { severity: Severity::Warning, ..Issue::error(code, diagnostics) }
    }

    /// Something worth knowing.
    #[must_use]
    pub fn information(diagnostics: impl Into<String>) -> Issue {
        Issue { severity: Severity::Information, ..Issue::error(IssueType::Informational, diagnostics) }
    }

    /// Says where: a FHIRPath location.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Issue {
        self.expression.push(location.into());
        self
    }

    /// Says where: the place of a value in its resource.
    #[must_use]
    pub fn at_node(self, resource_type: &str, node: Node<'_>) -> Issue {
        let path = node.path();
        self.at(if path.is_empty() { resource_type.to_owned() } else { format!("{resource_type}.{path}") })
    }

    /// Names the rule that was broken.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Issue {
        self.rule = Some(rule.into());
        self
    }
}

impl From<Issue> for Outcome {
    fn from(issue: Issue) -> Outcome {
        Outcome { issues: vec![issue], cause: None }
    }
}

impl Outcome {
    /// All of these, or nothing if there are none.
    #[must_use]
    pub fn from_issues(issues: Vec<Issue>) -> Option<Outcome> {
        if issues.is_empty() { None } else { Some(Outcome { issues, cause: None }) }
    }

    /// Content that is not valid.
    #[must_use]
    pub fn invalid(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Invalid, diagnostics).into()
    }

    /// Content whose structure is wrong.
    #[must_use]
    pub fn structure(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Structure, diagnostics).into()
    }

    /// Something required is missing.
    #[must_use]
    pub fn required(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Required, diagnostics).into()
    }

    /// A value, parameter or header that does not parse.
    #[must_use]
    pub fn value(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Value, diagnostics).into()
    }

    /// There is no such resource, or none that the caller may know of. Always these very words.
    #[must_use]
    pub fn not_found() -> Outcome {
        Issue::error(IssueType::NotFound, "no such resource").into()
    }

    /// The resource was deleted.
    #[must_use]
    pub fn deleted() -> Outcome {
        Issue::error(IssueType::Deleted, "the resource was deleted").into()
    }

    /// The resource changed in the meantime, or stands in the way.
    #[must_use]
    pub fn conflict(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Conflict, diagnostics).into()
    }

    /// `If-Match` names another version than the current one (412).
    #[must_use]
    pub fn precondition_failed(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::MultipleMatches, diagnostics).into()
    }

    /// The caller may know of it, but not do this.
    #[must_use]
    pub fn forbidden(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Forbidden, diagnostics).into()
    }

    /// The caller must present a valid token.
    #[must_use]
    pub fn login() -> Outcome {
        Issue::error(IssueType::Login, "a valid access token is required").into()
    }

    /// A rule of this server or of the specification forbids it.
    #[must_use]
    pub fn business_rule(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::BusinessRule, diagnostics).into()
    }

    /// We do not do that.
    #[must_use]
    pub fn not_supported(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::NotSupported, diagnostics).into()
    }

    /// It would cost more than the server gives to one request.
    #[must_use]
    pub fn too_costly(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::TooCostly, diagnostics).into()
    }

    /// The caller sends too many requests.
    #[must_use]
    pub fn throttled(diagnostics: impl Into<String>) -> Outcome {
        Issue::error(IssueType::Throttled, diagnostics).into()
    }

    /// The store or the trail cannot be reached now; the same request may work later.
    #[must_use]
    pub fn transient(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Outcome {
        let issue = Issue::error(IssueType::Transient, "the server cannot do this now, try again");
        Outcome::from(issue).because(cause)
    }

    /// Something that must not happen did. The cause is logged once, at the edge.
    #[must_use]
    pub fn exception(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Outcome {
        let issue =
            Issue { severity: Severity::Fatal, ..Issue::error(IssueType::Exception, "internal error") };
        Outcome::from(issue).because(cause)
    }

    /// Adds something to know.
    #[must_use]
    pub fn noting(mut self, issue: Issue) -> Outcome {
        self.issues.push(issue);
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Outcome {
        self.cause = Some(Arc::from(cause.into()));
        self
    }

    /// Says where, for the first issue.
    #[must_use]
    pub fn at(mut self, location: impl Into<String>) -> Outcome {
        if let Some(first) = self.issues.first_mut() {
            first.expression.push(location.into());
        }
        self
    }

    /// Adds one more thing to say.
    #[must_use]
    pub fn and(mut self, issue: Issue) -> Outcome {
        self.issues.push(issue);
        self
    }

    /// The same issues at other locations, as seen from outside.
    #[must_use]
    pub fn relocated(mut self, move_all: impl Fn(&[String]) -> Vec<String>) -> Outcome {
        for issue in &mut self.issues {
            issue.expression = move_all(&issue.expression);
        }
        self
    }

    /// What there is to say, never nothing.
    #[must_use]
    pub fn issues(&self) -> &[Issue] {
        &self.issues
    }

    /// The first of the worst issues: it decides the status of the answer.
    #[must_use]
    pub fn worst(&self) -> Option<&Issue> {
        let worst = self.issues.iter().map(|issue| issue.severity).max()?;
        self.issues.iter().find(|issue| issue.severity == worst)
    }

    /// The HTTP status of an answer with this outcome: that of its worst issue.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.worst().map_or(500, |issue| issue.code.status())
    }

    /// The cause, for the log alone.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The OperationOutcome resource.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(&self.issues)
    }
}

/// Issues as an OperationOutcome resource.
#[must_use]
pub fn to_json(issues: &[Issue]) -> String {
    let issues: Vec<_> = issues.iter().map(issue_json).collect();
    serde_json::json!({ "resourceType": "OperationOutcome", "issue": issues }).to_string()
}

fn issue_json(issue: &Issue) -> serde_json::Value {
    let mut json = serde_json::json!({ "severity": issue.severity.code(), "code": issue.code.code() });
    if let (Some(object), Some(rule)) = (json.as_object_mut(), &issue.rule) {
        object.insert("details".into(), serde_json::json!({ "text": rule }));
    }
    if let Some(object) = json.as_object_mut() {
        object.insert("diagnostics".into(), issue.diagnostics.clone().into());
        if !issue.expression.is_empty() {
            object.insert("expression".into(), issue.expression.clone().into());
        }
    }
    json
}

impl From<ParseError> for Outcome {
    fn from(error: ParseError) -> Outcome {
        let code = if error.is_too_costly { IssueType::TooLong } else { IssueType::Structure };
        let issue = Issue::error(code, format!("not acceptable JSON: {error}"));
        if error.path.is_empty() { issue.into() } else { issue.at(error.path).into() }
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").field("issues", &self.issues).field("cause", &self.cause).finish()
    }
}

//! Refusals. What an issue type means in HTTP is said by `IssueType::status`.

use super::resource;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome, Severity};
use crate::fhir::types::Types;
use crate::http::extract::format::Format;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;

/// Why there is no other answer.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    outcome: Outcome,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Outcome> for Refusal {
    fn from(outcome: Outcome) -> Refusal {
        let status = StatusCode::from_u16(outcome.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal::new(status, outcome)
    }
}

impl From<Issue> for Refusal {
    fn from(issue: Issue) -> Refusal {
        Outcome::from(issue).into()
    }
}

impl Refusal {
    /// A refusal whose status is HTTP's own matter.
    pub(crate) fn new(status: StatusCode, outcome: Outcome) -> Refusal {
        let mut refusal = Refusal { status, outcome, headers: Vec::new() };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            refusal.headers.push((RETRY_AFTER, HeaderValue::from_static("2")));
        }
        refusal
    }

    /// Whoever calls is not known. A token that was presented is named as the reason, with nothing more:
    /// <https://www.rfc-editor.org/rfc/rfc6750#section-3.1>
    pub(crate) fn stranger(presented_token: bool) -> Refusal {
        let challenge = match presented_token {
            true => "Bearer realm=\"fhir\", error=\"invalid_token\"",
            false => "Bearer realm=\"fhir\"",
        };
        Refusal::from(Outcome::login()).with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// The token came as one that is bound to a key, and that, or the proof, was not good:
    /// <https://www.rfc-editor.org/rfc/rfc9449#section-7.1>
    pub(crate) fn unproven() -> Refusal {
        let challenge = "DPoP realm=\"fhir\", error=\"invalid_token\", algs=\"ES256 ES384 RS256 RS384\"";
        Refusal::from(Outcome::login()).with(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
    }

    /// R4 has no such resource type.
    pub(crate) fn unknown_type() -> Refusal {
        Issue::error(IssueType::NotFound, "R4 has no resource type of this name").into()
    }

    /// The answer cannot be written in any way that the client would take.
    pub(crate) fn not_acceptable() -> Refusal {
        let outcome =
            Outcome::not_supported("answers are written as application/fhir+json or application/fhir+xml");
        Refusal::new(StatusCode::NOT_ACCEPTABLE, outcome)
    }

    /// The body is of a type that is not taken here.
    pub(crate) fn unsupported_media_type(taken: &str) -> Refusal {
        let outcome = Outcome::not_supported(format!("the body must be {taken}"));
        Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, outcome)
    }

    /// The same, with one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Refusal {
        self.headers.push((name, value));
        self
    }

    /// The same, naming the request where the server itself failed, so that whoever reads it can be helped. Other
    /// refusals do not: of two that must not be told apart, none may say more.
    pub(crate) fn naming(mut self, request: Uuid) -> Refusal {
        if self.status.is_server_error() {
            self.outcome = self.outcome.noting(Issue::information(format!("request {request}")));
        }
        self
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said, and what is only logged.
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The answer, in the format that was asked for, if there is such a one.
    pub(crate) fn into_response(self, request: &HttpRequest, types: &Types) -> HttpResponse {
        let query = request.query_string();
        let accepted = request.headers().get_all(ACCEPT).filter_map(|it| it.to_str().ok());
        let accepted = accepted.collect::<Vec<_>>().join(",");
        let format = Format::negotiate(query, &accepted).unwrap_or_else(|_| Format::default_for(query));
        let written = resource::text(self.status, &format, types, self.outcome.to_json());
        // What we say is fit for both formats.
        let mut response = written.unwrap_or_else(|_| HttpResponse::new(self.status));
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What there is to say about a request that succeeded.
pub(crate) fn all_well(issues: &[Issue]) -> String {
    let fine = Issue { severity: Severity::Information, ..Issue::information("done") };
    match issues {
        [] => crate::fhir::outcome::to_json(&[fine]),
        issues => crate::fhir::outcome::to_json(issues),
    }
}

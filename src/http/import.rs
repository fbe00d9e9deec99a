//! Bulk import: lines that are sent, or a manifest that says where they are.
//!
//! `POST [base]/$import` with `application/fhir+ndjson` imports the body; with `application/json` the body is a
//! manifest. `conflict` says whose version stands. The status is asked for at the `Content-Location`, as for an
//! export.

use super::bulk::{self, set, within};
use super::edge::Call;
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::access::principal::Principal;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{self, Issue, Outcome};
use crate::interaction::import::request::{Conflict, ImportRequest};
use crate::interaction::import::{self, ImportStatus};
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LOCATION, RETRY_AFTER};

type Answer = Result<HttpResponse, Refusal>;

pub(super) async fn import(mut call: Call, principal: Principal) -> Answer {
    let mut conflict = Conflict::default();
    for (name, value) in call.parameters()? {
        match name.as_str() {
            "conflict" => conflict = Conflict::parse(&value)?,
            _ => return Err(Outcome::not_supported("$import has no such parameter").at(name).into()),
        }
    }
    let url = call.url();
    let body = match call.content_type().as_str() {
        "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson" => {
            let body = call.body().await?;
            (ImportRequest { url, sources: Vec::new(), conflict }, Some(body))
        }
        "application/json" => (ImportRequest::read(url, &call.body().await?, conflict)?, None),
        _ => {
            return Err(Refusal::unsupported_media_type(
                "application/fhir+ndjson, or a manifest in application/json",
            ));
        }
    };
    let (request, upload) = body;
    let started = within(&call, principal, async move |ctx| import::kick_off(&ctx, request, upload).await);
    let id = started.await.map_err(bulk::throttled)?;
    let mut answer = HttpResponse::new(StatusCode::ACCEPTED);
    set(answer.headers_mut(), CONTENT_LOCATION, &format!("{}/$import/{id}", call.app.fhir_base()));
    Ok(answer)
}

pub(super) async fn status(call: Call, principal: Principal) -> Answer {
    let id = bulk::id(&call)?;
    match within(&call, principal, async move |ctx| import::status(&ctx, id).await).await? {
        ImportStatus::Running { percent, lines } => {
            let mut answer = HttpResponse::new(StatusCode::ACCEPTED);
            set(answer.headers_mut(), bulk::X_PROGRESS, &format!("{percent}%, {lines} lines"));
            set(answer.headers_mut(), RETRY_AFTER, "1");
            Ok(answer)
        }
        ImportStatus::Done(result) => Ok(plain::json(StatusCode::OK, result)),
        ImportStatus::Failed(reason) => {
            let issue = Issue::error(IssueType::Exception, format!("the import failed: {reason}"));
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, issue.into()))
        }
    }
}

pub(super) async fn remove(call: Call, principal: Principal) -> Answer {
    let id = bulk::id(&call)?;
    within(&call, principal, async move |ctx| import::remove(&ctx, id).await).await?;
    let issue = Issue::information("the import is forgotten, and what was stored stays");
    Ok(plain::json(StatusCode::ACCEPTED, outcome::to_json(&[issue])))
}

pub(super) async fn file(call: Call, principal: Principal) -> Answer {
    let id = bulk::id(&call)?;
    let name = call.path("file").to_owned();
    let tag = format!("\"{id}-{name}\"");
    let file = within(&call, principal, async move |ctx| import::fetch(&ctx, id, &name).await).await?;
    bulk::send(&call, file, &tag)
}

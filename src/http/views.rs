//! Analysts' views: the rows of one as they are made, an export of some, and those that come with the program.
//!
//! <https://sql-on-fhir.org/ig/latest/operations.html>
//!
//! The first rows are made before the answer begins, so what is wrong with a view is told by a status. What fails
//! later breaks the answer off: a client that reads to the end knows that it has everything.

use super::bulk::{self, set, within};
use super::edge::Call;
use super::extract::query;
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::access::principal::Principal;
use crate::fhir::json::{Json, quote};
use crate::fhir::outcome::Outcome;
use crate::interaction::views::request::ViewRequest;
use crate::interaction::views::{self, Run};
use crate::views::standard::{self, STANDARD};
use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, HeaderValue};
use bytes::Bytes;
use futures_util::stream;
use tracing::warn;

type Answer = Result<HttpResponse, Refusal>;

pub(super) async fn run(mut call: Call, principal: Principal) -> Answer {
    let request = request(&mut call).await?;
    let first = within(&call, principal, async move |ctx| {
        let mut run = views::start(ctx, request).await?;
        let first = run.next().await?;
        Ok((run, first))
    });
    let (run, first) = first.await?;
    let media_type = HeaderValue::from_static(run.format().media_type());
    let runtime = call.edge.runtime.clone();
    let pieces = stream::try_unfold((run, Some(first)), move |(mut run, ready)| {
        let runtime = runtime.clone();
        async move {
            let (run, piece) = match ready {
                Some(piece) => (run, piece),
                None => {
                    let next = runtime.spawn(async move { run.next().await.map(|piece| (run, piece)) });
                    let next = next.await.map_err(std::io::Error::other)?;
                    next.map_err(broken)?
                }
            };
            Ok::<Option<(Bytes, (Run, Option<Option<Vec<u8>>>))>, std::io::Error>(
                piece.map(|bytes| (Bytes::from(bytes), (run, None))),
            )
        }
    });
    let body = BoxBody::new(BodyStream::new(Box::pin(pieces)));
    let mut answer = HttpResponse::with_body(StatusCode::OK, body);
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

pub(super) async fn export(mut call: Call, principal: Principal) -> Answer {
    if !call.preferences().respond_async {
        return Err(Outcome::required("an export needs the header Prefer: respond-async").into());
    }
    let request = request(&mut call).await?;
    let started = within(&call, principal, async move |ctx| views::kick_off(&ctx, request).await).await;
    let id = started.map_err(bulk::throttled)?;
    let mut answer = HttpResponse::new(StatusCode::ACCEPTED);
    set(answer.headers_mut(), CONTENT_LOCATION, &format!("{}/$export/{id}", call.app.fhir_base()));
    Ok(answer)
}

/// The views that come with the program: they hold nothing of anybody.
pub(super) async fn list(call: Call, _principal: Principal) -> Answer {
    let base = call.app.fhir_base();
    let entry = |it: &standard::Standard| {
        let url = quote(&format!("{base}/ViewDefinition/{}", it.name));
        format!("{{\"fullUrl\":{url},\"resource\":{},\"search\":{{\"mode\":\"match\"}}}}", it.text.trim())
    };
    let entries: Vec<String> = STANDARD.iter().map(entry).collect();
    let bundle = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"total\":{},\"entry\":[{}]}}",
        entries.len(),
        entries.join(",")
    );
    Ok(plain::text(StatusCode::OK, "application/fhir+json", bundle))
}

pub(super) async fn read(call: Call, _principal: Principal) -> Answer {
    let view = standard::named(call.path("id")).ok_or_else(Outcome::not_found)?;
    Ok(plain::text(StatusCode::OK, "application/fhir+json", view.text.to_owned()))
}

async fn request(call: &mut Call) -> Result<ViewRequest, Refusal> {
    let body = match call.content_type().as_str() {
        "" | "application/json" | "application/fhir+json" => call.body().await?,
        _ => return Err(Refusal::unsupported_media_type("application/fhir+json")),
    };
    let body = match body.is_empty() {
        true => None,
        false => Some(Json::parse(body, &call.json_limits()).map_err(Outcome::from)?),
    };
    let url = call.url();
    let parameters = query::decode(call.request.query_string())?;
    let accepted = call.list_header("accept");
    let types = call.edge.types();
    Ok(ViewRequest::read(types, url, call.path("id"), &parameters, body.as_ref(), &accepted)?)
}

fn broken(outcome: Outcome) -> std::io::Error {
    let code = outcome.worst().map_or("exception", |it| it.code.code());
    warn!(outcome.code = code, "the rows of a view broke off: {code}");
    std::io::Error::other("the view could not be run to its end")
}

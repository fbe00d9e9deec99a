//! Bulk data: asking for an export, its status, its files.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html>
//!
//! A file is sent as it is opened, piece by piece, compressed on the way where the client takes that. A part of it
//! (`Range`) is a part of the lines as they are, so it comes uncompressed.

use super::edge::Call;
use super::extract::purpose;
use super::respond::compress::{self, Encoder};
use super::respond::outcome::Refusal;
use super::respond::plain;
use crate::access::principal::Principal;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::export::request::{ExportRequest, Level};
use crate::interaction::export::{self, ExportStatus, SentFile};
use actix_web::HttpResponse;
use actix_web::body::{BodyStream, BoxBody, SizedStream};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    EXPIRES, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, VARY,
};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::sync::Arc;
use uuid::Uuid;

type Answer = Result<HttpResponse, Refusal>;

pub(super) const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");
const NDJSON: HeaderValue = HeaderValue::from_static("application/fhir+ndjson");
/// So many bytes of a file are opened at once.
const PIECE: usize = 1024 * 1024;

pub(super) async fn export(call: Call, principal: Principal) -> Answer {
    kick_off(call, principal, None).await
}

pub(super) async fn export_by_post(mut call: Call, principal: Principal) -> Answer {
    let body = match call.content_type().as_str() {
        "" if call.body().await?.is_empty() => None,
        _ => Some(call.resource().await?),
    };
    if body.as_ref().is_some_and(|it| it.resource_type().name() != "Parameters") {
        return Err(Outcome::invalid("an export is asked for with a Parameters resource").into());
    }
    kick_off(call, principal, body).await
}

async fn kick_off(call: Call, principal: Principal, body: Option<Resource>) -> Answer {
    if !call.preferences().respond_async {
        return Err(Outcome::required("an export needs the header Prefer: respond-async").into());
    }
    // Every operation that makes files is strict, unless it is told not to be.
    let prefer = call.list_header("prefer").to_ascii_lowercase().replace([' ', '"'], "");
    let is_lenient = prefer.split([',', ';']).any(|it| it == "handling=lenient");
    let is_of_patients = call.request.path().trim_end_matches('/').ends_with("/Patient/$export");
    let level = match (is_of_patients, call.path("id")) {
        (true, _) => Level::Patients,
        (false, "") => Level::System,
        (false, _) => Level::Group(call.resource_id()?.to_string()),
    };
    let url = call.url();
    let request = ExportRequest::read(level, url, &call.parameters()?, body.as_ref(), is_lenient)?;
    let started = within(&call, principal, async move |ctx| export::kick_off(&ctx, request).await).await;
    let id = started.map_err(throttled)?;
    let mut answer = HttpResponse::new(StatusCode::ACCEPTED);
    let location = format!("{}/$export/{id}", call.app.fhir_base());
    set(answer.headers_mut(), CONTENT_LOCATION, &location);
    Ok(answer)
}

pub(super) async fn status(call: Call, principal: Principal) -> Answer {
    let id = id(&call)?;
    match within(&call, principal, async move |ctx| export::status(&ctx, id).await).await? {
        ExportStatus::Running { percent, count } => {
            let mut answer = HttpResponse::new(StatusCode::ACCEPTED);
            set(answer.headers_mut(), X_PROGRESS, &format!("{percent}%, {count} resources in files"));
            set(answer.headers_mut(), RETRY_AFTER, "1");
            Ok(answer)
        }
        ExportStatus::Done { manifest, expires } => {
            let mut answer = plain::json(StatusCode::OK, manifest);
            let date = Timestamp::from_microsecond(expires).ok();
            let date = date.and_then(|it| DateTimePrinter::new().timestamp_to_rfc9110_string(&it).ok());
            set(answer.headers_mut(), EXPIRES, &date.unwrap_or_default());
            Ok(answer)
        }
        ExportStatus::Failed(reason) => {
            let issue = Issue::error(IssueType::Exception, format!("the export failed: {reason}"));
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, issue.into()))
        }
    }
}

pub(super) async fn remove(call: Call, principal: Principal) -> Answer {
    let id = id(&call)?;
    within(&call, principal, async move |ctx| export::remove(&ctx, id).await).await?;
    let issue = Issue::information("the export is gone");
    Ok(plain::json(StatusCode::ACCEPTED, crate::fhir::outcome::to_json(&[issue])))
}

pub(super) async fn file(call: Call, principal: Principal) -> Answer {
    let id = id(&call)?;
    let name = call.path("file").to_owned();
    let tag = format!("\"{id}-{name}\"");
    let media_type = HeaderValue::from_static(export::media_type(&name));
    let file = within(&call, principal, async move |ctx| export::fetch(&ctx, id, &name).await).await?;
    let mut answer = send(&call, file, &tag)?;
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    Ok(answer)
}

/// The file, or the part of it that is asked for.
pub(super) fn send(call: &Call, file: SentFile, tag: &str) -> Answer {
    let size = file.size();
    let range = match (call.header("range")?, call.header("if-range")?) {
        (Some(range), Some(known)) if known == tag => parse_range(range, size),
        (Some(range), None) => parse_range(range, size),
        _ => Some((0, size)),
    };
    let Some((from, until)) = range else {
        let outcome = Issue::error(IssueType::Value, "the file has no such bytes").into();
        let size = HeaderValue::from_str(&format!("bytes */{size}"));
        let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, outcome);
        return Err(match size {
            Ok(size) => refusal.with(CONTENT_RANGE, size),
            Err(_) => refusal,
        });
    };
    let is_part = (from, until) != (0, size);
    let runtime = call.edge.runtime.clone();
    let file = Arc::new(file);
    let pieces = stream::try_unfold(from, move |at| {
        let (file, runtime) = (Arc::clone(&file), runtime.clone());
        async move {
            if at >= until {
                return Ok(None);
            }
            let read = runtime.spawn(async move { file.read(at, PIECE).await });
            let mut bytes = read.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)?;
            bytes.truncate(usize::try_from(until - at).unwrap_or(usize::MAX));
            let next = at + bytes.len() as u64;
            Ok::<_, std::io::Error>(Some((Bytes::from(bytes), next)))
        }
    });
    let encoding = if is_part { None } else { compress::wanted(&call.request) };
    let mut answer = match encoding {
        None => {
            let body = BoxBody::new(SizedStream::new(until - from, Box::pin(pieces)));
            HttpResponse::with_body(StatusCode::OK, body)
        }
        Some(encoding) => {
            let encoder = Encoder::new(encoding).map_err(Outcome::exception)?;
            let body = BoxBody::new(BodyStream::new(Box::pin(encoded(pieces, encoder))));
            HttpResponse::with_body(StatusCode::OK, body)
        }
    };
    if is_part {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, NDJSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    match encoding {
        Some(encoding) => set(headers, CONTENT_ENCODING, encoding.name()),
        None => set(headers, ETAG, tag),
    }
    if is_part {
        set(headers, CONTENT_RANGE, &format!("bytes {from}-{}/{size}", until - 1));
    }
    Ok(answer)
}

/// The pieces, compressed as they come.
fn encoded(
    pieces: impl Stream<Item = std::io::Result<Bytes>>,
    encoder: Encoder,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    let pieces = Box::pin(pieces);
    stream::try_unfold((pieces, Some(encoder)), |(mut pieces, encoder)| async move {
        let Some(mut encoder) = encoder else { return Ok(None) };
        let next = pieces.next().await.transpose()?;
        let work = tokio::task::spawn_blocking(move || match next {
            Some(piece) => encoder.piece(&piece).map(|it| (it, Some(encoder))),
            None => encoder.end().map(|it| (it, None)),
        });
        let (bytes, encoder) = work.await.map_err(std::io::Error::other)??;
        Ok(Some((Bytes::from(bytes), (pieces, encoder))))
    })
}

/// The first byte and the one after the last of a single range; nothing where the file has none of it.
fn parse_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let whole = Some((0, size));
    // RFC 9110 14.2: a range that is not understood is no range. Several at once are not worth it.
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|it| it.split_once('-')) else {
        return whole;
    };
    let (from, until) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size),
        (Err(_), Ok(last)) if first.trim().is_empty() => (size.saturating_sub(last), size),
        _ => return whole,
    };
    (from < until).then_some((from, until))
}

/// The job in the path.
pub(super) fn id(call: &Call) -> Result<Uuid, Refusal> {
    Ok(Uuid::try_parse(call.path("job")).map_err(|_| Outcome::not_found())?)
}

/// Runs to its end on the runtime of the store, also when the client goes away.
pub(super) async fn within<T: Send + 'static, F: Future<Output = Result<T, Outcome>> + Send + 'static>(
    call: &Call,
    principal: Principal,
    deed: impl FnOnce(Context) -> F + Send + 'static,
) -> Result<T, Outcome> {
    let context = call.context(purpose::stated(call, principal)?);
    let task = call.edge.runtime.spawn(async move { deed(context.await?).await });
    task.await.unwrap_or_else(|_| Err(Outcome::exception("the interaction panicked")))
}

/// Says when to ask again.
pub(super) fn throttled(outcome: Outcome) -> Refusal {
    let is_throttled = outcome.status() == 429;
    let refusal = Refusal::from(outcome);
    if is_throttled { refusal.with(RETRY_AFTER, HeaderValue::from_static("10")) } else { refusal }
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_single_and_within() {
        assert_eq!(parse_range("bytes=0-9", 100), Some((0, 10)));
        assert_eq!(parse_range("bytes=90-200", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=90-", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=-10", 100), Some((90, 100)));
        assert_eq!(parse_range("bytes=100-", 100), None);
        assert_eq!(parse_range("bytes=-0", 100), None);
        for odd in ["bytes=1-2,4-5", "lines=1-2", "bytes=9-1", "bytes=a-b", "bytes"] {
            assert_eq!(parse_range(odd, 100), Some((0, 100)), "{odd}");
        }
    }
}

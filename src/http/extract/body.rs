//! Bodies: read with a limit and without patience, decompressed with the same limit.

use super::format::{self, Syntax};
use crate::config::limits::Limits;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::http::respond::outcome::Refusal;
use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use flate2::write::{GzDecoder, ZlibDecoder};
use futures_util::StreamExt as _;
use std::io::{self, Write};
use std::time::Duration;

/// Reads a body.
///
/// # Errors
/// It is larger than allowed, also once decompressed (413), comes too slowly (408), is in an encoding that
/// we do not know (415), or does not decompress (400).
pub(crate) async fn read(
    mut payload: Payload,
    request: &HttpRequest,
    limits: &Limits,
) -> Result<Vec<u8>, Refusal> {
    let limit = limits.body_bytes;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok());
    let length = length.and_then(|it| it.parse::<usize>().ok()).unwrap_or(0);
    if length > limit {
        return Err(too_large());
    }
    let mut sink = Sink::new(request, limit, length)?;
    let idle = Duration::from_secs(limits.idle_seconds.into());
    let mut received = 0_usize;
    loop {
        let Ok(piece) = tokio::time::timeout(idle, payload.next()).await else {
            let issue = Issue::error(IssueType::Timeout, "the body came too slowly");
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, issue.into()));
        };
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| Outcome::structure("the body broke off"))?;
        received = received.saturating_add(piece.len());
        if received > limit {
            return Err(too_large());
        }
        sink.take(&piece)?;
    }
    sink.end()
}

/// The body must be FHIR, in UTF-8, of R4: which spelling it has.
///
/// # Errors
/// It says that it is something else (415).
pub(crate) fn require_fhir(request: &HttpRequest) -> Result<Syntax, Refusal> {
    let refuse = || Refusal::unsupported_media_type("application/fhir+json or application/fhir+xml");
    let value = request.headers().get(CONTENT_TYPE).ok_or_else(refuse)?;
    let value = value.to_str().map_err(|_| refuse())?;
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_ours = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => matches!(value.as_str(), "utf-8" | "utf8" | "us-ascii"),
            "fhirversion" => value == "4.0",
            _ => true,
        }
    });
    format::syntax_of(&media_type).filter(|_| is_ours).ok_or_else(refuse)
}

/// A patch that is neither JSON Patch nor FHIRPath Patch.
pub(crate) fn unsupported_patch() -> Refusal {
    Refusal::unsupported_media_type(
        "application/json-patch+json, or application/fhir+json with a Parameters resource",
    )
}

fn too_large() -> Refusal {
    let issue = Issue::error(IssueType::TooLong, "the body is larger than this server takes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, issue.into())
}

/// Where pieces of a body go.
enum Sink {
    Plain(Limited),
    Gzip(GzDecoder<Limited>),
    Zlib(ZlibDecoder<Limited>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Limited>>),
}

/// Bytes up to a limit.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    is_full: bool,
}

/// zstd: the largest window that we make room for, 8 MB as RFC 9659 asks.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Sink {
    fn new(request: &HttpRequest, limit: usize, length: usize) -> Result<Sink, Refusal> {
        let refuse = || Refusal::unsupported_media_type("Content-Encoding gzip, deflate or zstd");
        let mut encodings = request.headers().get_all(CONTENT_ENCODING);
        let encoding = match encodings.next() {
            None => "",
            Some(value) => value.to_str().map_err(|_| refuse())?,
        };
        // Compressed twice is nothing that an honest client does.
        if encodings.next().is_some() {
            return Err(refuse());
        }
        let out = Limited { bytes: Vec::with_capacity(length.min(1 << 20)), limit, is_full: false };
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Sink::Plain(out)),
            "gzip" | "x-gzip" => Ok(Sink::Gzip(GzDecoder::new(out))),
            "deflate" => Ok(Sink::Zlib(ZlibDecoder::new(out))),
            "zstd" => {
                let decoder = zstd::stream::write::Decoder::new(out);
                let mut decoder = decoder.map_err(Outcome::exception)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Outcome::exception)?;
                Ok(Sink::Zstd(Box::new(decoder)))
            }
            _ => Err(refuse()),
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let result = match self {
            Sink::Plain(out) => out.write_all(piece),
            Sink::Gzip(decoder) => decoder.write_all(piece),
            Sink::Zlib(decoder) => decoder.write_all(piece),
            Sink::Zstd(decoder) => decoder.write_all(piece),
        };
        result.map_err(|_| self.refusal())
    }

    fn end(mut self) -> Result<Vec<u8>, Refusal> {
        let result = match &mut self {
            Sink::Plain(_) => Ok(()),
            Sink::Gzip(decoder) => decoder.try_finish(),
            Sink::Zlib(decoder) => decoder.try_finish(),
            Sink::Zstd(decoder) => decoder.flush(),
        };
        if result.is_err() {
            return Err(self.refusal());
        }
        Ok(match self {
            Sink::Plain(out) => out.bytes,
            Sink::Gzip(mut decoder) => std::mem::take(&mut decoder.get_mut().bytes),
            Sink::Zlib(mut decoder) => std::mem::take(&mut decoder.get_mut().bytes),
            Sink::Zstd(decoder) => decoder.into_inner().bytes,
        })
    }

    fn refusal(&self) -> Refusal {
        let out = match self {
            Sink::Plain(out) => out,
            Sink::Gzip(decoder) => decoder.get_ref(),
            Sink::Zlib(decoder) => decoder.get_ref(),
            Sink::Zstd(decoder) => decoder.get_ref(),
        };
        match out.is_full {
            true => too_large(),
            false => Outcome::structure("the body does not decompress").into(),
        }
    }
}

impl Write for Limited {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len().saturating_add(piece.len()) > self.limit {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    fn decompress(encoding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, u16> {
        let request = TestRequest::default().insert_header(("content-encoding", encoding)).to_http_request();
        let run = || {
            let mut sink = Sink::new(&request, limit, 0)?;
            body.chunks(7).try_for_each(|piece| sink.take(piece))?;
            sink.end()
        };
        run().map_err(|refusal| refusal.status().as_u16())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn decompresses_all_that_it_takes() {
        let text = b"{\"resourceType\":\"Basic\"}".repeat(100);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        for (encoding, body) in [
            ("identity", text.clone()),
            ("gzip", gzip(&text)),
            ("deflate", zlib.finish().unwrap()),
            ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
        ] {
            assert_eq!(decompress(encoding, &body, 1 << 20), Ok(text.clone()), "{encoding}");
            assert_eq!(decompress(encoding, &body, 100), Err(413), "{encoding}");
        }
        assert_eq!(decompress("br", b"x", 100), Err(415));
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = gzip(&vec![0; 50 << 20]);
        assert_eq!(decompress("gzip", &bomb, 1 << 20), Err(413));
    }

    #[test]
    fn what_is_broken_is_the_clients_mistake() {
        let whole = gzip(b"some text, long enough to be cut");
        assert_eq!(decompress("gzip", &whole[..whole.len() - 9], 100), Err(400));
        assert_eq!(decompress("gzip", b"not gzip at all", 100), Err(400));
        assert_eq!(decompress("zstd", b"not zstd at all", 100), Err(400));
        assert_eq!(decompress("deflate", b"not deflate at all", 100), Err(400));
    }
}

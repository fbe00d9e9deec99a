//! Answers made smaller, for whoever can read them.
//!
//! Only what is whole in memory, and only where it pays: text from about a kilobyte. Pages that hold a
//! cookie's secret are not FHIR and are left alone (BREACH), since they are HTML.

use actix_web::HttpRequest;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write as _};

/// Below this a smaller answer is not a faster one.
const WORTH_IT: usize = 1000;
/// Above this it is done aside, so that other requests of the thread need not wait.
const LARGE: usize = 256 * 1024;

/// What is made smaller.
const COMPRESSIBLE: [&str; 5] =
    ["application/fhir+json", "application/json", "application/fhir+xml", "application/xml", "text/xml"];

/// How a body is made smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// RFC 8878
    Zstd,
    /// RFC 1952
    Gzip,
}

impl Encoding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Zstd => "zstd",
            Encoding::Gzip => "gzip",
        }
    }
}

/// Compresses what comes piece by piece.
pub(crate) enum Encoder {
    /// RFC 8878
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    /// RFC 1952
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    /// For a body that begins.
    ///
    /// # Errors
    /// The library has no memory.
    pub(crate) fn new(encoding: Encoding) -> io::Result<Encoder> {
        Ok(match encoding {
            Encoding::Zstd => Encoder::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 1)?)),
            Encoding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
        })
    }

    /// What there is to send once that piece is taken; it may be nothing yet.
    ///
    /// # Errors
    /// The library has no memory.
    pub(crate) fn piece(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Zstd(encoder) => {
                encoder.write_all(piece)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Encoder::Gzip(encoder) => {
                encoder.write_all(piece)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// The rest.
    ///
    /// # Errors
    /// The library has no memory.
    pub(crate) fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
        }
    }
}

/// The encoding that the client wants, if it wants any.
pub(crate) fn wanted(request: &HttpRequest) -> Option<Encoding> {
    choose(request.headers().get(ACCEPT_ENCODING)?.to_str().ok()?)
}

/// The answer, compressed if that is wanted and pays.
pub(crate) async fn compress(request: &HttpRequest, mut response: HttpResponse) -> HttpResponse {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let is_fhir = content_type.is_some_and(|it| COMPRESSIBLE.iter().any(|of| it.starts_with(of)));
    let is_large = matches!(response.body().size(), BodySize::Sized(size) if size >= WORTH_IT as u64);
    if !is_fhir || !is_large || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
    let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
    let Some(encoding) = accepted.and_then(choose) else { return response };
    let (response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        // A stream, which said its size all the same.
        Err(body) => return response.set_body(body),
    };
    let compressed = if bytes.len() > LARGE {
        let bytes = bytes.clone();
        let aside = tokio::task::spawn_blocking(move || encode(encoding, &bytes)).await;
        aside.unwrap_or_else(|error| Err(io::Error::other(error)))
    } else {
        encode(encoding, &bytes)
    };
    let Ok(compressed) = compressed else { return response.set_body(BoxBody::new(bytes)) };
    let mut response = response.set_body(BoxBody::new(compressed));
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    response
}

fn encode(encoding: Encoding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match encoding {
        Encoding::Zstd => zstd::bulk::compress(bytes, 1),
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}

/// What the client wants most; zstd where it does not care.
fn choose(accepted: &str) -> Option<Encoding> {
    let mut best: Option<(f32, Encoding)> = None;
    for item in accepted.split(',') {
        let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
        let quality = parameter.trim().strip_prefix("q=").map_or(Some(1.0), |it| it.trim().parse().ok());
        let encoding = match name.trim().to_ascii_lowercase().as_str() {
            "zstd" => Encoding::Zstd,
            "gzip" | "x-gzip" => Encoding::Gzip,
            _ => continue,
        };
        let quality = quality.unwrap_or(0.0);
        let is_better = best
            .is_none_or(|(other, known)| quality > other || (quality >= other && known == Encoding::Gzip));
        if quality > 0.0 && is_better {
            best = Some((quality, encoding));
        }
    }
    best.map(|(_, encoding)| encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses() {
        assert_eq!(choose("gzip, deflate, br, zstd"), Some(Encoding::Zstd));
        assert_eq!(choose("gzip;q=1.0, zstd;q=0.5"), Some(Encoding::Gzip));
        assert_eq!(choose("zstd;q=0, gzip"), Some(Encoding::Gzip));
        assert_eq!(choose("zstd;q=0"), None);
        assert_eq!(choose("identity, br"), None);
        assert_eq!(choose("gzip;q=x"), None);
    }
}

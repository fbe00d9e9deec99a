//! When a certificate ends: the one field of X.509 that the report needs.
//!
//! <https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5>

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::Path;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When the first certificate of a PEM file ends, in microseconds since 1970.
///
/// # Errors
/// The file cannot be read, or holds no certificate; the reason names no path.
pub(super) fn end_of(file: &Path) -> Result<i64, String> {
    let certificate = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?.next();
    let certificate =
        certificate.ok_or("there is no certificate in it")?.map_err(|error| error.to_string())?;
    not_after(&certificate).ok_or_else(|| "the certificate cannot be read".to_owned())
}

/// Certificate ⊃ tbsCertificate: version, serial number, algorithm, issuer, validity.
fn not_after(der: &[u8]) -> Option<i64> {
    let (certificate, _) = take(der, SEQUENCE)?;
    let (mut rest, _) = take(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        (_, rest) = take(rest, VERSION)?;
    }
    (_, rest) = take(rest, INTEGER)?;
    (_, rest) = take(rest, SEQUENCE)?;
    (_, rest) = take(rest, SEQUENCE)?;
    let (validity, _) = take(rest, SEQUENCE)?;
    let (_, end) = any(validity)?;
    time(end)
}

fn time(der: &[u8]) -> Option<i64> {
    let (text, _) = any(der)?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match *der.first()? {
        // RFC 5280: two digits from 50 on are of the last century.
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let moment = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// The content of the value at the beginning, which has that tag, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    if *der.first()? == tag { any(der) } else { None }
}

fn any(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let [_, length, rest @ ..] = der else { return None };
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = bytes
                .iter()
                .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
            (length, rest)
        }
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        for (year, expected) in [(2031, 1_938_124_800_000_000), (2060, 2_853_360_000_000_000)] {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(year, 6, 2);
            let certificate = params.self_signed(&key).unwrap();
            assert_eq!(not_after(certificate.der()), Some(expected), "{year}");
            for length in 0..certificate.der().len().min(200) {
                not_after(&certificate.der()[..length]);
            }
        }
        assert_eq!(not_after(b"no"), None);
    }
}

//! The private certificate authority of dev mode, and the certificate it gives the server.
//!
//! Clients trust `ca.pem` once; the server's certificate is renewed under it at start, long before
//! it ends. The keys stay in the folder `keys`, readable by nobody else.

use anyhow::{Context as _, Result};
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::path::{Path, PathBuf};

/// How long the authority is valid, and how much of it must be left.
const AUTHORITY_DAYS: (i32, i32) = (3650, 400);
/// The same for the server's certificate.
const SERVER_DAYS: (i32, i32) = (90, 30);

/// What the listener needs.
pub(super) struct Certificate {
    /// The certificate chain, PEM.
    pub(super) chain: PathBuf,
    /// Its private key, PEM.
    pub(super) key: PathBuf,
    /// The authority's certificate, for clients to trust.
    pub(super) authority: PathBuf,
}

/// The certificate for these host names and addresses, made or renewed where needed.
pub(super) fn prepare(data: &Path, keys: &Path, names: &[String], now: Timestamp) -> Result<Certificate> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let certificate = Certificate {
        chain: keys.join("server.pem"),
        key: keys.join("server-key.pem"),
        authority: data.join("ca.pem"),
    };
    let authority_key = keys.join("ca-key.pem");
    let is_new = !is_valid(&authority_key, "authority", today) || !certificate.authority.exists();
    if is_new {
        make_authority(&authority_key, &certificate.authority, today)?;
    }
    let subject = names.join(" ");
    if is_new || !is_valid(&certificate.key, &subject, today) || !certificate.chain.exists() {
        make_server(&authority_key, &certificate, names, &subject, today)?;
    }
    Ok(certificate)
}

fn make_authority(key_file: &Path, certificate_file: &Path, today: Date) -> Result<()> {
    let key = KeyPair::generate().context("cannot make a key")?;
    let until = today.checked_add(AUTHORITY_DAYS.0.days())?;
    let mut params = authority_params()?;
    params.not_before = date(today.checked_sub(1.day())?)?;
    params.not_after = date(until)?;
    let certificate = params.self_signed(&key).context("cannot sign the authority's certificate")?;
    write(certificate_file, &certificate.pem(), 0o644)?;
    let renewal = until.checked_sub(AUTHORITY_DAYS.1.days())?;
    write(key_file, &format!("{}{}", note("authority", renewal), key.serialize_pem()), 0o600)
}

fn make_server(
    authority_key: &Path,
    certificate: &Certificate,
    names: &[String],
    subject: &str,
    today: Date,
) -> Result<()> {
    let authority = fs::read_to_string(authority_key).context("cannot read the authority's key")?;
    let authority = KeyPair::from_pem(&authority).context("the authority's key is damaged")?;
    let authority = Issuer::new(authority_params()?, authority);
    let key = KeyPair::generate().context("cannot make a key")?;
    let until = today.checked_add(SERVER_DAYS.0.days())?;
    let mut params = CertificateParams::new(names.to_vec()).context("a host name is not one")?;
    params.distinguished_name.push(DnType::CommonName, "Vesta dev mode");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date(today.checked_sub(1.day())?)?;
    params.not_after = date(until)?;
    let signed = params.signed_by(&key, &authority).context("cannot sign the server's certificate")?;
    write(&certificate.chain, &signed.pem(), 0o644)?;
    let renewal = until.checked_sub(SERVER_DAYS.1.days())?;
    write(&certificate.key, &format!("{}{}", note(subject, renewal), key.serialize_pem()), 0o600)
}

/// The same at every start, so that the authority's name need not be read from its certificate.
fn authority_params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "Vesta dev mode authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A line before the PEM text, which readers of PEM pass over: whom the key is for, and until when.
fn note(subject: &str, renewal: Date) -> String {
    format!("{subject}; renew after {renewal}\n")
}

fn is_valid(key_file: &Path, subject: &str, today: Date) -> bool {
    let text = fs::read_to_string(key_file).unwrap_or_default();
    let renewal = text
        .strip_prefix(subject)
        .and_then(|rest| rest.strip_prefix("; renew after "))
        .and_then(|rest| rest.lines().next())
        .and_then(|text| text.parse::<Date>().ok());
    renewal.is_some_and(|renewal| today <= renewal)
}

fn date(date: Date) -> Result<time::OffsetDateTime> {
    Ok(rcgen::date_time_ymd(date.year().into(), u8::try_from(date.month())?, u8::try_from(date.day())?))
}

/// Writes a file whole or not at all, never readable by more than `mode` says.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let context = || format!("cannot write {}", path.display());
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&unfinished)
        .with_context(context)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(context)?;
    fs::rename(&unfinished, path).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_kept_until_it_is_near_its_end() {
        let folder = std::env::temp_dir().join(format!("vesta-certificate-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let prepare = |now: &str, names: &[String]| {
            let certificate = prepare(&folder, &folder, names, now.parse().unwrap()).unwrap();
            (
                fs::read_to_string(certificate.authority).unwrap(),
                fs::read_to_string(certificate.chain).unwrap(),
            )
        };
        let first = prepare("2026-11-23T00:00:00Z", &names);
        assert_eq!(first, prepare("2027-01-22T00:00:00Z", &names));
        let renewed = prepare("2027-01-23T00:00:00Z", &names);
        assert_eq!(renewed.0, first.0);
        assert_ne!(renewed.1, first.1);
        let other_name = prepare("2027-01-23T00:00:00Z", &names[..1]);
        assert_ne!(other_name.1, renewed.1);
        assert_ne!(prepare("2036-01-01T00:00:00Z", &names).0, first.0);
        fs::remove_dir_all(&folder).unwrap();
    }
}

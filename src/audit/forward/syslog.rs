//! Syslog over TLS, acknowledged.
//!
//! <https://www.rfc-editor.org/rfc/rfc5424> (messages), <https://www.rfc-editor.org/rfc/rfc5425> (TLS)
//!
//! Syslog has no acknowledgement of its own: what was written may still lie in a buffer when the receiver dies. But
//! RFC 5425 4.4 has the receiver answer a close_notify with its own, after it read what came before. So each batch
//! is a connection, and is taken for received when that answer came; otherwise it is sent again.

use crate::audit::checkpoint::hex;
use crate::audit::event::Kind;
use crate::audit::export;
use crate::audit::forward::target::{Batch, Sent};
use crate::fhir::date_time::instant;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// RFC 5424 6.2.1: log audit.
const FACILITY: u8 = 13;
/// RFC 5424 7.2.2: a private enterprise number. This one is kept for documentation, until there is one of ours.
const ENTERPRISE: u32 = 32473;
/// How long connecting and sending, and waiting for the answer, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A receiver that speaks syslog over TLS.
pub(super) struct Receiver {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl Receiver {
    /// The receiver at `host:port`, whose certificate one of these authorities (PEM) signed.
    pub(super) fn new(address: &str, authorities: Option<&[u8]>) -> Result<Receiver, String> {
        let pem = authorities.ok_or("syslog over TLS needs VESTA_FORWARD_AUTHORITIES")?;
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| "VESTA_FORWARD_AUTHORITIES is not PEM")?;
            roots
                .add(certificate)
                .map_err(|_| "a certificate of VESTA_FORWARD_AUTHORITIES cannot be used")?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (host, _) = address.rsplit_once(':').ok_or("a syslog receiver is host:port")?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| "the host of a syslog receiver is not a name")?;
        Ok(Receiver { address: address.to_owned(), name, connector: TlsConnector::from(Arc::new(config)) })
    }

    pub(super) async fn send(&self, batch: &Batch) -> Result<(), String> {
        let sending = async {
            let stream = TcpStream::connect(&self.address).await?;
            let mut stream = self.connector.connect(self.name.clone(), stream).await?;
            stream.write_all(frames(batch).as_bytes()).await?;
            stream.shutdown().await?;
            // An end without close_notify is an error here: the receiver died.
            let mut answer = [0; 64];
            while stream.read(&mut answer).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err("it did not answer in time".to_owned()),
        }
    }
}

/// Every message with its length before it: RFC 5425 4.3.
fn frames(batch: &Batch) -> String {
    let events = batch.events.iter().map(|it| event(batch, it));
    let checkpoints = batch.checkpoints.iter().map(|it| {
        let data = format!("count=\"{}\" tenant=\"{}\"", it.head.count, batch.tenant.0);
        message(batch, (6, it.signed, "Checkpoint"), &data, &export::checkpoint_line(it))
    });
    events.chain(checkpoints).map(|it| format!("{} {it}", it.len())).collect()
}

fn event(batch: &Batch, sent: &Sent) -> String {
    let severity = match sent.outcome {
        0 => 6,
        4 => 4,
        _ => 3,
    };
    let kind = Kind::from_code(sent.kind).map_or_else(|| "Event".to_owned(), |it| format!("{it:?}"));
    let data = format!("place=\"{}\" tenant=\"{}\" hash=\"{}\"", sent.place, batch.tenant.0, hex(&sent.hash));
    message(batch, (severity, sent.recorded, &kind), &data, &sent.text)
}

/// RFC 5424 6: header, structured data, and the text, in UTF-8 as its mark says.
fn message(batch: &Batch, (severity, at, kind): (u8, i64, &str), data: &str, text: &str) -> String {
    let priority = FACILITY * 8 + severity;
    let (at, host) = (instant(at), &batch.host);
    format!("<{priority}>1 {at} {host} vesta - {kind} [vesta@{ENTERPRISE} {data}] \u{feff}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::id::TenantId;

    #[test]
    fn a_message_is_what_rfc_5424_says() {
        let sent = Sent {
            place: 7,
            hash: [0xab; 32],
            kind: Kind::Read.code(),
            outcome: 4,
            recorded: 1_795_426_800_123_456,
            text: "{\"ü\":1}".to_owned(),
        };
        let batch = Batch {
            tenant: TenantId(1),
            host: "fhir.example.org".to_owned(),
            events: vec![sent],
            checkpoints: Vec::new(),
        };
        let expected = format!(
            "<108>1 2026-11-23T09:40:00.123456Z fhir.example.org vesta - Read [vesta@32473 place=\"7\" tenant=\"1\" \
             hash=\"{}\"] \u{feff}{{\"ü\":1}}",
            "ab".repeat(32)
        );
        assert_eq!(frames(&batch), format!("{} {expected}", expected.len()));
    }
}

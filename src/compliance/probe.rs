//! Knocks at the server's own door: which TLS it speaks, as anybody outside would see it.
//!
//! No request is made and no certificate is trusted by this: it is asked with which version the server shakes hands.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion, version};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshakes {
    /// TLS 1.3, as it must.
    pub is_new: bool,
    /// TLS 1.2, as it must not.
    pub is_old: bool,
}

/// Knocks at that address.
///
/// # Errors
/// Nobody listens there.
pub(super) async fn knock(address: SocketAddr) -> Result<Handshakes, String> {
    let reached = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
    match reached {
        Ok(Ok(_)) => {}
        _ => return Err("no server listens".to_owned()),
    }
    Ok(Handshakes {
        is_new: shakes_hands(address, &version::TLS13).await,
        is_old: shakes_hands(address, &version::TLS12).await,
    })
}

async fn shakes_hands(address: SocketAddr, version: &'static SupportedProtocolVersion) -> bool {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let anybody = Arc::new(Anybody { algorithms: provider.signature_verification_algorithms });
    let Ok(config) = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_protocol_versions(&[version])
    else {
        return false;
    };
    let config = config.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth();
    let knocking = async {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::IpAddress(address.ip().into());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    matches!(tokio::time::timeout(PATIENCE, knocking).await, Ok(Ok(_)))
}

/// Takes any certificate: it is not asked who answers, but in which version.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

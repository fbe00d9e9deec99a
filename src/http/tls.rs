//! TLS 1.3 and nothing older, with a certificate that may be renewed while the server runs, and mutual where clients
//! have certificates.
//!
//! <https://www.rfc-editor.org/rfc/rfc8446>

use crate::config::{ClientCertificates, Listener};
use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The server's certificate and key, and the files they are read from.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificate {
    /// Reads a certificate chain and its private key.
    ///
    /// # Errors
    /// A file cannot be read, or the key does not belong to the certificate.
    pub fn read(chain: &Path, key: &Path) -> Result<Arc<Certificate>, String> {
        let current = ArcSwap::from_pointee(certified(chain, key)?);
        Ok(Arc::new(Certificate { chain: chain.to_owned(), key: key.to_owned(), current }))
    }

    /// Reads the files again; new connections get what is in them now.
    ///
    /// # Errors
    /// As for [`Certificate::read`]; the certificate in use stays in use.
    pub fn reload(&self) -> Result<(), String> {
        self.current.store(Arc::new(certified(&self.chain, &self.key)?));
        Ok(())
    }

    /// What the listener is set up with.
    pub(super) fn server_config(self: &Arc<Self>, listener: &Listener) -> Result<ServerConfig, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = [&rustls::version::TLS13];
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder = builder.map_err(|error| error.to_string())?;
        let builder = match &listener.client_authorities {
            None => builder.with_no_client_auth(),
            Some(file) => {
                builder.with_client_cert_verifier(verifier_of_clients(file, listener.client_certificates)?)
            }
        };
        Ok(builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// Makes our TLS library's cryptography the one that clients in this process use.
pub fn install_cryptography() {
    // Fails only where it was installed before, which is as good.
    let _ = CryptoProvider::install_default(aws_lc_rs::default_provider());
}

/// What checks the certificates of clients, for mutual TLS.
fn verifier_of_clients(
    file: &Path,
    certificates: ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| named(&error))? {
        let certificate = certificate.map_err(|error| named(&error))?;
        authorities.add(certificate).map_err(|error| named(&error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = match certificates {
        ClientCertificates::Required => builder,
        ClientCertificates::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|error| named(&error))
}

fn certified(chain: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", chain.display()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("{}: {error}", key.display()))?;
    CertifiedKey::from_der(certificates, private, &aws_lc_rs::default_provider())
        .map_err(|error| format!("{} and {}: {error}", chain.display(), key.display()))
}

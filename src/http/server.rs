//! The listener: TLS, time limits, an orderly end.

use super::routes;
use super::tls::Certificate;
use crate::config::Config;
use actix_web::{HttpServer, dev::ServerHandle};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// A server that listens.
pub struct Server {
    address: SocketAddr,
    handle: ServerHandle,
    running: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Starts listening; without a certificate in plain HTTP, which `config` allows on loopback only.
    ///
    /// # Errors
    /// The address cannot be had, or the certificate cannot be used.
    pub fn start(config: &Arc<Config>, certificate: Option<&Arc<Certificate>>) -> io::Result<Server> {
        let listener = TcpListener::bind(config.listener.listen)?;
        let address = listener.local_addr()?;
        let idle = Duration::from_secs(config.limits.idle_seconds.into());
        let shared = Arc::clone(config);
        let server = HttpServer::new(move || routes::app(&shared))
            .disable_signals()
            .client_request_timeout(idle)
            .client_disconnect_timeout(Duration::from_secs(5))
            .keep_alive(Duration::from_secs(75))
            .tls_handshake_timeout(HANDSHAKE_LIMIT)
            .max_connections(config.limits.open_connections)
            .shutdown_timeout(config.limits.shutdown_seconds.into());
        let server = match certificate {
            Some(certificate) => {
                let tls = certificate.server_config().map_err(io::Error::other)?;
                server.listen_rustls_0_23(listener, tls)?
            }
            None => server.listen_auto_h2c(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        Ok(Server { address, handle, running: tokio::spawn(server) })
    }

    /// Where it listens: of use where the port was left to the system.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections and ends when the requests under way have ended, or at the limit.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        let _ = self.running.await;
    }
}

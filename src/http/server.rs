//! The listener: TLS, time limits, an orderly end.

use super::edge::Edge;
use super::routes;
use super::tls::Certificate;
use crate::app::App;
use crate::tenancy::Tenancy;
use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use metrics_exporter_prometheus::PrometheusHandle;
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
    tenancy: Arc<Tenancy>,
    handle: ServerHandle,
    running: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Answers on that listener; without a certificate in plain HTTP, which `config` allows on loopback
    /// only. To be called within tokio's multi-thread runtime, where interactions will run.
    ///
    /// # Errors
    /// The listener or the certificate cannot be used.
    pub fn start(
        app: Arc<App>,
        listener: TcpListener,
        certificate: Option<&Arc<Certificate>>,
        metrics: Option<PrometheusHandle>,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        // Inherited by every connection. HTTP/2 answers in several small pieces, and without this each
        // waits for the client's delayed acknowledgement: 40 ms an answer.
        rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
        let (limits, listener_settings) = (app.config.limits.clone(), app.config.listener.clone());
        let edge = Arc::new(Edge::new(app, metrics));
        let tenancy = Arc::clone(&edge.tenancy);
        let server =
            HttpServer::new(move || actix_web::App::new().configure(|config| routes::mount(&edge, config)))
                .disable_signals()
                .client_request_timeout(Duration::from_secs(limits.idle_seconds.into()))
                .client_disconnect_timeout(Duration::from_secs(5))
                .keep_alive(Duration::from_secs(75))
                .tls_handshake_timeout(HANDSHAKE_LIMIT)
                .max_connections(limits.open_connections)
                .shutdown_timeout(limits.shutdown_seconds.into());
        let server = match certificate {
            Some(certificate) => {
                let tls = certificate.server_config(&listener_settings).map_err(io::Error::other)?;
                server.listen_rustls_0_23(listener, tls)?
            }
            None => server.listen_auto_h2c(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        Ok(Server { address, tenancy, handle, running: tokio::spawn(server) })
    }

    /// Where it listens: of use where the port was left to the system.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The servers of all tenants behind it.
    #[must_use]
    pub fn tenancy(&self) -> &Arc<Tenancy> {
        &self.tenancy
    }

    /// Ends at once; nobody waits for the requests under way.
    pub fn abandon(self) {
        drop(self.handle.stop(false));
    }

    /// Takes no more connections and ends when the requests under way have ended, or at the limit.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        let _ = self.running.await;
    }
}

//! `vesta serve`: serves with what the settings name, and invents nothing.

use super::ending::Ending;
use crate::config::Config;
use crate::http::server::Server;
use crate::http::tls::Certificate;
use crate::telemetry;
use anyhow::{Result, anyhow};
use std::sync::Arc;
use tracing::info;

pub(super) async fn run(config: Config) -> Result<()> {
    super::refuse(config.complaints())?;
    telemetry::start(&config.log).map_err(|error| anyhow!(error))?;
    let mut ending = Ending::listen()?;
    serve(config, &mut ending).await
}

/// Serves until the program shall end.
pub(super) async fn serve(config: Config, ending: &mut Ending) -> Result<()> {
    let config = Arc::new(config);
    let certificate = match (&config.listener.tls_certificate, &config.listener.tls_key) {
        (Some(chain), Some(key)) if !config.listener.plain_http => {
            Some(Certificate::read(chain, key).map_err(|error| anyhow!(error))?)
        }
        _ => None,
    };
    let server = Server::start(&config, certificate.as_ref())?;
    println!("ready {}", config.fhir_base());
    ending.asked().await;
    info!("stopping");
    server.stop().await;
    Ok(())
}

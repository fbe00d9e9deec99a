//! `vesta serve`: serves with what the settings name, and invents nothing.

use super::ending::{Ending, Event};
use super::operator;
use crate::app::App;
use crate::audit::chain;
use crate::clock::Clock;
use crate::compliance::published;
use crate::config::Config;
use crate::fhir::id::TenantId;
use crate::http::server::Server;
use crate::http::tls::Certificate;
use crate::jobs;
use crate::smart::seed::{self, Seed};
use crate::telemetry;
use anyhow::{Context as _, Result, anyhow};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};

/// How often what was counted is folded together, so that it does not grow while nobody reads it.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often what is long over is removed: codes, sessions, requests under way.
const SWEEP: Duration = Duration::from_secs(3600);

pub(super) async fn run(config: Config) -> Result<()> {
    super::refuse(config.complaints())?;
    telemetry::start(&config.log).map_err(|error| anyhow!(error))?;
    let mut ending = Ending::listen()?;
    serve(config, None, &mut ending).await
}

/// Puts a seed, if there is one, and serves until the program shall end.
pub(super) async fn serve(config: Config, seed: Option<Seed>, ending: &mut Ending) -> Result<()> {
    let certificate = match (&config.listener.tls_certificate, &config.listener.tls_key) {
        (Some(chain), Some(key)) if !config.listener.plain_http => {
            Some(Certificate::read(chain, key).map_err(|error| anyhow!(error))?)
        }
        _ => None,
    };
    let app = Arc::new(App::start(config, Clock::system())?);
    app.ready().await.map_err(|outcome| match outcome.cause() {
        Some(cause) => anyhow!("the database does not answer: {cause}"),
        None => anyhow!("the database does not answer"),
    })?;
    if let Some(seed) = seed {
        seed::plant(&operator::of(&app), seed).await.map_err(operator::told)?;
    }
    app.store.signing_keys(TenantId::FIRST).await.context("the keys that sign tokens cannot be had")?;
    let sweeping = tokio::spawn(sweep(Arc::clone(&app)));
    let address = app.config.listener.listen;
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let metrics = telemetry::count();
    let upkeep = metrics.clone().map(|metrics| {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.run_upkeep();
            }
        })
    });
    let server = Server::start(Arc::clone(&app), listener, certificate.as_ref(), metrics)?;
    if let Err(outcome) = published::publish(&app, TenantId::FIRST).await {
        warn!(?outcome, "the control map could not be published");
    }
    let sealers = chain::start(&app, &[TenantId::FIRST]);
    let workers = jobs::start(&app, &[TenantId::FIRST]);
    println!("ready {}", app.fhir_base());
    loop {
        match ending.next().await {
            Event::End => break,
            Event::Reload => match certificate.as_ref().map(|it| it.reload()) {
                None => {}
                Some(Ok(())) => info!("read the certificate again"),
                Some(Err(reason)) => error!(reason, "the new certificate cannot be used, the old one stays"),
            },
        }
    }
    info!("stopping");
    server.stop().await;
    sweeping.abort();
    sealers.iter().chain(&workers).chain(&upkeep).for_each(|task| task.abort());
    Ok(())
}

async fn sweep(app: Arc<App>) {
    loop {
        if let Err(error) = app.store.sweep_sign_in(TenantId::FIRST).await {
            warn!(%error, "what is long over could not be removed");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

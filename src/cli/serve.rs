//! `vesta serve`: serves with what the settings name, and invents nothing.

use super::ending::{Ending, Event};
use super::operator;
use crate::app::App;
use crate::audit::event::{self, Kind};
use crate::audit::{chain, forward};
use crate::clock::Clock;
use crate::compliance::{published, review};
use crate::config::Config;
use crate::http::server::Server;
use crate::http::tls::Certificate;
use crate::jobs;
use crate::smart::seed::{self, Seed};
use crate::store::error::StoreError;
use crate::telemetry;
use crate::tenancy::Tenancy;
use anyhow::{Context as _, Result, anyhow};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How often what was counted is folded together, so that it does not grow while nobody reads it.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often what is long over is removed: codes, sessions, requests under way.
const SWEEP: Duration = Duration::from_secs(3600);

/// How often tenants that were added are looked for.
const LOOK: Duration = Duration::from_secs(10);

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
    let rules = app.known_rules(app.tenant);
    // Not waited for: a request that comes before it is done compiles what it needs.
    drop(tokio::task::spawn_blocking(move || rules.definitions.compile()));
    app.ready().await.map_err(|outcome| match outcome.cause() {
        Some(cause) => anyhow!("the database does not answer: {cause}"),
        None => anyhow!("the database does not answer"),
    })?;
    if let Some(seed) = seed {
        seed::plant(&operator::of(&app), seed).await.map_err(operator::told)?;
    }
    app.store.signing_keys(app.tenant).await.context("the keys that sign tokens cannot be had")?;
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
    let attending = Attending::default();
    attending.begin(&app).await.context("the trail cannot be written")?;
    let looking = tokio::spawn(attend(Arc::clone(server.tenancy()), attending.clone()));
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
    looking.abort();
    attending.end().await;
    upkeep.iter().for_each(|task| task.abort());
    Ok(())
}

/// What runs beside the requests of each tenant.
#[derive(Clone, Default)]
struct Attending {
    tenants: Arc<Mutex<Vec<Attended>>>,
}

/// A tenant's server, and what runs for it.
type Attended = (Arc<App>, Vec<JoinHandle<()>>);

impl Attending {
    /// Begins for a tenant, and says so in its trail; once.
    async fn begin(&self, app: &Arc<App>) -> Result<(), StoreError> {
        if self.locked().iter().any(|(other, _)| other.tenant == app.tenant) {
            return Ok(());
        }
        record(app, Kind::Started).await?;
        if let Err(outcome) = published::publish(app, app.tenant).await {
            warn!(?outcome, tenant = app.tenant.0, "the control map could not be published");
        }
        let mut tasks = chain::start(app, &[app.tenant]);
        tasks.extend(jobs::start(app, &[app.tenant]));
        match forward::start(app, &[app.tenant]) {
            Ok(forwarders) => tasks.extend(forwarders),
            Err(reason) => error!(reason, tenant = app.tenant.0, "the trail is not forwarded"),
        }
        tasks.push(tokio::spawn(sweep(Arc::clone(app))));
        self.locked().push((Arc::clone(app), tasks));
        Ok(())
    }

    /// Ends for all tenants, and says so in their trails.
    async fn end(&self) {
        let tenants = std::mem::take(&mut *self.locked());
        for (app, tasks) in tenants {
            tasks.iter().for_each(JoinHandle::abort);
            if let Err(error) = record(&app, Kind::Stopped).await {
                error!(%error, tenant = app.tenant.0, "the end of the server is not in the trail");
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Attended>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for tenants that were added, and attends to them.
async fn attend(tenancy: Arc<Tenancy>, attending: Attending) {
    loop {
        for app in tenancy.all().await.unwrap_or_default() {
            if let Err(error) = attending.begin(&app).await {
                warn!(%error, tenant = app.tenant.0, "a tenant cannot be attended to now");
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says in the trail that the server started or stopped.
async fn record(app: &App, kind: Kind) -> Result<(), StoreError> {
    let now = app.clock.now_microseconds();
    let row = event::row_of("vesta", kind, event::Result::Success, "vesta serve", now);
    app.store.append_audit(app.tenant, vec![row]).await
}

async fn sweep(app: Arc<App>) {
    loop {
        if let Err(error) = app.store.sweep_sign_in(app.tenant).await {
            warn!(%error, tenant = app.tenant.0, "what is long over could not be removed");
        }
        if let Err(error) = app.store.make_audit_months(app.tenant).await {
            warn!(%error, "the months of the trail to come could not be made");
        }
        if let Err(outcome) = review::schedule(&app).await {
            warn!(?outcome, tenant = app.tenant.0, "the review of the trail could not be asked for");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

//! The server without its edge, for commands that change accounts and clients: on the database that the
//! settings name, or that of a dev mode that runs.

use crate::app::App;
use crate::audit::event::{self, Kind};
use crate::clock::Clock;
use crate::config::Config;
use crate::embedded_postgres;
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use crate::store::audit_log::AuditRow;
use anyhow::{Result, anyhow, bail};
use secrecy::SecretString;
use std::sync::Arc;

/// A request of whoever runs this command, for the tenant that the settings name.
pub(super) async fn request(config: &Config) -> Result<Request> {
    let app = app(config)?;
    let Some(slug) = config.data.tenant.as_deref() else { return Ok(of(&app)) };
    of_tenant(&app, slug).await
}

/// The server without its edge.
pub(super) fn app(config: &Config) -> Result<Arc<App>> {
    Ok(Arc::new(App::start(complete(config)?, Clock::system())?))
}

/// The settings, with the database and the keys of a dev mode that runs, where they name none.
pub(super) fn complete(config: &Config) -> Result<Config> {
    let mut config = config.clone();
    if config.database.url.is_none() {
        let data = config.data_folder().map_err(anyhow::Error::msg)?;
        let Some(url) = embedded_postgres::running(&data) else {
            bail!("VESTA_DATABASE_URL is missing, and no dev mode runs in {}", data.display());
        };
        config.database.url = Some(SecretString::from(url));
        super::dev::use_keys(&mut config, &data);
    }
    Ok(config)
}

/// A request on the server of a tenant.
pub(super) async fn of_tenant(app: &Arc<App>, slug: &str) -> Result<Request> {
    let tenant = app.store.tenant_named(slug).await?;
    let Some(tenant) = tenant else { bail!("there is no tenant {slug}: vesta tenant add {slug}") };
    if tenant == app.tenant {
        return Ok(of(app));
    }
    Ok(of(&Arc::new(app.for_tenant(tenant, slug))))
}

/// A request on that server.
pub(super) fn of(app: &Arc<App>) -> Request {
    Request {
        app: Arc::clone(app),
        tenant: app.tenant,
        id: app.new_id(),
        network: None,
        now: app.clock.now_microseconds(),
        actor: None,
    }
}

/// What to tell whoever runs the command.
pub(super) fn told(error: OAuthError) -> anyhow::Error {
    match error.cause() {
        Some(cause) => anyhow!("{}: {cause}", error.description),
        None => anyhow!("{}", error.description),
    }
}

/// A row of the trail for a change of what the server holds to: whoever may run this command is the operator.
pub(super) fn changed(app: &App, what: &str) -> AuditRow {
    let now = app.clock.now_microseconds();
    let kind = Kind::ConfigurationChanged;
    let mut row = event::row_of("operator", kind, event::Result::Success, "command line", now);
    row.detail = Some(what.to_owned());
    row
}

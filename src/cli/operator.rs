//! The server without its edge, for commands that change accounts and clients: on the database that the
//! settings name, or that of a dev mode that runs.

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::embedded_postgres;
use crate::fhir::id::TenantId;
use crate::smart::error::OAuthError;
use crate::smart::request::Request;
use anyhow::{Result, anyhow, bail};
use secrecy::SecretString;
use std::sync::Arc;

/// A request of whoever runs this command.
pub(super) fn request(config: &Config) -> Result<Request> {
    Ok(of(&app(config)?))
}

/// The server without its edge.
pub(super) fn app(config: &Config) -> Result<Arc<App>> {
    let mut config = config.clone();
    if config.database.url.is_none() {
        let data = config.data_folder().map_err(anyhow::Error::msg)?;
        let Some(url) = embedded_postgres::running(&data) else {
            bail!("VESTA_DATABASE_URL is missing, and no dev mode runs in {}", data.display());
        };
        config.database.url = Some(SecretString::from(url));
        super::dev::use_keys(&mut config, &data);
    }
    Ok(Arc::new(App::start(config, Clock::system())?))
}

/// A request on that server.
pub(super) fn of(app: &Arc<App>) -> Request {
    Request {
        app: Arc::clone(app),
        tenant: TenantId::FIRST,
        id: app.new_id(),
        network: None,
        now: app.clock.now_microseconds(),
    }
}

/// What to tell whoever runs the command.
pub(super) fn told(error: OAuthError) -> anyhow::Error {
    match error.cause() {
        Some(cause) => anyhow!("{}: {cause}", error.description),
        None => anyhow!("{}", error.description),
    }
}

//! Connections: pools per tenant, each connection of which sees that tenant alone.
//!
//! The tenant is an option of the connection, set before the first statement, so no statement can forget
//! it; so is the role `vesta_app`, for whoever logs in with a stronger one. Statements are planned once: each is
//! written so that there is one sensible plan whatever its values. Pools do not ping: a connection
//! that broke is noticed by its driver, and a question that met one is asked again.

use crate::fhir::id::TenantId;
use crate::store::error::StoreError;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures_util::FutureExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection out of a pool.
pub(super) type Pooled = Object<AsyncPgConnection>;

/// Where the database is, and how patient we are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://user:password@host/database`, or with `?host=/folder` a Unix socket. With
    /// `sslmode=require` the connection is TLS, and the server's certificate is always checked.
    pub url: SecretString,
    /// The authorities that may have signed the database's certificate, as PEM.
    pub certificate_authorities: Option<Vec<u8>>,
    /// How many connections each tenant may have.
    pub max_connections: usize,
    /// How long a request waits for a connection.
    pub wait: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
}

/// The pools of each tenant that was asked for.
pub(super) struct Pools {
    settings: Settings,
    pools: RwLock<HashMap<TenantId, TenantPools>>,
}

/// # Decision 2026-11-23
/// Two pools: whoever holds a connection of the first, and perhaps locks in the database, may need a key or
/// a table that is not there yet, or the trail. Were these to come from the same pool, those who wait for
/// the locks could hold all of it, and everybody would wait for ever.
#[derive(Clone)]
struct TenantPools {
    requests: Pool<AsyncPgConnection>,
    /// For keys, tables and the trail: nobody holds one of these and waits for anything of ours.
    upkeep: Pool<AsyncPgConnection>,
    /// How many units may be open at once: some connections are left for those who only read.
    units: Arc<Semaphore>,
}

/// How many connections each tenant has for upkeep.
const UPKEEP: usize = 3;

impl Settings {
    /// The usual patience, for a database at that URL.
    #[must_use]
    pub fn new(url: SecretString) -> Settings {
        Settings {
            url,
            certificate_authorities: None,
            max_connections: 16,
            wait: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
        }
    }

    /// A connection of its own, with the rights of whoever logs in: for migrations.
    pub(super) async fn connect_as_owner(&self) -> ConnectionResult<AsyncPgConnection> {
        connect(self.parse()?, self.certificate_authorities.as_deref()).await
    }

    /// A connection of its own that speaks PostgreSQL's protocol, COPY included: with these options, and the rights
    /// of whoever logs in.
    pub(super) async fn connect_plainly(&self, options: &str) -> ConnectionResult<tokio_postgres::Client> {
        let mut config = self.parse()?;
        config.options(format!("{} {options}", config.get_options().unwrap_or_default()));
        let failed = |error: tokio_postgres::Error| ConnectionError::BadConnection(describe(&error));
        if config.get_ssl_mode() == SslMode::Require {
            let tls = MakeRustlsConnect::new(tls(self.certificate_authorities.as_deref())?);
            let (client, connection) = config.connect(tls).await.map_err(failed)?;
            tokio::spawn(connection);
            return Ok(client);
        }
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(failed)?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn parse(&self) -> ConnectionResult<tokio_postgres::Config> {
        let mut config: tokio_postgres::Config =
            self.url.expose_secret().parse().map_err(|error: tokio_postgres::Error| {
                // The message must not show the URL, which may hold a password.
                ConnectionError::InvalidConnectionUrl(format!("the database URL does not parse: {error}"))
            })?;
        config.application_name("vesta").connect_timeout(Duration::from_secs(10));
        config.keepalives_idle(Duration::from_secs(30));
        Ok(config)
    }

    fn parse_for(&self, tenant: TenantId) -> ConnectionResult<tokio_postgres::Config> {
        let mut config = self.parse()?;
        let options = format!(
            "{} -c vesta.tenant={} -c role=vesta_app -c statement_timeout={} -c lock_timeout={} \
             -c idle_in_transaction_session_timeout=60000 -c jit=off -c search_path=public \
             -c plan_cache_mode=force_generic_plan",
            config.get_options().unwrap_or_default(),
            tenant.0,
            self.statement_timeout.as_millis(),
            self.statement_timeout.as_millis() / 2,
        );
        config.options(options);
        Ok(config)
    }
}

impl Pools {
    pub(super) fn new(settings: Settings) -> Pools {
        Pools { settings, pools: RwLock::new(HashMap::new()) }
    }

    /// A connection that sees that tenant alone.
    pub(super) async fn get(&self, tenant: TenantId) -> Result<Pooled, StoreError> {
        self.wait_for(&self.of(tenant)?.requests).await
    }

    /// One for keys, tables and the trail.
    pub(super) async fn get_for_upkeep(&self, tenant: TenantId) -> Result<Pooled, StoreError> {
        self.wait_for(&self.of(tenant)?.upkeep).await
    }

    /// Drops the connections that nobody uses: one was lost, so the others may be, too.
    pub(super) fn forget_idle(&self, tenant: TenantId) {
        if let Ok(pools) = self.of(tenant) {
            pools.requests.retain(|_, _| false);
            pools.upkeep.retain(|_, _| false);
        }
    }

    /// Leave to open a unit, for as long as it is kept.
    pub(super) async fn permit_unit(&self, tenant: TenantId) -> Result<OwnedSemaphorePermit, StoreError> {
        let units = self.of(tenant)?.units;
        match tokio::time::timeout(self.settings.wait, units.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(StoreError::unavailable("too many conditional writes at once")),
        }
    }

    async fn wait_for(&self, pool: &Pool<AsyncPgConnection>) -> Result<Pooled, StoreError> {
        match tokio::time::timeout(self.settings.wait, pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(StoreError::Unavailable(Box::new(error))),
            Err(_) => Err(StoreError::unavailable("no connection to the database became free in time")),
        }
    }

    fn of(&self, tenant: TenantId) -> Result<TenantPools, StoreError> {
        if let Some(pools) = self.pools.read().unwrap_or_else(PoisonError::into_inner).get(&tenant) {
            return Ok(pools.clone());
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(pools) = pools.get(&tenant) {
            return Ok(pools.clone());
        }
        let connections = self.settings.max_connections.max(2);
        let made = TenantPools {
            requests: self.new_pool(tenant, connections)?,
            upkeep: self.new_pool(tenant, UPKEEP)?,
            units: Arc::new(Semaphore::new(connections.div_ceil(2))),
        };
        pools.insert(tenant, made.clone());
        Ok(made)
    }

    fn new_pool(&self, tenant: TenantId, connections: usize) -> Result<Pool<AsyncPgConnection>, StoreError> {
        let settings = self.settings.clone();
        let mut manager = ManagerConfig::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |_| {
            let settings = settings.clone();
            async move {
                connect(settings.parse_for(tenant)?, settings.certificate_authorities.as_deref()).await
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        Pool::builder(manager)
            .max_size(connections)
            .build()
            .map_err(|error| StoreError::Unavailable(Box::new(error)))
    }
}

async fn connect(
    config: tokio_postgres::Config,
    certificate_authorities: Option<&[u8]>,
) -> ConnectionResult<AsyncPgConnection> {
    let failed = |error: tokio_postgres::Error| ConnectionError::BadConnection(describe(&error));
    if config.get_ssl_mode() == SslMode::Require {
        let tls = MakeRustlsConnect::new(tls(certificate_authorities)?);
        let (client, connection) = config.connect(tls).await.map_err(failed)?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    }
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.map_err(failed)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// tokio-postgres keeps the reason in the source of the error.
fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn tls(certificate_authorities: Option<&[u8]>) -> ConnectionResult<rustls::ClientConfig> {
    let bad = |clause: &str| ConnectionError::BadConnection(clause.to_owned());
    let Some(pem) = certificate_authorities else {
        return Err(bad("sslmode=require needs the certificate authorities of the database"));
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| bad("the certificate authorities are not PEM"))?;
        roots.add(certificate).map_err(|_| bad("a certificate authority is not usable"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| bad("TLS is not available"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

//! The cluster: its folder, its settings, its databases.

use super::binaries::{self, Binaries};
use super::folder::{self, Owner};
use super::{DATABASE, OWNER_ROLE};
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use tracing::info;

/// One PostgreSQL cluster on disk, and who and what runs it.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) owner: Owner,
    pub(super) binaries: Binaries,
    /// PostgreSQL's own folder.
    pub(super) folder: PathBuf,
    /// The folder of its socket.
    pub(super) socket: PathBuf,
    /// What PostgreSQL says.
    pub(super) log: PathBuf,
}

/// Settings that a release may change, so they are written at every start. The reasons:
/// nobody but the owner may connect; checkpoints are rare and WAL small, as a FHIR server writes
/// many small rows; no statement, parameter or row value may reach the log.
const SETTINGS: &str = "\
# Written by Vesta at every start: change postgresql.conf instead.
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
max_connections = 80
shared_buffers = '128MB'
maintenance_work_mem = '64MB'
effective_cache_size = '1GB'
random_page_cost = 1.1
jit = off
wal_level = minimal
max_wal_senders = 0
wal_compression = on
checkpoint_timeout = '30min'
checkpoint_completion_target = 0.9
max_wal_size = '2GB'
min_wal_size = '256MB'
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = off
log_line_prefix = '%m [%p] '
log_min_messages = warning
log_min_error_statement = panic
log_error_verbosity = terse
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
";

impl Cluster {
    /// The cluster that belongs to a data folder, whether it exists yet or not.
    pub(super) async fn at(data: &Path, owner: Owner) -> Result<Cluster> {
        let data = data.canonicalize().with_context(|| format!("cannot find {}", data.display()))?;
        let folder = data.join("postgres");
        let binaries = binaries::find_or_fetch(&data, binaries::cluster_version(&folder)).await?;
        let socket = folder::socket_folder(&data);
        folder::private(&socket, &owner)?;
        Ok(Cluster { owner, binaries, folder, socket, log: data.join("postgres.log") })
    }

    /// Makes the cluster. It is made under another name and renamed when it is complete, so that a
    /// server killed meanwhile leaves nothing that looks like one.
    pub(super) async fn create_if_missing(&mut self) -> Result<()> {
        if self.folder.join("PG_VERSION").exists() {
            return Ok(());
        }
        info!("creating a PostgreSQL {} cluster in {}", self.binaries.major, self.folder.display());
        let unfinished = self.folder.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("cannot remove {}", unfinished.display()))?;
        }
        folder::private(&unfinished, &self.owner)?;
        let output = self
            .owner
            .command(&self.binaries.folder.join("initdb"))
            .arg("--pgdata")
            .arg(&unfinished)
            .arg(format!("--username={OWNER_ROLE}"))
            // Only the owner can enter the socket's folder, and nothing listens elsewhere.
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"])
            .output()
            .await
            .context("cannot run initdb")?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let settings = unfinished.join("postgresql.conf");
        let text = fs::read_to_string(&settings).context("cannot read postgresql.conf")?;
        fs::write(&settings, format!("include 'vesta.conf'\n{text}"))
            .context("cannot write postgresql.conf")?;
        fs::rename(&unfinished, &self.folder).context("cannot rename the new cluster")?;
        Ok(())
    }

    /// Writes the settings that are ours.
    pub(super) fn configure(&self) -> Result<()> {
        let path = self.folder.join("vesta.conf");
        let socket = self.socket.display().to_string().replace('\'', "''");
        fs::write(&path, format!("{SETTINGS}unix_socket_directories = '{socket}'\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.owner.take(&path)
    }

    /// The address of a database in the cluster.
    pub(super) fn url(&self, role: &str, database: &str) -> String {
        url(&self.socket, role, database)
    }

    /// Makes our database, if it is not there.
    pub(super) async fn create_database(&self) -> Result<()> {
        let url = self.url(OWNER_ROLE, "postgres");
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .context("cannot connect to the embedded PostgreSQL")?;
        let connection = tokio::spawn(connection);
        let known = client.query("select from pg_database where datname = $1", &[&DATABASE]).await?;
        if known.is_empty() {
            client.batch_execute(&format!("create database {DATABASE}")).await?;
        }
        drop(client);
        let _ = connection.await;
        Ok(())
    }
}

/// The address of a database behind the socket in that folder.
pub(super) fn url(socket: &Path, role: &str, database: &str) -> String {
    let socket: String = socket.as_os_str().as_encoded_bytes().iter().map(percent).collect();
    format!("postgresql://{role}@{socket}:5432/{database}")
}

/// A byte of a path as it stands in the host part of an address.
fn percent(byte: &u8) -> String {
    if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
}

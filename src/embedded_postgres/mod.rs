//! The PostgreSQL of dev mode: one that Vesta finds, creates, starts, watches and stops by itself.
//!
//! Outside dev mode nothing in here runs: the database is the operator's. What it promises:
//! never as root (a root process hands the cluster to the user `postgres` or `nobody`), reachable
//! only through a Unix socket in a folder of its own, one server per folder, stopped when the
//! server stops, taken over when a killed server left it behind, restarted when it was killed.
//!
//! # Decision
//! 2026-11-23: A postmaster left behind by a killed server is adopted, not stopped: it keeps what
//! it has in memory and the new server can answer at once. The road not taken, stopping it first,
//! waits for a checkpoint.

mod binaries;
mod cluster;
mod folder;
mod postmaster;

use anyhow::{Context as _, Result};
use cluster::Cluster;
use std::path::Path;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The name of the database that the resources live in.
pub const DATABASE: &str = "vesta";
/// The role that owns the cluster, and creates and migrates the database.
pub const OWNER_ROLE: &str = "vesta_owner";

/// A running PostgreSQL that belongs to this process.
pub struct EmbeddedPostgres {
    cluster: Cluster,
    stop: Option<oneshot::Sender<()>>,
    watch: JoinHandle<()>,
    _lock: std::fs::File,
}

/// The address of the database of a dev mode that runs on that folder, in another process.
#[must_use]
pub fn running(data: &Path) -> Option<String> {
    let socket = folder::socket_folder(data);
    socket.join(".s.PGSQL.5432").exists().then(|| cluster::url(&socket, OWNER_ROLE, DATABASE))
}

impl EmbeddedPostgres {
    /// Starts PostgreSQL on the cluster under `data`, creating it when there is none.
    ///
    /// # Errors
    /// No PostgreSQL can be found or fetched, the folder cannot be used, another server uses it,
    /// or PostgreSQL does not start: each with what to do about it.
    pub async fn start(data: &Path) -> Result<EmbeddedPostgres> {
        let owner = folder::Owner::find()?;
        folder::prepare(data, &owner)?;
        let lock = folder::lock(data)?;
        let mut cluster = Cluster::at(data, owner).await?;
        cluster.create_if_missing().await?;
        cluster.configure()?;
        let postmaster = postmaster::adopt_or_start(&cluster)
            .await
            .with_context(|| format!("PostgreSQL did not start; its log is {}", cluster.log.display()))?;
        cluster.create_database().await?;
        let (stop, stopped) = oneshot::channel();
        let watch = tokio::spawn(postmaster::watch(cluster.clone(), postmaster, stopped));
        Ok(EmbeddedPostgres { cluster, stop: Some(stop), watch, _lock: lock })
    }

    /// The address of a database in it, for a role.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> String {
        self.cluster.url(role, database)
    }

    /// Stops PostgreSQL cleanly: sessions end, everything is on disk.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.watch).await;
    }
}

//! The drill: a backup restored where nobody needs it, and proved there. How long that took, and how old the backup
//! was, is what would be lost: the recovery time and the recovery point, measured.

use crate::app::{App, database_settings};
use crate::backup::Tell;
use crate::backup::restore::{Putting, Restored, record_failure, record_restore};
use crate::crypto::sign::CheckpointPublicKey;
use crate::embedded_postgres::{DATABASE, EmbeddedPostgres, OWNER_ROLE};
use crate::store::backup::BackupDeed;
use anyhow::{Context as _, Result};
use secrecy::SecretString;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// How to drill.
pub struct Drilling<'a> {
    /// The server: only its settings are used, and its trail.
    pub app: &'a App,
    /// Where the backups are.
    pub folder: &'a Path,
    /// Which one; none for the last.
    pub name: Option<&'a str>,
    /// A folder for a PostgreSQL of the drill's own, which must not exist yet and is removed afterwards.
    pub scratch: &'a Path,
    /// The keys that may have signed it, and the checkpoints of its trail.
    pub keys: &'a [CheckpointPublicKey],
    /// So many bodies of each kind are opened; none for all.
    pub sample: Option<u64>,
    /// What is told meanwhile.
    pub tell: Tell<'a>,
}

impl Drilling<'_> {
    /// Drills, and records what came of it: in the trail of every tenant, and for the compliance report.
    ///
    /// # Errors
    /// The backup cannot be restored.
    pub async fn run(&self) -> Result<Restored> {
        let begun = self.app.clock.now_microseconds();
        let postgres =
            EmbeddedPostgres::start(self.scratch).await.context("no PostgreSQL to restore into")?;
        let restored = self.restore(&postgres).await;
        postgres.stop().await;
        fs::remove_dir_all(self.scratch)
            .with_context(|| format!("cannot remove {}", self.scratch.display()))?;
        if restored.is_err() {
            record_failure(self.app, "backup drill").await?;
        }
        let mut restored = restored?;
        restored.record.took = restored.record.at - begun;
        record_restore(self.app, restored.record, "backup drill").await?;
        Ok(restored)
    }

    async fn restore(&self, postgres: &EmbeddedPostgres) -> Result<Restored> {
        let url = SecretString::from(postgres.url(OWNER_ROLE, DATABASE));
        let mut config = self.app.config.as_ref().clone();
        config.database.migration_url = Some(url.clone());
        config.database.url = Some(url);
        let owner = database_settings(&config.database)?;
        let definitions = Arc::clone(&self.app.known_rules(self.app.tenant).definitions);
        let app = Arc::new(App::with_definitions(config, self.app.clock.clone(), definitions)?);
        let putting = Putting {
            app: &app,
            owner: &owner,
            folder: self.folder,
            name: self.name,
            keys: self.keys,
            sample: self.sample,
            deed: BackupDeed::Drilled,
            tell: self.tell,
        };
        putting.run().await
    }
}

//! Brings the schema up to date: the steps of `migrations/`, embedded.
//!
//! Servers that start together take turns by an advisory lock. The harness of diesel-async needs tokio's
//! multi-thread runtime.

use crate::store::connection::Settings;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// Any number that is ours: "vesta" in ASCII.
const LOCK: i64 = 0x76_65_73_74_61;
/// How many months of the trail have a partition waiting for them.
const MONTHS_AHEAD: i32 = 13;

/// Applies every step that is missing, and says how many there were.
///
/// # Errors
/// When the database cannot be reached, or a step fails: then that step is rolled back.
pub async fn migrate(settings: &Settings, now_microseconds: i64) -> Result<usize, StoreError> {
    let mut harness = AsyncMigrationHarness::new(locked(settings).await?);
    let applied = harness.run_pending_migrations(MIGRATIONS).map_err(StoreError::Broken)?.len();
    let connection = harness.into_inner();
    Sql::new("select create_audit_partitions($1, $2)")
        .with(now_microseconds)
        .with(MONTHS_AHEAD)
        .execute(&connection)
        .await?;
    Ok(applied)
}

/// Applies the steps that are missing up to that one, which may stand before today's last.
///
/// # Errors
/// As for [`migrate`], or there is no such step.
pub async fn migrate_to(settings: &Settings, last: &str) -> Result<(), StoreError> {
    let mut harness = AsyncMigrationHarness::new(locked(settings).await?);
    let steps = harness.pending_migrations(MIGRATIONS).map_err(StoreError::Broken)?;
    let mut reached = String::new();
    for step in steps {
        let version = step.name().version().to_string();
        if version.as_str() > last {
            break;
        }
        harness.run_migration(&step).map_err(StoreError::Broken)?;
        reached = version;
    }
    match reached == last {
        true => Ok(()),
        false => Err(StoreError::broken("this program does not know the schema of that time")),
    }
}

/// Takes every step back, and with them everything that is stored.
///
/// # Errors
/// When the database cannot be reached, or a step fails.
pub async fn revert_all(settings: &Settings) -> Result<usize, StoreError> {
    let mut harness = AsyncMigrationHarness::new(locked(settings).await?);
    let reverted = harness.revert_all_migrations(MIGRATIONS).map_err(StoreError::Broken)?;
    Ok(reverted.len())
}

/// A connection that holds the lock until it closes.
pub(super) async fn locked(settings: &Settings) -> Result<AsyncPgConnection, StoreError> {
    let connection =
        settings.connect_as_owner().await.map_err(|error| StoreError::Unavailable(Box::new(error)))?;
    Sql::new("select pg_advisory_lock($1)").with(LOCK).execute(&connection).await?;
    Ok(connection)
}

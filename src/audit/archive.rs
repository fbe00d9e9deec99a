//! Archiving a month of the trail: written to a file, proved there, and only then dropped.
//!
//! The part of the chain that holds the month goes into a file of its own, with the checkpoints that cover it and a
//! signed statement of where it begins and ends. The links stay in the database, so that the chain goes on; the
//! events themselves may only be dropped when they are six years old, and the database refuses it earlier too.
//!
//! # Decision 2026-11-24
//! The chain is not begun anew after an archive. Forty bytes for each event are the price for a head that still
//! covers all that ever happened: an archive that is lost, or exchanged for another, shows.

use crate::audit::checkpoint;
use crate::audit::event::{self, Kind};
use crate::audit::export;
use crate::audit::live;
use crate::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use crate::fhir::date_time::instant;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_archive::{Archive, drop_month, ids_of_month};
use crate::store::connection::Settings;
use crate::store::error::StoreError;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// How long the trail is kept: 45 CFR 164.316(b)(2)(i).
const YEARS: i64 = 6;

/// Why a month is not archived.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The text is no month.
    #[error("this is no month since 2020: write it as 2020-01")]
    NoMonth,
    /// It is too young.
    #[error("the trail is kept for six years: this month may be archived from {0} on")]
    TooYoung(String),
    /// It is not the oldest that is there.
    #[error("{0} must be archived first")]
    NotTheOldest(String),
    /// Something is wrong with the trail.
    #[error("the trail is not whole: {0}")]
    NotWhole(String),
    /// No checkpoint covers it.
    #[error("nobody signed the end of that month yet")]
    Unsigned,
    /// What was written does not prove itself.
    #[error("what was written does not prove itself: {0}")]
    NotProved(String),
    /// The database fails.
    #[error("the database fails")]
    Store(#[from] StoreError),
    /// A file cannot be written or read.
    #[error("the file cannot be written")]
    File(#[from] io::Error),
}

/// How to archive.
pub struct Archiving<'a> {
    /// The trail.
    pub store: &'a Store,
    /// The database as the role that owns it.
    pub owner: &'a Settings,
    /// The key that signs the statement.
    pub key: &'a CheckpointKey,
    /// The keys that may have signed checkpoints.
    pub keys: &'a [CheckpointPublicKey],
    /// Where the files go.
    pub folder: &'a Path,
    /// When, in microseconds since 1970.
    pub now: i64,
}

impl Archiving<'_> {
    /// Archives a month such as `2020-01` for every tenant, and drops it: the files, and what they hold.
    ///
    /// # Errors
    /// The month must not be archived, or something fails: then it is not dropped.
    pub async fn run(&self, month: &str) -> Result<Vec<(PathBuf, Archive)>, Refusal> {
        let month = month.replace('-', "_");
        let (low, high) = ids_of_month(&month).ok_or(Refusal::NoMonth)?;
        self.must_be_old(&month)?;
        let months = self.store.audit_months(TenantId::FIRST).await?;
        match months.first() {
            Some(oldest) if *oldest == month => {}
            Some(oldest) if *oldest < month => return Err(Refusal::NotTheOldest(oldest.replace('_', "-"))),
            _ => return Err(Refusal::NoMonth),
        }
        let mut archives = Vec::new();
        for tenant in self.store.tenants().await?.into_iter().map(|it| it.id) {
            let report = live::verify(self.store, tenant, self.keys, Vec::new(), self.now).await?;
            if let Some(first) = report.faults.first() {
                return Err(Refusal::NotWhole(first.to_string()));
            }
            if let Some(archive) = self.statement(tenant, &month, (low, high)).await? {
                let file =
                    self.folder.join(format!("audit-{}-tenant-{}.ndjson", month.replace('_', "-"), tenant.0));
                self.write(tenant, &archive, &file).await?;
                archives.push((tenant, file, archive));
            }
        }
        for (tenant, _, archive) in &archives {
            self.store.append_archive(*tenant, archive).await?;
            let rule = format!("archived and dropped {}", month.replace('_', "-"));
            let row = event::row_of("operator", Kind::TrailRead, event::Result::Success, &rule, self.now);
            self.store.append_audit(*tenant, vec![row]).await?;
        }
        drop_month(self.owner, &month, self.now).await?;
        Ok(archives.into_iter().map(|(_, file, archive)| (file, archive)).collect())
    }

    fn must_be_old(&self, month: &str) -> Result<(), Refusal> {
        let (year, number) = month.split_once('_').ok_or(Refusal::NoMonth)?;
        let (year, number): (i64, i64) =
            year.parse().ok().zip(number.parse().ok()).ok_or(Refusal::NoMonth)?;
        let months = (year + YEARS) * 12 + number;
        let from = format!("{:04}-{:02}-01", months.div_euclid(12), months.rem_euclid(12) + 1);
        match *instant(self.now) < *from {
            true => Err(Refusal::TooYoung(from)),
            false => Ok(()),
        }
    }

    /// What there is to archive of a tenant, signed: up to the first checkpoint that covers the month.
    async fn statement(
        &self,
        tenant: TenantId,
        month: &str,
        (low, high): (i64, i64),
    ) -> Result<Option<Archive>, Refusal> {
        let Some((first, last)) = self.store.chain_range(tenant, low, high).await? else { return Ok(None) };
        let checkpoints = self.store.checkpoints(tenant).await?;
        let covering = checkpoints.iter().find(|it| it.head.count >= last).ok_or(Refusal::Unsigned)?;
        let before = match first {
            1 => [0; 32],
            _ => self.store.chain_hash(tenant, first - 1).await?.unwrap_or_default(),
        };
        let archive = Archive {
            month: month.to_owned(),
            low,
            high,
            first,
            last: covering.head.count,
            before,
            head: covering.head.hash,
            archived: self.now,
            key_id: String::new(),
            signature: Vec::new(),
        };
        Ok(Some(checkpoint::sign_archive(self.key, tenant, &archive)))
    }

    async fn write(&self, tenant: TenantId, archive: &Archive, file: &Path) -> Result<(), Refusal> {
        let mut out = BufWriter::new(File::create_new(file)?);
        export::write_archive(self.store, tenant, archive, &mut out).await?;
        out.flush()?;
        out.get_ref().sync_all()?;
        let report = export::verify(|| Ok(BufReader::new(File::open(file)?)), self.keys, Vec::new())?;
        match report.faults.first() {
            Some(first) => Err(Refusal::NotProved(first.to_string())),
            None if report.head.count != archive.last => {
                Err(Refusal::NotProved("it is too short".to_owned()))
            }
            None => Ok(()),
        }
    }
}

//! Putting a backup back, into a database that has nothing in it.
//!
//! Everything is checked before anything is written: signatures, the SHA-256 of each file. All rows come in one
//! transaction, counted. What is restored is then proved (`prove`).

use crate::app::App;
use crate::audit::event::{self, Kind as EventKind};
use crate::backup::Tell;
use crate::backup::folder::{Folder, Kind};
use crate::backup::key_line::{ByOwner, Destroyed, KeyLine, Lines};
use crate::backup::manifest::{FileFacts, Manifest};
use crate::backup::prove::{Proof, prove};
use crate::backup::sealed_file::SealedReader;
use crate::crypto::key_ring::Purpose;
use crate::crypto::secret_key::SecretKey;
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::backup::{BackupDeed, BackupRecord};
use crate::store::connection::Settings;
use crate::store::migrate::migrate;
use crate::store::restore::{RestoredKey, Restoring};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Keys are put back so many at a time.
const TOGETHER: usize = 5_000;
/// The kinds of jobs whose files did not come along.
const GIVEN_UP: [&str; 2] =
    [crate::interaction::export::progress::KIND, crate::interaction::import::progress::KIND];

/// What to restore, and where.
pub struct Putting<'a> {
    /// A server on the database that is to be filled.
    pub app: &'a Arc<App>,
    /// That database, as whoever may make the schema.
    pub owner: &'a Settings,
    /// Where the backups are.
    pub folder: &'a Path,
    /// Which one; none for the last.
    pub name: Option<&'a str>,
    /// The keys that may have signed it, and the checkpoints of its trail.
    pub keys: &'a [CheckpointPublicKey],
    /// So many bodies of each kind are opened to see whether they are whole; none for all.
    pub sample: Option<u64>,
    /// Whether it is to be used, or to see whether it can be.
    pub deed: BackupDeed,
    /// What is told meanwhile.
    pub tell: Tell<'a>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The backup.
    pub record: BackupRecord,
    /// Its name.
    pub name: String,
    /// What was proved of it.
    pub proof: Proof,
}

/// A parcel that is read.
struct Parcel {
    folder: PathBuf,
    manifest: Manifest,
    key: SecretKey,
}

impl Parcel {
    fn pieces(&self, file: &FileFacts) -> Result<SealedReader> {
        let reader = SealedReader::open(&self.folder, self.manifest.id()?, &file.name, &self.key);
        reader.with_context(|| format!("cannot read {}", self.folder.join(&file.name).display()))
    }

    /// Every key, owner by owner.
    fn each_owner(&self, mut with: impl FnMut(Vec<KeyLine>)) -> Result<()> {
        for file in &self.manifest.files {
            let (mut lines, mut owners) = (Lines::default(), ByOwner::default());
            let mut pieces = self.pieces(file)?;
            while let Some(piece) = pieces.next()? {
                for key in lines.more(&piece)? {
                    if let Some(before) = owners.next(key) {
                        with(before);
                    }
                }
            }
            with(owners.end());
        }
        Ok(())
    }
}

impl Putting<'_> {
    /// Restores, and proves what was restored.
    ///
    /// # Errors
    /// There is no backup, it is not whole, its keys are gone, there is something in the database, or it fails.
    pub async fn run(&self) -> Result<Restored> {
        let begun = self.app.clock.now_microseconds();
        let folder = Folder::new(self.folder);
        let last = folder.names(Kind::Data).pop();
        let name = self.name.map(str::to_owned).or(last);
        let name = name.with_context(|| format!("there is no backup in {}", self.folder.display()))?;
        let data = self.open(&folder, Kind::Data, &name).await?;
        let keys = self.keys_for(&folder, &name).await?;
        let destroyed = self.destroyed_since(&folder, &name, &keys).await?;
        let filling = Restoring::begin(self.owner, &data.manifest.schema).await;
        let Some(filling) = filling.context("the schema cannot be made")? else {
            bail!("there is something in the database: restore into one that has nothing in it");
        };
        self.fill(&filling, &data).await?;
        self.put_keys(&filling, &keys, &destroyed).await?;
        filling.commit().await?;
        migrate(self.owner, self.app.clock.now_microseconds())
            .await
            .context("the later steps of the schema")?;
        self.settle(&data.manifest, &destroyed).await?;
        let proof = prove(self.app, &data.manifest, self.keys, self.sample).await?;
        let now = self.app.clock.now_microseconds();
        let record = BackupRecord {
            id: data.manifest.id()?,
            deed: self.deed,
            at: now,
            taken: data.manifest.taken,
            took: now - begun,
            behind: begun - data.manifest.taken,
            rows: i64::try_from(data.manifest.rows())?,
            bytes: i64::try_from(data.manifest.bytes())?,
            is_whole: proof.is_whole(),
        };
        if self.deed == BackupDeed::Restored {
            record_restore(self.app, record, "backup restored").await?;
        }
        Ok(Restored { record, name, proof })
    }

    async fn open(&self, folder: &Folder, kind: Kind, name: &str) -> Result<Parcel> {
        let folder = folder.at(kind, name);
        let manifest = Manifest::read(&folder, self.keys)?;
        manifest.check_files(&folder)?;
        let key = self.app.store.open_backup_key(manifest.id()?, &manifest.wrapped_key()?).await;
        let key = key.with_context(|| {
            format!("the root key {} that wraps this backup is not at hand", manifest.root_key)
        })?;
        Ok(Parcel { folder, manifest, key })
    }

    /// The keys of that time or, past their horizon, the oldest after it.
    async fn keys_for(&self, folder: &Folder, name: &str) -> Result<Parcel> {
        let found = folder.names(Kind::Keys).into_iter().find(|it| it.as_str() >= name);
        let Some(found) = found else { bail!("the keys of {name} are not there, nor any later ones") };
        if found != name {
            (self.tell)(&format!("the keys of {name} are past their time: those of {found} are taken"));
        }
        self.open(folder, Kind::Keys, &found).await
    }

    /// Who was destroyed, as far as the newest keys in the folder know.
    async fn destroyed_since(&self, folder: &Folder, name: &str, keys: &Parcel) -> Result<Destroyed> {
        let mut destroyed = Destroyed::default();
        let newest = folder.names(Kind::Keys).pop().filter(|it| *it != keys.manifest.name);
        match newest {
            None if keys.manifest.name == name => {}
            None => keys.each_owner(|it| destroyed.look(&it))?,
            Some(newest) => {
                let newest = self.open(folder, Kind::Keys, &newest).await?;
                newest.each_owner(|it| destroyed.look(&it))?;
            }
        }
        Ok(destroyed)
    }

    async fn fill(&self, filling: &Restoring, data: &Parcel) -> Result<()> {
        if let Some(first) = data.manifest.months.first() {
            let months = i32::try_from(data.manifest.months.len())?;
            filling.make_months(first, months).await?;
        }
        let count = data.manifest.files.len();
        for (number, file) in (1..).zip(&data.manifest.files) {
            filling.make_table(&file.table).await?;
            let mut rows = filling.copy(&file.table, &file.columns).await?;
            let mut pieces = data.pieces(file)?;
            while let Some(piece) = pieces.next()? {
                rows.send(piece).await?;
            }
            let restored = rows.finish().await.with_context(|| format!("{} cannot be filled", file.table))?;
            if restored != file.rows {
                bail!("{} has {restored} rows, and not {}", file.table, file.rows);
            }
            (self.tell)(&format!("{number}/{count} {}: {restored} rows", file.name));
        }
        Ok(())
    }

    async fn put_keys(&self, filling: &Restoring, keys: &Parcel, destroyed: &Destroyed) -> Result<()> {
        for file in &keys.manifest.files {
            let mut lines = Lines::default();
            let (mut waiting, mut put): (Vec<RestoredKey>, u64) = (Vec::new(), 0);
            let mut pieces = keys.pieces(file)?;
            while let Some(piece) = pieces.next()? {
                for key in lines.more(&piece)? {
                    waiting.push(destroyed.taken_from(key).0.restored()?);
                }
                if waiting.len() >= TOGETHER {
                    put += filling.put_keys(std::mem::take(&mut waiting)).await?;
                }
            }
            put += filling.put_keys(waiting).await?;
            if put != file.rows {
                bail!("there are {put} keys, and not {}", file.rows);
            }
        }
        Ok(())
    }

    /// What is not as it was: jobs whose files are elsewhere, and who was destroyed since.
    async fn settle(&self, manifest: &Manifest, destroyed: &Destroyed) -> Result<()> {
        for tenant in &manifest.tenants {
            self.app.store.give_up_jobs(TenantId(tenant.id), &GIVEN_UP).await?;
        }
        for (tenant, purpose, subject) in destroyed.owners() {
            let is_person = purpose == i16::from(Purpose::Subject.code());
            let is_tenant = purpose == i16::from(Purpose::Names.code());
            if !(is_person && subject != 0 || is_tenant) {
                continue;
            }
            match self.app.store.shred_again(TenantId(tenant), subject).await? {
                Some(0) => {}
                Some(rows) => {
                    (self.tell)(&format!("{rows} resources of who was destroyed since are removed"))
                }
                None => (self.tell)("a legal hold of that time keeps the rows of who was destroyed since"),
            }
        }
        Ok(())
    }
}

/// Puts a restore that came to nothing into the trail of every tenant.
pub(super) async fn record_failure(app: &App, rule: &str) -> Result<()> {
    let now = app.clock.now_microseconds();
    for tenant in app.store.tenants().await? {
        let row = event::row_of("operator", EventKind::Restore, event::Result::SeriousFailure, rule, now);
        app.store.append_audit(tenant.id, vec![row]).await.context("the restore could not be recorded")?;
    }
    Ok(())
}

/// Puts a restore into the trail of every tenant, and beside the other backups.
pub(super) async fn record_restore(app: &App, record: BackupRecord, rule: &str) -> Result<()> {
    let result = if record.is_whole { event::Result::Success } else { event::Result::SeriousFailure };
    for tenant in app.store.tenants().await? {
        let row = event::row_of("operator", EventKind::Restore, result, rule, record.at);
        app.store.append_audit(tenant.id, vec![row]).await.context("the restore could not be recorded")?;
    }
    app.store.record_backup(record).await.context("the restore could not be recorded")
}

//! Making a backup, while everybody goes on.

use crate::app::{App, database_settings};
use crate::audit::checkpoint::hex;
use crate::audit::event::{self, Kind as EventKind};
use crate::backup::Tell;
use crate::backup::folder::{Folder, Kind, name_of};
use crate::backup::key_line::{ByOwner, Destroyed, KeyLine, Lines};
use crate::backup::manifest::{FileFacts, Manifest, TenantFacts};
use crate::backup::rows::RowCounter;
use crate::backup::sealed_file::{SealedReader, SealedWriter};
use crate::crypto::secret_key::SecretKey;
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::backup::{BackupDeed, BackupRecord, CopiedTable, Snapshot};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// How to make one.
pub struct Making<'a> {
    /// The server.
    pub app: &'a App,
    /// Where it goes.
    pub folder: &'a Path,
    /// For so many days key parcels are kept.
    pub keep_keys_days: u32,
    /// The keys that may have signed older parcels.
    pub keys: &'a [CheckpointPublicKey],
    /// What is told meanwhile.
    pub tell: Tell<'a>,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The name of the backup.
    pub name: String,
    /// Its rows, keys included.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// When it was taken, in microseconds since 1970.
    pub taken: i64,
    /// How long it took, in microseconds.
    pub took: i64,
}

/// A parcel that is being written.
struct Parcel<'a> {
    folder: PathBuf,
    key: SecretKey,
    manifest: Manifest,
    tell: Tell<'a>,
}

impl Making<'_> {
    /// Makes a backup, and removes key parcels whose time is over. It is in the trail of every tenant, also when it
    /// fails.
    ///
    /// # Errors
    /// The database fails, the folder cannot be written, or the root key is away. Then there is no backup.
    pub async fn run(&self) -> Result<Made> {
        let app = self.app;
        let made = self.make().await;
        let result = if made.is_ok() { event::Result::Success } else { event::Result::SeriousFailure };
        let now = app.clock.now_microseconds();
        for tenant in app.store.tenants().await? {
            let row = event::row_of("operator", EventKind::Backup, result, "backup made", now);
            app.store.append_audit(tenant.id, vec![row]).await.context("the backup could not be recorded")?;
        }
        let (id, made) = made?;
        let record = BackupRecord {
            id,
            deed: BackupDeed::Made,
            at: now,
            taken: made.taken,
            took: made.took,
            behind: 0,
            rows: i64::try_from(made.rows)?,
            bytes: i64::try_from(made.bytes)?,
            is_whole: true,
        };
        app.store.record_backup(record).await.context("the backup could not be recorded")?;
        Ok(made)
    }

    async fn make(&self) -> Result<(uuid::Uuid, Made)> {
        let app = self.app;
        let settings = database_settings(&app.config.database)?;
        let snapshot = Snapshot::open(&settings).await.context("the database cannot be read")?;
        let taken = app.clock.now_microseconds();
        let name = name_of(taken);
        let folder = Folder::new(self.folder);
        if folder.at(Kind::Data, &name).exists() {
            bail!("there is a backup of that time");
        }
        let data = self.data(&folder, &snapshot, (&name, taken)).await?;
        let (keys, destroyed) = self.keys(&folder, &snapshot, (&name, taken)).await?;
        drop(snapshot);
        // The keys first: data without keys would be a backup that nobody can open.
        folder.finish(Kind::Keys, &name)?;
        folder.finish(Kind::Data, &name)?;
        self.forget(&folder, &name, taken, &destroyed).await?;
        let took = app.clock.now_microseconds() - taken;
        let (rows, bytes) = (data.rows() + keys.rows(), data.bytes() + keys.bytes());
        Ok((data.id()?, Made { name, rows, bytes, taken, took }))
    }

    async fn begin(&self, folder: &Folder, kind: Kind, name: &str, taken: i64) -> Result<Parcel<'_>> {
        let id = self.app.new_id();
        let (key, wrapped) = self.app.store.new_backup_key(id).await?;
        let manifest = Manifest::new(id, name, taken, (&wrapped, self.app.store.root_key()));
        Ok(Parcel { folder: folder.begin(kind, name)?, key, manifest, tell: self.tell })
    }

    async fn data(&self, folder: &Folder, from: &Snapshot, (name, taken): (&str, i64)) -> Result<Manifest> {
        let mut parcel = self.begin(folder, Kind::Data, name, taken).await?;
        parcel.manifest.schema = from.schema.clone();
        parcel.manifest.months = from.months.clone();
        for tenant in &from.tenants {
            let trail = from.trail(tenant.id).await?;
            parcel.manifest.tenants.push(TenantFacts::new(tenant.id.0, tenant.slug.clone(), trail));
        }
        for table in from.tables().await? {
            match table.is_walled {
                false => parcel.copy(from, &table, None).await?,
                true => {
                    for tenant in &from.tenants {
                        parcel.copy(from, &table, Some(tenant.id)).await?;
                    }
                }
            }
        }
        parcel.manifest.write(&parcel.folder, &self.app.checkpoint_key)?;
        Ok(parcel.manifest)
    }

    async fn keys(
        &self,
        folder: &Folder,
        from: &Snapshot,
        (name, taken): (&str, i64),
    ) -> Result<(Manifest, Destroyed)> {
        let mut parcel = self.begin(folder, Kind::Keys, name, taken).await?;
        parcel.manifest.schema = from.schema.clone();
        let mut destroyed = Destroyed::default();
        for tenant in &from.tenants {
            let mut file = parcel.file(&format!("{}.keys", tenant.id.0))?;
            let (mut lines, mut owners, mut rows) = (Lines::default(), ByOwner::default(), 0);
            let mut stream = from.copy_keys(tenant.id).await?;
            while let Some(piece) = stream.next().await? {
                file.write(&piece)?;
                for key in lines.more(&piece)? {
                    rows += 1;
                    if let Some(before) = owners.next(key) {
                        destroyed.look(&before);
                    }
                }
            }
            destroyed.look(&owners.end());
            parcel.finish(file, (&format!("{}.keys", tenant.id.0), "keys"), Some(tenant.id), (&[], rows))?;
        }
        parcel.manifest.write(&parcel.folder, &self.app.checkpoint_key)?;
        Ok((parcel.manifest, destroyed))
    }

    /// Removes the older key parcels whose time is over, and takes out of the others who was destroyed.
    async fn forget(&self, folder: &Folder, newest: &str, now: i64, destroyed: &Destroyed) -> Result<()> {
        let horizon = now - i64::from(self.keep_keys_days) * 24 * 3600 * 1_000_000;
        for name in folder.names(Kind::Keys).into_iter().filter(|it| it != newest) {
            let manifest = match Manifest::read(&folder.at(Kind::Keys, &name), self.keys) {
                Ok(manifest) => manifest,
                Err(error) => {
                    (self.tell)(&format!("the keys of {name} are left as they are: {error:#}"));
                    continue;
                }
            };
            if manifest.taken < horizon {
                folder.remove(Kind::Keys, &name)?;
                (self.tell)(&format!("the keys of {name} are past their time, and removed"));
                continue;
            }
            if destroyed.owners().next().is_none() {
                continue;
            }
            let taken = self.forget_in(folder, &manifest, destroyed).await?;
            if taken > 0 {
                (self.tell)(&format!("{taken} destroyed keys were taken out of those of {name}"));
            }
        }
        Ok(())
    }

    /// Writes a key parcel anew without the keys of who was destroyed: how many there were.
    async fn forget_in(&self, folder: &Folder, older: &Manifest, destroyed: &Destroyed) -> Result<u64> {
        let name = &older.name;
        let old = folder.at(Kind::Keys, name);
        let key = self.app.store.open_backup_key(older.id()?, &older.wrapped_key()?).await;
        let Ok(key) = key else {
            (self.tell)(&format!("the keys of {name} are under a root key that is gone: they open nothing"));
            return Ok(0);
        };
        let mut parcel = self.begin(folder, Kind::Keys, name, older.taken).await?;
        parcel.manifest.schema = older.schema.clone();
        let mut taken = 0;
        for facts in &older.files {
            let mut file = parcel.file(&facts.name)?;
            let (mut lines, mut rows) = (Lines::default(), 0);
            let mut reader = SealedReader::open(&old, older.id()?, &facts.name, &key)?;
            while let Some(piece) = reader.next()? {
                for key in lines.more(&piece)? {
                    let (key, was_there): (KeyLine, bool) = destroyed.taken_from(key);
                    (taken, rows) = (taken + u64::from(was_there), rows + 1);
                    file.write(key.to_line()?.as_bytes())?;
                }
            }
            parcel.finish(file, (&facts.name, &facts.table), facts.tenant.map(TenantId), (&[], rows))?;
        }
        if taken > 0 {
            parcel.manifest.write(&parcel.folder, &self.app.checkpoint_key)?;
            folder.finish(Kind::Keys, name)?;
        } else {
            std::fs::remove_dir_all(&parcel.folder)?;
        }
        Ok(taken)
    }
}

impl Parcel<'_> {
    fn file(&self, name: &str) -> Result<SealedWriter> {
        let file = SealedWriter::create(&self.folder, self.manifest.id()?, name, &self.key);
        file.with_context(|| format!("cannot write {}", self.folder.join(name).display()))
    }

    fn finish(
        &mut self,
        file: SealedWriter,
        (name, table): (&str, &str),
        tenant: Option<TenantId>,
        (columns, rows): (&[String], u64),
    ) -> Result<()> {
        let (bytes, hash) = file.finish()?;
        self.manifest.files.push(FileFacts {
            name: name.to_owned(),
            table: table.to_owned(),
            tenant: tenant.map(|it| it.0),
            columns: columns.to_vec(),
            rows,
            bytes,
            sha256: hex(&hash),
        });
        Ok(())
    }

    /// Copies the rows of a table into a file. A table without any has none: there are many.
    async fn copy(&mut self, from: &Snapshot, table: &CopiedTable, tenant: Option<TenantId>) -> Result<()> {
        let name = match tenant {
            None => table.name.clone(),
            Some(tenant) => format!("{}.{}", tenant.0, table.name),
        };
        let mut counter = RowCounter::new();
        let mut file = self.file(&name)?;
        let mut stream = from.copy(table, tenant).await?;
        while let Some(piece) = stream.next().await? {
            counter.see(&piece);
            file.write(&piece)?;
        }
        let rows = counter.end().context("a table was not copied to its end")?;
        if rows == 0 {
            drop(file);
            std::fs::remove_file(self.folder.join(&name))?;
            return Ok(());
        }
        self.finish(file, (&name, &table.name), tenant, (&table.columns, rows))?;
        let bytes = self.manifest.files.last().map_or(0, |it| it.bytes);
        (self.tell)(&format!("{name}: {rows} rows, {bytes} bytes"));
        Ok(())
    }
}

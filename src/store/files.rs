//! Files that jobs leave: sealed in chunks, in a folder or an S3 bucket.
//!
//! A file is `chunk ‖ chunk ‖ …`, each [`CHUNK`] bytes sealed by themselves, so that any part of it is read
//! without the rest. Which tenant, job, file and place a chunk belongs to, and whether it is the last, is bound
//! into its seal. The key is the file's own; it stands in the database, sealed under the tenant's, and goes when
//! the file is removed: copies that somebody kept are then noise.
//!
//! A file is there once it is whole. Whoever writes one keeps it in memory until then, so files are parts of
//! bounded size ([`PART`]), put in one step: a folder renames, S3 answers when it has all.

use crate::crypto::seal::{self, OVERHEAD, SectionKey};
use crate::crypto::secret_key::SecretKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql::Sql;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tracing::warn;
use uuid::Uuid;

/// So many bytes are sealed together.
const CHUNK: usize = 64 * 1024;
/// A file is finished when it has so many bytes, and the next begun.
pub const PART: u64 = 24 * 1024 * 1024;
const LABEL: &str = "file key";

/// Where files are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilePlace {
    /// A folder of this machine, made when it is first needed.
    Folder(PathBuf),
    /// An S3-compatible bucket: its URL. Credentials and endpoint come from the usual `AWS_…` variables.
    Bucket(String),
}

/// The files of all tenants. Clones are the same.
#[derive(Clone)]
pub struct Files {
    store: Store,
    shared: Arc<Shared>,
}

struct Shared {
    place: FilePlace,
    objects: OnceLock<Arc<dyn ObjectStore>>,
}

/// A file that is being written.
pub struct FileWriter {
    files: Files,
    at: At,
    key: SectionKey,
    plain: Vec<u8>,
    sealed: Vec<u8>,
    size: u64,
}

/// A file that is whole.
pub struct OpenFile {
    objects: Arc<dyn ObjectStore>,
    at: At,
    key: SectionKey,
    size: u64,
}

/// Which file.
#[derive(Clone)]
struct At {
    tenant: TenantId,
    job: Uuid,
    name: String,
}

impl At {
    fn path(&self) -> Path {
        Path::from_iter([self.tenant.0.to_string(), self.job.to_string(), self.name.clone()])
    }

    fn row(&self) -> Vec<u8> {
        let mut row = self.job.as_bytes().to_vec();
        row.extend_from_slice(self.name.as_bytes());
        row
    }

    fn associated_data(&self, chunk: u64, is_last: bool) -> Vec<u8> {
        let mut place = b"vesta file\0".to_vec();
        place.extend_from_slice(&self.tenant.0.to_be_bytes());
        place.extend_from_slice(self.job.as_bytes());
        place.extend_from_slice(&chunk.to_be_bytes());
        place.push(u8::from(is_last));
        place.extend_from_slice(self.name.as_bytes());
        place
    }
}

impl Files {
    /// The files of that store, there.
    #[must_use]
    pub fn new(store: Store, place: FilePlace) -> Files {
        Files { store, shared: Arc::new(Shared { place, objects: OnceLock::new() }) }
    }

    /// Begins a file of a job, in the place of one of that name.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn create(&self, tenant: TenantId, job: Uuid, name: &str) -> Result<FileWriter, StoreError> {
        let at = At { tenant, job, name: name.to_owned() };
        let key = SecretKey::random();
        let sealed = self.store.seal_private(tenant, (LABEL, &at.row()), key.expose()).await?;
        let sql = Sql::new(
            "insert into files (tenant, job, name, key) values ($1, $2, $3, $4) \
             on conflict (tenant, job, name) do update set key = excluded.key, size = null",
        );
        self.store.act(tenant, &sql.with(tenant.0).with(job).with(name).with(sealed)).await?;
        let key = SectionKey::new(&key);
        Ok(FileWriter { files: self.clone(), at, key, plain: Vec::new(), sealed: Vec::new(), size: 0 })
    }

    /// A file of a job, if it is there and whole.
    ///
    /// # Errors
    /// The database fails, or the keys cannot be fetched.
    pub async fn open(
        &self,
        tenant: TenantId,
        job: Uuid,
        name: &str,
    ) -> Result<Option<OpenFile>, StoreError> {
        let sql = Sql::new("select key, size from files where tenant = $1 and job = $2 and name = $3");
        let sql = sql.with(tenant.0).with(job).with(name);
        type Row = (Vec<u8>, Option<i64>);
        let rows = self.store.ask::<(Binary, Nullable<BigInt>), Row>(tenant, &[], &sql).await?;
        let Some((sealed, Some(size))) = rows.into_iter().next() else { return Ok(None) };
        let at = At { tenant, job, name: name.to_owned() };
        let key = self.store.open_private(tenant, (LABEL, &at.row()), &sealed).await?;
        let key = SecretKey::from_slice(&key).ok_or(StoreError::broken("the key of a file is none"))?;
        let size = u64::try_from(size).map_err(|_| StoreError::broken("a file has no size"))?;
        Ok(Some(OpenFile { objects: self.objects()?, at, key: SectionKey::new(&key), size }))
    }

    /// Shreds every file of a job.
    ///
    /// # Errors
    /// The database fails: then they are still there.
    pub async fn remove_all(&self, tenant: TenantId, job: Uuid) -> Result<(), StoreError> {
        let sql = Sql::new("delete from files where tenant = $1 and job = $2 returning name");
        let names = self.store.ask::<Text, String>(tenant, &[], &sql.with(tenant.0).with(job)).await?;
        for name in names {
            let at = At { tenant, job, name };
            // Without its key it is noise: that it takes up room is the operator's matter.
            match self.objects()?.delete(&at.path()).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => warn!(%error, "a shredded file could not be removed"),
            }
        }
        Ok(())
    }

    fn objects(&self) -> Result<Arc<dyn ObjectStore>, StoreError> {
        if let Some(objects) = self.shared.objects.get() {
            return Ok(Arc::clone(objects));
        }
        let made: Arc<dyn ObjectStore> = match &self.shared.place {
            FilePlace::Folder(folder) => {
                make_private(folder).map_err(|error| StoreError::Unavailable(Box::new(error)))?;
                Arc::new(LocalFileSystem::new_with_prefix(folder).map_err(unavailable)?)
            }
            FilePlace::Bucket(url) => {
                let bucket = AmazonS3Builder::from_env().with_url(url).build().map_err(unavailable)?;
                let prefix = url.splitn(4, '/').nth(3).unwrap_or_default();
                Arc::new(PrefixStore::new(bucket, Path::from(prefix)))
            }
        };
        Ok(Arc::clone(self.shared.objects.get_or_init(|| made)))
    }
}

fn make_private(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl FileWriter {
    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let mut rest = bytes;
        // A chunk is sealed when more follows: the last one says that it is.
        while self.plain.len() + rest.len() > CHUNK {
            let (taken, left) = rest.split_at(CHUNK - self.plain.len());
            self.plain.extend_from_slice(taken);
            rest = left;
            self.seal(false);
        }
        self.plain.extend_from_slice(rest);
    }

    /// How many bytes were added.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts it where it belongs: from then on it is there.
    ///
    /// # Errors
    /// The folder, the bucket or the database fails.
    pub async fn finish(mut self) -> Result<u64, StoreError> {
        self.seal(true);
        let FileWriter { files, at, sealed, size, .. } = self;
        files.objects()?.put(&at.path(), sealed.into()).await.map_err(unavailable)?;
        let sql = Sql::new("update files set size = $4 where tenant = $1 and job = $2 and name = $3");
        let length = i64::try_from(size).map_err(|_| StoreError::broken("a file is too large"))?;
        let sql = sql.with(at.tenant.0).with(at.job).with(at.name.clone()).with(length);
        match files.store.act(at.tenant, &sql).await? {
            1 => Ok(size),
            _ => Err(StoreError::unavailable("a file was removed while it was written")),
        }
    }

    fn seal(&mut self, is_last: bool) {
        let chunk = (self.sealed.len() / (CHUNK + OVERHEAD)) as u64;
        let place = self.at.associated_data(chunk, is_last);
        seal::seal_onto(&self.key, &place, &self.plain, &mut self.sealed);
        self.plain.clear();
    }
}

impl OpenFile {
    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes from that place on: at least one as long as there are any, and not many more than `most`.
    ///
    /// # Errors
    /// The folder or the bucket fails, or the file is not what was put there.
    pub async fn read(&self, from: u64, most: usize) -> Result<Vec<u8>, StoreError> {
        if from >= self.size {
            return Ok(Vec::new());
        }
        let (chunk, sealed) = (CHUNK as u64, (CHUNK + OVERHEAD) as u64);
        let last = (self.size - 1) / chunk;
        let (first, until) = (from / chunk, (from.saturating_add(most as u64) / chunk).min(last));
        let until_byte = ((until + 1) * sealed).min(self.size + (last + 1) * OVERHEAD as u64);
        let bytes = self.objects.get_range(&self.at.path(), first * sealed..until_byte).await;
        let bytes = bytes.map_err(unavailable)?;
        let mut plain = Vec::with_capacity(bytes.len());
        for (number, piece) in (first..).zip(bytes.chunks(CHUNK + OVERHEAD)) {
            let place = self.at.associated_data(number, number == last);
            let opened = seal::open(&self.key, &place, piece);
            plain.extend_from_slice(&opened.map_err(|error| StoreError::Broken(Box::new(error)))?);
        }
        let skipped = usize::try_from(from - first * chunk).unwrap_or(usize::MAX).min(plain.len());
        Ok(plain.split_off(skipped))
    }
}

fn unavailable(error: object_store::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

//! What a parcel says of itself: `manifest.json`, and `manifest.sig`, the signature over its bytes by the key that
//! signs the checkpoints of the trail.
//!
//! Whoever has the public key can tell without any other key whether a parcel is whole: the manifest has the SHA-256
//! of each file. It shows how many rows and tenants there are, and nothing of what is in them.

use crate::audit::checkpoint::hex;
use crate::backup::sealed_file::hash_of;
use crate::crypto::sign::{CheckpointKey, CheckpointPublicKey};
use crate::store::audit_chain::Head;
use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use uuid::Uuid;

const FORMAT: u8 = 1;
const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
/// A manifest is not longer than this.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What is in a parcel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The rule by which it is written.
    pub(super) format: u8,
    /// The id of the parcel: its files belong to no other.
    id: String,
    /// The name of the backup: both its parcels have it.
    pub(super) name: String,
    /// The program that made it.
    pub(super) program: String,
    /// The last step of the schema.
    pub(super) schema: String,
    /// What was committed by then is in it, in microseconds since 1970.
    pub(super) taken: i64,
    /// The key of the parcel, as the root key wraps it: base64.
    pub(super) key: String,
    /// The name of that root key, and where it was kept.
    pub(super) root_key: String,
    /// The tenants, and how far the trail of each goes.
    pub(super) tenants: Vec<TenantFacts>,
    /// The months of the trail.
    pub(super) months: Vec<String>,
    /// The files.
    pub(super) files: Vec<FileFacts>,
}

/// A tenant, and its trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TenantFacts {
    pub(super) id: i32,
    pub(super) slug: String,
    /// How many events there are, chained or not.
    pub(super) events: i64,
    /// How many are chained.
    pub(super) chained: i64,
    /// The hash of the last of these, in hexadecimal.
    pub(super) head: String,
}

/// A file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FileFacts {
    pub(super) name: String,
    /// The table whose rows it has.
    pub(super) table: String,
    /// Of which tenant; none for a table that belongs to none.
    pub(super) tenant: Option<i32>,
    pub(super) columns: Vec<String>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new(id: Uuid, name: &str, taken: i64, (key, root_key): (&[u8], String)) -> Manifest {
        Manifest {
            format: FORMAT,
            id: id.to_string(),
            name: name.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            schema: String::new(),
            taken,
            key: STANDARD.encode(key),
            root_key,
            tenants: Vec::new(),
            months: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The id of the parcel.
    pub(super) fn id(&self) -> Result<Uuid> {
        Uuid::parse_str(&self.id).context("the manifest has no id")
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.files.iter().map(|it| it.rows).sum()
    }

    /// How many bytes the files have.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|it| it.bytes).sum()
    }

    /// The key of the parcel, wrapped.
    pub(super) fn wrapped_key(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.key).context("the manifest has no key")
    }

    /// Writes it into the folder of its parcel, signed.
    pub(super) fn write(&self, folder: &Path, key: &CheckpointKey) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let signature = format!("{} {}\n", key.public().id(), STANDARD.encode(key.sign(&signed(&text))));
        for (name, text) in [(MANIFEST, text), (SIGNATURE, signature)] {
            let mut file = File::create_new(folder.join(name))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Reads it from the folder of its parcel, where one of these keys signed it.
    pub(super) fn read(folder: &Path, keys: &[CheckpointPublicKey]) -> Result<Manifest> {
        let file = folder.join(MANIFEST);
        let length = fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.len();
        if length > LONGEST {
            bail!("{} is too long", file.display());
        }
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let signature = fs::read_to_string(folder.join(SIGNATURE)).context("the manifest is not signed")?;
        let (signer, signature) = signature.trim().split_once(' ').context("the signature is none")?;
        let signature = STANDARD.decode(signature).context("the signature is none")?;
        let Some(key) = keys.iter().find(|it| it.id() == signer) else {
            bail!(
                "{} was signed by the key {signer}, which is not at hand: name it with --key",
                file.display()
            );
        };
        key.verify(&signed(&text), &signature)
            .with_context(|| format!("{} is not what was signed", file.display()))?;
        let manifest: Manifest = serde_json::from_str(&text).context("the manifest cannot be read")?;
        if manifest.format != FORMAT {
            bail!("the backup is of another format: {}", manifest.format);
        }
        Ok(manifest)
    }

    /// Whether each file is there, and as it was written.
    pub(super) fn check_files(&self, folder: &Path) -> Result<()> {
        for file in &self.files {
            let path = folder.join(&file.name);
            let hash = hash_of(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if hex(&hash) != file.sha256 {
                bail!("{} is not what was written", path.display());
            }
        }
        Ok(())
    }
}

impl TenantFacts {
    pub(super) fn new(id: i32, slug: String, (head, events): (Head, i64)) -> TenantFacts {
        TenantFacts { id, slug, events, chained: head.count, head: hex(&head.hash) }
    }
}

/// What is signed: no checkpoint can be taken for a manifest, nor a manifest for one.
fn signed(text: &str) -> Vec<u8> {
    [b"vesta backup manifest\0", text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;

    #[test]
    fn a_manifest_is_what_was_signed_by_whom_we_know() {
        let folder = std::env::temp_dir().join(format!("vesta-manifest-{}", random::id(0)));
        fs::create_dir_all(&folder).unwrap();
        let (key, other) = (CheckpointKey::random(), CheckpointKey::random());
        let manifest = Manifest::new(random::id(1), "name", 7, (b"key", "root".to_owned()));
        manifest.write(&folder, &key).unwrap();
        let both = [other.public().clone(), key.public().clone()];
        assert_eq!(Manifest::read(&folder, &both).unwrap().taken, 7);
        assert!(Manifest::read(&folder, &both[..1]).unwrap_err().to_string().contains("--key"));
        let text = fs::read_to_string(folder.join(MANIFEST)).unwrap().replace("\"taken\": 7", "\"taken\": 8");
        fs::write(folder.join(MANIFEST), text).unwrap();
        assert!(Manifest::read(&folder, &both).unwrap_err().to_string().contains("not what was signed"));
        fs::remove_dir_all(folder).unwrap();
    }
}

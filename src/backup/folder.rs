//! The folder in which backups are: `data/{name}` and `keys/{name}`, each parcel whole or not there.
//!
//! A parcel is written under another name and renamed when all of it is on disk. Names are times, so they are in
//! order.

use crate::fhir::date_time::instant;
use anyhow::{Context as _, Result};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Which parcels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Keys,
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

const UNFINISHED: &str = ".unfinished";

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Data => "data",
            Kind::Keys => "keys",
        }
    }
}

/// The name of a backup that was taken then.
pub(super) fn name_of(taken: i64) -> String {
    instant(taken).replace(':', "-")
}

impl Folder {
    pub(super) fn new(folder: &Path) -> Folder {
        Folder(folder.to_owned())
    }

    /// Where a parcel is, or would be.
    pub(super) fn at(&self, kind: Kind, name: &str) -> PathBuf {
        self.0.join(kind.name()).join(name)
    }

    /// The names of the parcels that are there, oldest first.
    pub(super) fn names(&self, kind: Kind) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(kind.name())).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|it| it.file_name().into_string().ok()).collect();
        names.retain(|it| !it.ends_with(UNFINISHED) && it.starts_with(|first: char| first.is_ascii_digit()));
        names.sort();
        names
    }

    /// Begins a parcel: the folder to write it in, that nobody else may enter. What an earlier try left goes.
    pub(super) fn begin(&self, kind: Kind, name: &str) -> Result<PathBuf> {
        let folder = self.at(kind, &format!("{name}{UNFINISHED}"));
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// Ends it: from now on it is there, in the place of one of that name.
    pub(super) fn finish(&self, kind: Kind, name: &str) -> Result<()> {
        let (from, to) = (self.at(kind, &format!("{name}{UNFINISHED}")), self.at(kind, name));
        File::open(&from)?.sync_all()?;
        if to.exists() {
            fs::remove_dir_all(&to).with_context(|| format!("cannot remove {}", to.display()))?;
        }
        fs::rename(&from, &to).with_context(|| format!("cannot rename {}", from.display()))?;
        File::open(self.0.join(kind.name()))?.sync_all()?;
        Ok(())
    }

    /// Removes a parcel.
    pub(super) fn remove(&self, kind: Kind, name: &str) -> Result<()> {
        let folder = self.at(kind, name);
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    }
}

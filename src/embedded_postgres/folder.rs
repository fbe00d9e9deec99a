//! Whose the cluster is, and the folders it may use.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A Unix socket's path may have this many bytes, the closing NUL not counted.
const SOCKET_PATH_BYTES: usize = 107;
/// What PostgreSQL calls its socket inside the folder it is given, and its lock file beside it.
const SOCKET_NAME: &str = "/.s.PGSQL.5432.lock";

/// The user that PostgreSQL runs as.
#[derive(Clone, Debug)]
pub(super) enum Owner {
    /// The user of this process.
    Myself,
    /// This process is root, and PostgreSQL refuses to be: it runs as somebody else.
    Other { name: String, uid: u32, gid: u32 },
}

impl Owner {
    /// The user of this process or, for root, `postgres` or `nobody`.
    pub(super) fn find() -> Result<Owner> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Owner::Myself);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        for wanted in ["postgres", "nobody"] {
            if let Some(owner) = users.lines().find_map(|line| user(line, wanted)) {
                return Ok(owner);
            }
        }
        bail!("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`")
    }

    /// Makes a folder or file the owner's.
    pub(super) fn take(&self, path: &Path) -> Result<()> {
        let Owner::Other { name, uid, gid } = self else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(*uid), Some(*gid))
            .with_context(|| format!("cannot give {} to the user {name}", path.display()))
    }

    /// A command that runs as the owner, with nothing of our environment.
    pub(super) fn command(&self, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", "/usr/local/bin:/usr/bin:/bin");
        // A folder that the owner may stand in: ours may be closed to it.
        command.current_dir("/");
        if let Owner::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Whether the owner may walk through a folder.
    fn may_enter(&self, folder: &Path) -> Result<bool> {
        let Owner::Other { uid, gid, .. } = self else { return Ok(true) };
        let metadata =
            fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
        let bit = match (metadata.uid() == *uid, metadata.gid() == *gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        Ok(metadata.mode() & bit != 0)
    }
}

/// The owner that a line of `/etc/passwd` describes, if it is about that user.
fn user(line: &str, wanted: &str) -> Option<Owner> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| *name == wanted)?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Owner::Other { name: name.to_owned(), uid, gid })
}

/// Makes the data folder, and sees to it that the owner can walk to it.
pub(super) fn prepare(data: &Path, owner: &Owner) -> Result<()> {
    let mode = match owner {
        Owner::Myself => 0o700,
        Owner::Other { .. } => 0o755,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(data)
        .with_context(|| format!("cannot create the folder {}", data.display()))?;
    let Owner::Other { name, uid, .. } = owner else { return Ok(()) };
    let data = data.canonicalize().with_context(|| format!("cannot find {}", data.display()))?;
    if !owner.may_enter(&data)? {
        // It is our own folder, and what is secret in it stands in folders that are closed.
        let open = fs::metadata(&data)?.mode() & 0o7777 | 0o011;
        fs::set_permissions(&data, fs::Permissions::from_mode(open))
            .with_context(|| format!("cannot let the user {name} into {}", data.display()))?;
    }
    for ancestor in data.ancestors().skip(1) {
        if !owner.may_enter(ancestor)? {
            bail!(
                "PostgreSQL runs as the user {name} (uid {uid}), to whom the folder {} is closed; \
                 set VESTA_DATA to a folder it can reach, such as /var/lib/vesta",
                ancestor.display()
            );
        }
    }
    Ok(())
}

/// Takes the folder for this process, so that two servers do not fight over it. The operating
/// system gives it back when the process ends, however it ends.
pub(super) fn lock(data: &Path) -> Result<fs::File> {
    let path = data.join("vesta.lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            bail!("another Vesta is running on {}; stop it, or set VESTA_DATA", data.display())
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// A folder that only the owner may enter, made when it is missing.
pub(super) fn private(path: &Path, owner: &Owner) -> Result<()> {
    let context = || format!("cannot prepare the folder {}", path.display());
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(context),
    }
    let metadata = fs::symlink_metadata(path).with_context(context)?;
    let expected = match owner {
        Owner::Myself => rustix::process::geteuid().as_raw(),
        Owner::Other { uid, .. } => *uid,
    };
    let is_ours = metadata.uid() == expected || metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !is_ours {
        bail!("{} is not a folder of ours", path.display());
    }
    owner.take(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).with_context(context)
}

/// Where the socket goes: beside the cluster or, where that path is too long for a socket, in a
/// private folder under `/tmp` that is named after it.
pub(super) fn socket_folder(data: &Path) -> PathBuf {
    let beside = data.join("socket");
    if beside.as_os_str().len() + SOCKET_NAME.len() <= SOCKET_PATH_BYTES {
        return beside;
    }
    // FNV-1a: only a name that differs from folder to folder.
    let hash = beside.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    PathBuf::from(format!("/tmp/vesta-{hash:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_names_an_owner() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        let Some(Owner::Other { uid, gid, .. }) = user(line, "postgres") else { panic!("no owner") };
        assert_eq!((uid, gid), (101, 104));
        assert!(user(line, "nobody").is_none());
        assert!(user("postgres:x", "postgres").is_none());
    }

    #[test]
    fn a_socket_path_is_never_too_long() {
        let short = socket_folder(Path::new("/var/lib/vesta"));
        assert_eq!(short, Path::new("/var/lib/vesta/socket"));
        let long = PathBuf::from(format!("/home/{}", "x".repeat(100)));
        let other = PathBuf::from(format!("/home/{}", "y".repeat(100)));
        assert!(socket_folder(&long).starts_with("/tmp"));
        assert_ne!(socket_folder(&long), socket_folder(&other));
    }
}

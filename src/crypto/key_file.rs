//! A key in a file: for development, and for servers whose operator guards the file.
//!
//! The file is made with mode 0600 and refused when anybody else may read it. No other file of the
//! crypto room is opened anywhere else.

use secrecy::SecretString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Reads the file, first making it with what `make` returns when there is none.
///
/// # Errors
/// The file cannot be read or written, or others than its owner may read it.
pub fn read_or_create(
    path: &Path,
    make: impl FnOnce() -> io::Result<SecretString>,
) -> io::Result<SecretString> {
    use secrecy::ExposeSecret;
    match read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        other => return other,
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Written aside and linked into place, so that of two servers starting at once one wins and
    // both read the same whole key.
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let made =
        write_new(&aside, make()?.expose_secret().as_bytes()).and_then(|()| fs::hard_link(&aside, path));
    let _ = fs::remove_file(&aside);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => read(path),
    }
}

/// Reads the file.
///
/// # Errors
/// The file cannot be read, or others than its owner may read it.
pub fn read(path: &Path) -> io::Result<SecretString> {
    let file = File::open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        let message = format!("{} may be read by others than its owner: chmod 600", path.display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, message));
    }
    Ok(SecretString::from(io::read_to_string(file)?))
}

/// Reads a file of public keys, which anybody may read.
///
/// # Errors
/// The file cannot be read.
pub fn read_public(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

/// Puts other keys in the place of those in the file, so that whoever reads it meanwhile reads one or the other.
///
/// # Errors
/// The file cannot be written.
pub fn replace(path: &Path, text: &SecretString) -> io::Result<()> {
    use secrecy::ExposeSecret;
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let replaced = write_new(&aside, text.expose_secret().as_bytes()).and_then(|()| fs::rename(&aside, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&aside);
    }
    replaced
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn makes_the_file_once_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("vesta-key-file-{}", crate::crypto::random::id(0)));
        let path = folder.join("deep").join("root.key");
        let first = read_or_create(&path, || Ok(SecretString::from("one"))).unwrap();
        let second = read_or_create(&path, || Ok(SecretString::from("two"))).unwrap();
        assert_eq!((first.expose_secret(), second.expose_secret()), ("one", "one"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        replace(&path, &SecretString::from("three")).unwrap();
        assert_eq!(read(&path).unwrap().expose_secret(), "three");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::PermissionDenied);
        fs::remove_dir_all(folder).unwrap();
    }
}

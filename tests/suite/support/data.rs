//! The unpacked public data: `VESTA_TEST_DATA`, which `.ci/run` sets.

use std::path::PathBuf;

/// The folder of one archive.
///
/// Fails loudly when it is not there: a test that silently tests nothing proves nothing.
pub fn folder(archive: &str) -> PathBuf {
    let root = std::env::var_os("VESTA_TEST_DATA").map_or_else(default_root, PathBuf::from);
    let folder = root.join(archive);
    assert!(
        folder.is_dir(),
        "{} is missing: unpack ../shared/data there (its `unpack` does), or name another folder in VESTA_TEST_DATA",
        folder.display()
    );
    folder
}

fn default_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-data")
}

/// Every file of an archive with that extension, in order.
pub fn files(archive: &str, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder(archive)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

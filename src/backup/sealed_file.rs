//! A file of a backup: any number of bytes, compressed and sealed in chunks.
//!
//! `length ‖ chunk ‖ length ‖ chunk ‖ …`: each chunk is a mebibyte at most before it is compressed, and is sealed
//! under a key that is the file's own. Which backup, file and place it belongs to, and whether it is the last, is
//! bound into its seal: no chunk can be taken out, moved, repeated or put into another file, and no file cut short.
//! A chunk is all that is ever in memory.

use crate::crypto::seal::{self, SectionKey};
use crate::crypto::secret_key::SecretKey;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::Path;
use uuid::Uuid;

/// So many bytes are sealed together.
const CHUNK: usize = 1024 * 1024;
/// A sealed chunk is not longer than this: what cannot be compressed grows by little.
const LONGEST: usize = CHUNK + 64 * 1024;
const LEVEL: i32 = 3;

/// Where a chunk belongs.
#[derive(Clone, Debug)]
struct At {
    backup: Uuid,
    name: String,
    chunk: u64,
}

impl At {
    fn associated_data(&self, is_last: bool) -> Vec<u8> {
        let mut place = b"vesta backup\0".to_vec();
        place.extend_from_slice(self.backup.as_bytes());
        place.extend_from_slice(&self.chunk.to_be_bytes());
        place.push(u8::from(is_last));
        place.extend_from_slice(self.name.as_bytes());
        place
    }
}

/// A file that is being written.
pub(super) struct SealedWriter {
    out: BufWriter<File>,
    hash: Sha256,
    key: SectionKey,
    at: At,
    plain: Vec<u8>,
    bytes: u64,
}

/// A file that is being read.
pub(super) struct SealedReader {
    input: BufReader<File>,
    key: SectionKey,
    at: At,
    is_over: bool,
}

/// The key of one file.
fn key_of(key: &SecretKey, name: &str) -> SectionKey {
    SectionKey::new(&key.derive(&[b"vesta backup file", name.as_bytes()]))
}

impl SealedWriter {
    /// Begins a file in a folder, of that backup. There must be none of that name.
    pub(super) fn create(
        folder: &Path,
        backup: Uuid,
        name: &str,
        key: &SecretKey,
    ) -> io::Result<SealedWriter> {
        let at = At { backup, name: name.to_owned(), chunk: 0 };
        Ok(SealedWriter {
            out: BufWriter::new(File::create_new(folder.join(name))?),
            hash: Sha256::new(),
            key: key_of(key, name),
            at,
            plain: Vec::with_capacity(CHUNK),
            bytes: 0,
        })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        // A chunk is sealed when more follows: the last one says that it is.
        while self.plain.len() + bytes.len() > CHUNK {
            let (taken, rest) = bytes.split_at(CHUNK - self.plain.len());
            self.plain.extend_from_slice(taken);
            bytes = rest;
            self.seal(false)?;
        }
        self.plain.extend_from_slice(bytes);
        Ok(())
    }

    /// Ends it, on disk: how many bytes it has there, and their SHA-256.
    pub(super) fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        self.seal(true)?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        Ok((self.bytes, self.hash.finalize().into()))
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let compressed = zstd::bulk::compress(&self.plain, LEVEL)?;
        let sealed = seal::seal(&self.key, &self.at.associated_data(is_last), &compressed);
        let length = u32::try_from(sealed.len()).map_err(io::Error::other)?.to_be_bytes();
        for part in [length.as_slice(), sealed.as_slice()] {
            self.out.write_all(part)?;
            self.hash.update(part);
            self.bytes += part.len() as u64;
        }
        self.at.chunk += 1;
        self.plain.clear();
        Ok(())
    }
}

impl SealedReader {
    /// Opens a file of that backup in a folder.
    pub(super) fn open(folder: &Path, backup: Uuid, name: &str, key: &SecretKey) -> io::Result<SealedReader> {
        let at = At { backup, name: name.to_owned(), chunk: 0 };
        let input = BufReader::new(File::open(folder.join(name))?);
        Ok(SealedReader { input, key: key_of(key, name), at, is_over: false })
    }

    /// The next bytes; nothing after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.is_over {
            return Ok(None);
        }
        let broken =
            |clause: &str| io::Error::new(ErrorKind::InvalidData, format!("{}: {clause}", self.at.name));
        let mut length = [0; 4];
        self.input.read_exact(&mut length).map_err(|_| broken("the file is cut short"))?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(broken("a chunk is too long"));
        }
        let mut sealed = vec![0; length];
        self.input.read_exact(&mut sealed).map_err(|_| broken("the file is cut short"))?;
        let opened = [false, true].into_iter().find_map(|is_last| {
            Some((seal::open(&self.key, &self.at.associated_data(is_last), &sealed).ok()?, is_last))
        });
        let (compressed, is_last) = opened.ok_or_else(|| broken("a chunk is not what was written"))?;
        let plain = zstd::bulk::decompress(&compressed, CHUNK).map_err(|_| broken("a chunk is no chunk"))?;
        if is_last && self.input.read(&mut [0])? > 0 {
            return Err(broken("something follows the end"));
        }
        self.at.chunk += 1;
        self.is_over = is_last;
        Ok(Some(plain))
    }
}

/// The SHA-256 of a file.
pub(super) fn hash_of(file: &Path) -> io::Result<[u8; 32]> {
    let mut input = File::open(file)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 256 * 1024];
    loop {
        match input.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(piece.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random;
    use std::fs;
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Folder {
            let folder = std::env::temp_dir().join(format!("vesta-sealed-{}", random::id(0)));
            fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(folder: &Path, backup: Uuid, name: &str, key: &SecretKey) -> io::Result<Vec<u8>> {
        let mut reader = SealedReader::open(folder, backup, name, key)?;
        let mut all = Vec::new();
        while let Some(piece) = reader.next()? {
            all.extend(piece);
        }
        Ok(all)
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let folder = Folder::new();
        let (backup, key) = (random::id(1), SecretKey::random());
        for (name, length) in [("none", 0), ("one", 10), ("edge", CHUNK), ("many", 2 * CHUNK + 7)] {
            let plain: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut writer = SealedWriter::create(&folder.0, backup, name, &key).unwrap();
            plain.chunks(70_001).for_each(|it| writer.write(it).unwrap());
            let (bytes, hash) = writer.finish().unwrap();
            assert_eq!(bytes, fs::metadata(folder.0.join(name)).unwrap().len());
            assert_eq!(hash, hash_of(&folder.0.join(name)).unwrap());
            assert_eq!(read(&folder.0, backup, name, &key).unwrap(), plain, "{name}");
            assert!(read(&folder.0, random::id(2), name, &key).is_err());
            assert!(read(&folder.0, backup, name, &SecretKey::random()).is_err());
        }
        let whole = fs::read(folder.0.join("many")).unwrap();
        fs::write(folder.0.join("other"), &whole).unwrap();
        assert!(read(&folder.0, backup, "other", &key).is_err(), "a file has its name");
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(folder.0.join("many"), &whole[..length]).unwrap();
            assert!(read(&folder.0, backup, "many", &key).is_err(), "cut to {length}");
        }
        let first = 4 + usize::try_from(u32::from_be_bytes(whole[..4].try_into().unwrap())).unwrap();
        let repeated = [&whole[..first], &whole[..first], &whole[first..]].concat();
        for wrong in [repeated, whole[..first].to_vec(), [whole.as_slice(), b"x"].concat(), vec![255; 40]] {
            fs::write(folder.0.join("many"), &wrong).unwrap();
            assert!(read(&folder.0, backup, "many", &key).is_err());
        }
    }
}

//! What the server acknowledged: a line for each request, so that a load can be taken up again.
//!
//! A line is a hash: files are often named after the person whose record they hold.

use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::Mutex;

/// The journal of one load.
pub struct Journal {
    earlier: HashSet<String>,
    file: Option<Mutex<File>>,
}

impl Journal {
    /// Forgets everything.
    #[must_use]
    pub fn none() -> Journal {
        Journal { earlier: HashSet::new(), file: None }
    }

    /// Takes up the journal in that file, or begins it.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path) -> io::Result<Journal> {
        let mut earlier = HashSet::new();
        let mut ends_whole = true;
        if let Ok(file) = File::open(path) {
            let mut reader = BufReader::new(file);
            let mut line = String::new();
            while reader.read_line(&mut line)? > 0 {
                // The last line may have been cut short: it counts for nothing.
                ends_whole = line.ends_with('\n');
                if ends_whole {
                    earlier.insert(line.trim_end_matches('\n').to_owned());
                }
                line.clear();
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !ends_whole {
            file.write_all(b"\n")?;
        }
        Ok(Journal { earlier, file: Some(Mutex::new(file)) })
    }

    /// Whether that parcel was acknowledged at an earlier time.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        self.earlier.contains(&line_of(key))
    }

    /// Notes that a parcel was acknowledged.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&self, key: &str) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.lock().map_err(|_| io::Error::other("the journal was left half written"))?;
        file.write_all(format!("{}\n", line_of(key)).as_bytes())
    }
}

/// What stands in the journal for a parcel.
fn line_of(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_known_the_next_time() {
        let path = std::env::temp_dir().join(format!("vesta-journal-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let journal = Journal::open(&path).unwrap();
        journal.record("a").unwrap();
        assert!(!journal.holds("a"), "only what was there at the start is skipped");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"cut sho").unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.holds("a") && !journal.holds("cut sho"));
        journal.record("b").unwrap();
        assert!(Journal::open(&path).unwrap().holds("b"));
        std::fs::remove_file(path).unwrap();
    }
}

//! zstd with a trained dictionary, and one context per thread that is made once.
//!
//! The dictionary is trained on synthetic resources that ship with the project (see
//! `store/dictionary/README.md`), never on stored data: a dictionary holds plaintext. One that was
//! ever written with is kept for ever; a new one gets the next number.
//!
//! # Decision 2026-11-23
//! Thread-local contexts, because preparing one costs more than a hundred bodies, and contexts cannot
//! be shared between threads.

use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};

/// The dictionary that is written with.
pub(super) const NEWEST: u8 = 1;

/// Measured over synthetic patients: level 1 is 2 % larger and saves no time on texts this short.
const LEVEL: i32 = 3;

/// What every zstd frame begins with; it is not stored.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

const DICTIONARIES: [(u8, &[u8]); 1] = [(NEWEST, include_bytes!("../dictionary/1.zdict"))];

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor());
    static DECOMPRESSORS: RefCell<Vec<(u8, Decompressor<'static>)>> = RefCell::new(decompressors());
}

/// Compresses with the newest dictionary.
pub(super) fn compress(plain: &[u8]) -> Option<Vec<u8>> {
    let mut frame = COMPRESSOR.with_borrow_mut(|it| it.as_mut()?.compress(plain).ok())?;
    if !frame.starts_with(&MAGIC) {
        return None;
    }
    frame.drain(..MAGIC.len());
    Some(frame)
}

/// Decompresses what was compressed with that dictionary.
pub(super) fn decompress(dictionary: u8, stored: &[u8]) -> Option<Vec<u8>> {
    let mut frame = smallvec::SmallVec::<[u8; 1024]>::from_slice(&MAGIC);
    frame.extend_from_slice(stored);
    let length = zstd::zstd_safe::get_frame_content_size(&frame).ok()??;
    let length = usize::try_from(length).ok().filter(|length| *length <= super::LONGEST)?;
    DECOMPRESSORS.with_borrow_mut(|all| {
        let (_, decompressor) = all.iter_mut().find(|(number, _)| *number == dictionary)?;
        decompressor.decompress(&frame, length).ok()
    })
}

fn compressor() -> Option<Compressor<'static>> {
    let (_, dictionary) = DICTIONARIES.iter().find(|(number, _)| *number == NEWEST)?;
    let mut compressor = Compressor::with_dictionary(LEVEL, dictionary).ok()?;
    // The number of the dictionary stands in the container, and the seal is the better checksum.
    compressor.include_dictid(false).ok()?;
    compressor.include_checksum(false).ok()?;
    Some(compressor)
}

fn decompressors() -> Vec<(u8, Decompressor<'static>)> {
    let prepared = DICTIONARIES
        .iter()
        .filter_map(|(number, dictionary)| Some((*number, Decompressor::with_dictionary(dictionary).ok()?)));
    prepared.collect()
}

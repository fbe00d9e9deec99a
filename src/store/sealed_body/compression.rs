//! zstd with trained dictionaries: one for each common type, one for all others.
//!
//! The dictionaries are trained on synthetic resources that ship with the project (see
//! `store/dictionary/README.md`), never on stored data: a dictionary holds plaintext. One that was
//! ever written with is kept for ever; a new one gets the next number.
//!
//! # Decision 2026-11-23
//! Thread-local contexts, because preparing one costs more than a hundred bodies, and contexts cannot
//! be shared between threads. What is prepared from a dictionary can be, and is.

use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// The dictionary of every type that has none of its own.
pub(super) const GENERAL: u8 = 1;

/// Measured over synthetic patients: level 1 is 2 % larger and saves no time on texts this short.
const LEVEL: i32 = 3;

/// What every zstd frame begins with; it is not stored.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Number, the type that it is written for, the dictionary.
const DICTIONARIES: [(u8, &str, &[u8]); 13] = [
    (GENERAL, "", include_bytes!("../dictionary/1.zdict")),
    (2, "Observation", include_bytes!("../dictionary/2-observation.zdict")),
    (3, "Encounter", include_bytes!("../dictionary/3-encounter.zdict")),
    (4, "Condition", include_bytes!("../dictionary/4-condition.zdict")),
    (5, "MedicationRequest", include_bytes!("../dictionary/5-medication-request.zdict")),
    (6, "Procedure", include_bytes!("../dictionary/6-procedure.zdict")),
    (7, "Immunization", include_bytes!("../dictionary/7-immunization.zdict")),
    (8, "Patient", include_bytes!("../dictionary/8-patient.zdict")),
    (9, "DocumentReference", include_bytes!("../dictionary/9-document-reference.zdict")),
    (10, "CareTeam", include_bytes!("../dictionary/10-care-team.zdict")),
    (11, "MedicationDispense", include_bytes!("../dictionary/11-medication-dispense.zdict")),
    (12, "ServiceRequest", include_bytes!("../dictionary/12-service-request.zdict")),
    (13, "Specimen", include_bytes!("../dictionary/13-specimen.zdict")),
];

static ENCODERS: LazyLock<Vec<(u8, EncoderDictionary<'static>)>> = LazyLock::new(|| {
    DICTIONARIES.iter().map(|(number, _, bytes)| (*number, EncoderDictionary::copy(bytes, LEVEL))).collect()
});

static DECODERS: LazyLock<Vec<(u8, DecoderDictionary<'static>)>> = LazyLock::new(|| {
    DICTIONARIES.iter().map(|(number, _, bytes)| (*number, DecoderDictionary::copy(bytes))).collect()
});

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = RefCell::new(Decompressor::new().ok());
}

/// The number of the dictionary that a type is written with.
pub(super) fn dictionary_of(resource_type: &str) -> u8 {
    let own = DICTIONARIES.iter().rfind(|(_, of, _)| *of == resource_type);
    own.map_or(GENERAL, |(number, _, _)| *number)
}

/// Compresses with that dictionary.
pub(super) fn compress(dictionary: u8, plain: &[u8]) -> Option<Vec<u8>> {
    let (_, prepared) = ENCODERS.iter().find(|(number, _)| *number == dictionary)?;
    let mut frame = COMPRESSOR.with_borrow_mut(|it| {
        let compressor = it.as_mut()?;
        compressor.set_prepared_dictionary(prepared).ok()?;
        compressor.compress(plain).ok()
    })?;
    if !frame.starts_with(&MAGIC) {
        return None;
    }
    frame.drain(..MAGIC.len());
    Some(frame)
}

/// Decompresses what was compressed with that dictionary.
pub(super) fn decompress(dictionary: u8, stored: &[u8]) -> Option<Vec<u8>> {
    let (_, prepared) = DECODERS.iter().find(|(number, _)| *number == dictionary)?;
    let mut frame = smallvec::SmallVec::<[u8; 1024]>::from_slice(&MAGIC);
    frame.extend_from_slice(stored);
    let length = zstd::zstd_safe::get_frame_content_size(&frame).ok()??;
    let length = usize::try_from(length).ok().filter(|length| *length <= super::LONGEST)?;
    DECOMPRESSOR.with_borrow_mut(|it| {
        let decompressor = it.as_mut()?;
        decompressor.set_prepared_dictionary(prepared).ok()?;
        decompressor.decompress(&frame, length).ok()
    })
}

fn compressor() -> Option<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL).ok()?;
    // The number of the dictionary stands in the container, and the seal is the better checksum.
    compressor.include_dictid(false).ok()?;
    compressor.include_checksum(false).ok()?;
    Some(compressor)
}

//! The body of a resource as it is stored: a small container, compressed and sealed.
//!
//! ```text
//! format ‖ dictionary ‖ length ‖ skeleton, compressed
//!   and, where something is sealed:
//! subject ‖ epoch ‖ section … : class ‖ length ‖ sealed (flag ‖ subtrees, compressed)
//! ```
//! The *skeleton* is the client's JSON with a hole where each sealed subtree stood: a byte that JSON
//! text never holds, and the class. A *section* holds the subtrees of one class, each counted, in the
//! order of their holes. Putting them back is copying bytes: no JSON is parsed, and every byte is as
//! the client sent it. What a principal may not see is not even decrypted.
//!
//! The seal of a section is bound to tenant, type, id, version, class and the hash of the whole
//! skeleton, so it opens in no other place, version or patient, and not when the clear part of the
//! resource was changed either.
//!
//! # Decision 2026-11-23
//! The associated data holds the hash of the skeleton instead of a list of paths: it says where every
//! hole stands and protects the clear text besides, for less than a microsecond.
//! Sections are compressed before they are sealed. Lengths leak a little of what is in them; nobody
//! who could mix text of their own into another's section gets to see its stored length.

mod compression;
mod withheld;

use crate::crypto::key_ring::SubjectKey;
use crate::crypto::seal::{self, BrokenSeal};
use crate::fhir::seal_class::{SealClass, SealClasses, SealedSpan};
use sha2::{Digest, Sha256};
use std::ops::Range;
use zeroize::Zeroizing;

/// Where a body belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The tenant.
    pub tenant: i32,
    /// The type of the resource.
    pub resource_type: &'a str,
    /// Its logical id.
    pub id: &'a str,
    /// Its version.
    pub version: i32,
}

/// The name of the key that a body is sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    /// Whose key.
    pub subject: i64,
    /// Which of them.
    pub epoch: u16,
}

/// A resource taken out of its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsealed {
    /// The JSON text.
    pub text: String,
    /// Something was left out, because its class may not be seen.
    pub is_partial: bool,
}

/// Why a body cannot be made or taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The spans to seal overlap, are out of order, or cut a character.
    #[error("what is to be sealed does not stand in the text")]
    Spans,
    /// The container is damaged.
    #[error("a stored body is malformed")]
    Malformed,
    /// A section was changed or moved.
    #[error(transparent)]
    Broken(#[from] BrokenSeal),
    /// The key was not given: it was destroyed, or is not here.
    #[error("the key of a stored body is not there")]
    NoKey,
}

/// The format that is written.
const FORMAT: u8 = 1;
/// Opens a hole. JSON text never holds this byte: control characters stand escaped in it.
const HOLE: u8 = 1;
/// Before the class in a hole, so that the pair is text too.
const CLASS_BASE: u8 = b'A';
/// Shorter sections are not worth compressing.
const WORTH_COMPRESSING: usize = 64;
/// No resource is longer: what a damaged container may ask for.
const LONGEST: usize = 256 << 20;

const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;

/// Makes the body of a resource: `sealed` says what of the text is sealed, disjoint and in order.
///
/// # Errors
/// The spans do not fit the text.
pub fn encode(
    place: &Place<'_>,
    text: &str,
    sealed: &[SealedSpan],
    key: &SubjectKey,
) -> Result<Vec<u8>, BodyError> {
    let Parts { skeleton, sections } = take_apart(text, sealed)?;
    let mut body = Vec::with_capacity(text.len() / 2 + 64);
    let dictionary = compression::dictionary_of(place.resource_type);
    body.extend([FORMAT, dictionary]);
    let frame = compression::compress(dictionary, &skeleton).ok_or(BodyError::Malformed)?;
    push_length(&mut body, frame.len());
    body.extend_from_slice(&frame);
    if sealed.is_empty() {
        return Ok(body);
    }
    body.extend(key.subject().to_be_bytes());
    body.extend(key.epoch().to_be_bytes());
    let skeleton_hash = Sha256::digest(&skeleton).into();
    for (class, subtrees) in SealClass::ALL.into_iter().zip(sections) {
        if subtrees.is_empty() {
            continue;
        }
        let aad = associated_data(place, class, &skeleton_hash);
        let plain = pack(dictionary, &subtrees);
        body.push(class.code());
        push_length(&mut body, plain.len() + seal::OVERHEAD);
        seal::seal_onto(&key.section_key(class.name()), &aad, &plain, &mut body);
    }
    Ok(body)
}

/// What of a resource is compressed, each on its own: the skeleton, and what each class seals. For
/// training dictionaries with made-up resources.
///
/// # Errors
/// The spans do not fit the text.
pub fn compressed_parts(text: &str, sealed: &[SealedSpan]) -> Result<Vec<Vec<u8>>, BodyError> {
    let Parts { skeleton, sections } = take_apart(text, sealed)?;
    let sections = sections.iter().filter(|it| it.len() >= WORTH_COMPRESSING).map(|it| it.to_vec());
    Ok(std::iter::once(skeleton).chain(sections).collect())
}

/// How long a part is with the dictionary for everything, and with that of the type.
#[must_use]
pub fn lengths(resource_type: &str, part: &[u8]) -> [usize; 2] {
    [compression::GENERAL, compression::dictionary_of(resource_type)]
        .map(|dictionary| compression::compress(dictionary, part).map_or(part.len(), |it| it.len()))
}

/// The key that the body is sealed with; none if nothing in it is sealed.
///
/// # Errors
/// The container is damaged.
pub fn key_name(body: &[u8]) -> Result<Option<KeyName>, BodyError> {
    Ok(Container::read(body)?.key)
}

/// The text of a resource as anybody can read it who has the container and no key: `null` stands for what is sealed.
///
/// # Errors
/// The container is damaged.
pub fn skeleton(body: &[u8]) -> Result<String, BodyError> {
    let container = Container::read(body)?;
    let skeleton =
        compression::decompress(container.dictionary, container.frame).ok_or(BodyError::Malformed)?;
    put_together(&skeleton, &Default::default(), SealClasses::NONE).map(|(text, _)| text)
}

/// Takes a resource out of its container, with the classes that may be seen.
///
/// # Errors
/// The container is damaged or belongs elsewhere, or the key is not there.
pub fn decode(
    place: &Place<'_>,
    body: &[u8],
    key: Option<&SubjectKey>,
    classes: SealClasses,
) -> Result<Unsealed, BodyError> {
    let container = Container::read(body)?;
    let skeleton =
        compression::decompress(container.dictionary, container.frame).ok_or(BodyError::Malformed)?;
    let Some(name) = container.key else {
        if memchr::memchr(HOLE, &skeleton).is_some() {
            return Err(BodyError::Malformed);
        }
        let text = String::from_utf8(skeleton).map_err(|_| BodyError::Malformed)?;
        return Ok(Unsealed { text, is_partial: false });
    };
    let skeleton_hash = Sha256::digest(&skeleton).into();
    let mut sections: [Option<Zeroizing<Vec<u8>>>; 8] = Default::default();
    let mut rest = container.sections;
    while let Some((&code, after)) = rest.split_first() {
        let (sealed, after) = take_counted(after)?;
        rest = after;
        let class = SealClass::from_code(code).ok_or(BodyError::Malformed)?;
        if !classes.contains(class) {
            continue;
        }
        let key = key.filter(|key| (key.subject(), key.epoch()) == (name.subject, name.epoch));
        let section_key = key.ok_or(BodyError::NoKey)?.section_key(class.name());
        let plain = seal::open(&section_key, &associated_data(place, class, &skeleton_hash), sealed)?;
        if let Some(slot) = sections.get_mut(usize::from(code)) {
            *slot = Some(unpack(container.dictionary, plain)?);
        }
    }
    let (text, withheld) = put_together(&skeleton, &sections, classes)?;
    let is_partial = !withheld.is_empty();
    let text = if is_partial { withheld::leave_out(place, text, &withheld)? } else { text };
    Ok(Unsealed { text, is_partial })
}

/// The same body under another key; nothing but its seals is touched. None if nothing in it is sealed.
///
/// # Errors
/// The container is damaged or belongs elsewhere, or it is not sealed with the first key.
pub fn reseal(
    place: &Place<'_>,
    body: &[u8],
    from: &SubjectKey,
    to: &SubjectKey,
) -> Result<Option<Vec<u8>>, BodyError> {
    let container = Container::read(body)?;
    let Some(name) = container.key else { return Ok(None) };
    if (from.subject(), from.epoch()) != (name.subject, name.epoch) {
        return Err(BodyError::NoKey);
    }
    let skeleton =
        compression::decompress(container.dictionary, container.frame).ok_or(BodyError::Malformed)?;
    let skeleton_hash = Sha256::digest(&skeleton).into();
    let mut resealed = Vec::with_capacity(body.len());
    resealed.extend([FORMAT, container.dictionary]);
    push_length(&mut resealed, container.frame.len());
    resealed.extend_from_slice(container.frame);
    resealed.extend(to.subject().to_be_bytes());
    resealed.extend(to.epoch().to_be_bytes());
    let mut rest = container.sections;
    while let Some((&code, after)) = rest.split_first() {
        let (sealed, after) = take_counted(after)?;
        rest = after;
        let class = SealClass::from_code(code).ok_or(BodyError::Malformed)?;
        let aad = associated_data(place, class, &skeleton_hash);
        let plain = seal::open(&from.section_key(class.name()), &aad, sealed)?;
        resealed.push(code);
        push_length(&mut resealed, plain.len() + seal::OVERHEAD);
        seal::seal_onto(&to.section_key(class.name()), &aad, &plain, &mut resealed);
    }
    Ok(Some(resealed))
}

struct Parts {
    skeleton: Vec<u8>,
    /// By class: its subtrees, each counted.
    sections: [Zeroizing<Vec<u8>>; 8],
}

fn take_apart(text: &str, sealed: &[SealedSpan]) -> Result<Parts, BodyError> {
    if text.len() > LONGEST || memchr::memchr(HOLE, text.as_bytes()).is_some() {
        return Err(BodyError::Spans);
    }
    let mut parts = Parts { skeleton: Vec::with_capacity(text.len()), sections: Default::default() };
    let mut copied = 0;
    for SealedSpan { span, class } in sealed {
        let before = text.get(copied..span.start).ok_or(BodyError::Spans)?;
        let subtree = text.get(span.clone()).filter(|it| !it.is_empty()).ok_or(BodyError::Spans)?;
        parts.skeleton.extend_from_slice(before.as_bytes());
        parts.skeleton.extend([HOLE, CLASS_BASE + class.code()]);
        let section = parts.sections.get_mut(usize::from(class.code())).ok_or(BodyError::Spans)?;
        push_length(section, subtree.len());
        section.extend_from_slice(subtree.as_bytes());
        copied = span.end;
    }
    parts.skeleton.extend_from_slice(text.get(copied..).unwrap_or_default().as_bytes());
    Ok(parts)
}

/// Fills the holes. Says where a `null` stands for a subtree that may not be seen.
fn put_together(
    skeleton: &[u8],
    sections: &[Option<Zeroizing<Vec<u8>>>; 8],
    classes: SealClasses,
) -> Result<(String, Vec<usize>), BodyError> {
    let grown: usize = sections.iter().flatten().map(|section| section.len()).sum();
    let mut out = Vec::with_capacity(skeleton.len() + grown);
    let mut withheld = Vec::new();
    let mut left: [&[u8]; 8] = sections.each_ref().map(|section| section.as_ref().map_or(&[][..], |it| it));
    let mut rest = skeleton;
    while let Some(at) = memchr::memchr(HOLE, rest) {
        let (before, hole) = rest.split_at(at);
        out.extend_from_slice(before);
        let [_, letter, after @ ..] = hole else { return Err(BodyError::Malformed) };
        let code = letter.checked_sub(CLASS_BASE).ok_or(BodyError::Malformed)?;
        let class = SealClass::from_code(code).ok_or(BodyError::Malformed)?;
        if classes.contains(class) {
            let section = left.get_mut(usize::from(code)).ok_or(BodyError::Malformed)?;
            let (subtree, others) = take_counted(section)?;
            out.extend_from_slice(subtree);
            *section = others;
        } else {
            withheld.push(out.len());
            out.extend_from_slice(b"null");
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    if left.iter().any(|section| !section.is_empty()) {
        return Err(BodyError::Malformed);
    }
    Ok((String::from_utf8(out).map_err(|_| BodyError::Malformed)?, withheld))
}

fn pack(dictionary: u8, subtrees: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(subtrees.len() + 1));
    let compressed = match subtrees.len() {
        0..WORTH_COMPRESSING => None,
        _ => compression::compress(dictionary, subtrees),
    };
    match compressed.filter(|it| it.len() < subtrees.len()) {
        Some(compressed) => {
            plain.push(COMPRESSED);
            plain.extend_from_slice(&compressed);
        }
        None => {
            plain.push(PLAIN);
            plain.extend_from_slice(subtrees);
        }
    }
    plain
}

fn unpack(dictionary: u8, mut plain: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    match plain.split_first() {
        Some((&COMPRESSED, frame)) => {
            compression::decompress(dictionary, frame).map(Zeroizing::new).ok_or(BodyError::Malformed)
        }
        Some((&PLAIN, _)) => {
            plain.remove(0);
            Ok(plain)
        }
        _ => Err(BodyError::Malformed),
    }
}

/// The container, taken apart but not opened.
struct Container<'a> {
    dictionary: u8,
    frame: &'a [u8],
    key: Option<KeyName>,
    sections: &'a [u8],
}

impl<'a> Container<'a> {
    fn read(body: &'a [u8]) -> Result<Container<'a>, BodyError> {
        let [FORMAT, dictionary, rest @ ..] = body else { return Err(BodyError::Malformed) };
        let (frame, rest) = take_counted(rest)?;
        if rest.is_empty() {
            return Ok(Container { dictionary: *dictionary, frame, key: None, sections: rest });
        }
        let (subject, rest) = rest.split_first_chunk::<8>().ok_or(BodyError::Malformed)?;
        let (epoch, sections) = rest.split_first_chunk::<2>().ok_or(BodyError::Malformed)?;
        let key = KeyName { subject: i64::from_be_bytes(*subject), epoch: u16::from_be_bytes(*epoch) };
        Ok(Container { dictionary: *dictionary, frame, key: Some(key), sections })
    }
}

fn associated_data(
    place: &Place<'_>,
    class: SealClass,
    skeleton_hash: &[u8; 32],
) -> smallvec::SmallVec<[u8; 256]> {
    let mut aad = smallvec::SmallVec::new();
    aad.extend_from_slice(b"vesta body 1");
    aad.extend_from_slice(&place.tenant.to_be_bytes());
    for name in [place.resource_type, place.id] {
        aad.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes());
        aad.extend_from_slice(name.as_bytes());
    }
    aad.extend_from_slice(&place.version.to_be_bytes());
    aad.push(class.code());
    aad.extend_from_slice(skeleton_hash);
    aad
}

/// Adds a length: seven bits a byte, the lowest first, the high bit says that more follow.
fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while let Ok(low) = u8::try_from(length & 0x7f) {
        length >>= 7;
        out.push(if length == 0 { low } else { low | 0x80 });
        if length == 0 {
            return;
        }
    }
}

/// Takes a length and as many bytes as it says.
fn take_counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), BodyError> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..).ok_or(BodyError::Malformed)?;
            return rest.split_at_checked(length).ok_or(BodyError::Malformed);
        }
    }
    Err(BodyError::Malformed)
}

/// Where a range of bytes is cut out.
type Cut = Range<usize>;

#[cfg(test)]
mod tests;

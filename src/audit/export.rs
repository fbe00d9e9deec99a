//! The trail in a file, to be checked anywhere and without us: one JSON object per line.
//!
//! * first `{"vestaTrail":1,"tenant":1,"exported":…}`: the rule of the hash, whose trail, and when it was read,
//!   in microseconds since 1970;
//! * then every event in the order of the chain, `{"place":1,"id":…,"hash":"…","row":"…"}`: `row` is base64 of
//!   the bytes that are hashed (what is sealed in them stays sealed), `hash` is hexadecimal;
//! * then what stands in the trail but in no link, `{"inserted":id}`;
//! * then the checkpoints, `{"count":…,"head":"…","signed":…,"key":"…","signature":"…"}`;
//! * then the months that are in archives of their own, `{"month":"2020_01",…}`;
//! * last `{"events":…,"checkpoints":…}`: a file without this line was cut off.
//!
//! The file of an archived month is the same, for a part of the chain: the statement about the month stands in its
//! first line, as `archive`.
//!
//! Anybody can check it with SHA-256 and Ed25519: the hash of an event is that over the byte 1, the 32 bytes of
//! the hash before (zeros at first) and the row.

use crate::audit::checkpoint::{hex, is_genuine_archive};
use crate::audit::live;
use crate::audit::verify::{Check, Fault, Report};
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::id::TenantId;
use crate::store::Store;
use crate::store::audit_archive::Archive;
use crate::store::audit_chain::{ChainedEvent, Checkpoint, Hash, Head, Link};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read as _, Write};
use std::ops::RangeInclusive;

/// A line may be as long: an event names every resource that a page returned.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;
/// As many events are checked together, for want of links.
const TOGETHER: usize = 5_000;

#[derive(Serialize, Deserialize)]
struct Opening {
    #[serde(rename = "vestaTrail")]
    version: u8,
    tenant: i32,
    exported: i64,
    /// The file is the archive of a month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<Archived>,
}

/// What was archived, signed.
#[derive(Serialize, Deserialize)]
struct Archived {
    month: String,
    low: i64,
    high: i64,
    first: i64,
    last: i64,
    before: String,
    head: String,
    archived: i64,
    key: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
struct Inserted {
    inserted: i64,
}

#[derive(Serialize, Deserialize)]
struct Event {
    place: i64,
    id: i64,
    hash: String,
    /// Nothing if the event was missing when the file was made.
    row: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    count: i64,
    head: String,
    signed: i64,
    key: String,
    signature: String,
}

#[derive(Serialize, Deserialize)]
struct Closing {
    events: i64,
    checkpoints: usize,
    /// How many events waited for the chain.
    #[serde(default)]
    waiting: i64,
}

/// Writes the trail of a tenant as far as it is chained, and says how many events that were.
///
/// # Errors
/// The database fails, or the file cannot be written.
pub async fn export(store: &Store, tenant: TenantId, now: i64, out: &mut impl Write) -> io::Result<i64> {
    let checkpoints = store.checkpoints(tenant).await.map_err(io::Error::other)?;
    let archives = store.audit_archives(tenant).await.map_err(io::Error::other)?;
    write(out, &Opening { version: 1, tenant: tenant.0, exported: now, archive: None })?;
    // What is in no link is found by the check; what else is wrong, whoever checks the file finds.
    let mut check = Check::new(tenant, &[], Vec::new());
    let mut written = Ok(0);
    let walked = live::walk(store, tenant, &mut check, |link| {
        if let Ok(events) = &mut written {
            match write_events(out, link, 1..=i64::MAX) {
                Ok(more) => *events += more,
                Err(error) => written = Err(error),
            }
        }
    });
    walked.await.map_err(io::Error::other)?;
    let events = written?;
    for id in &check.report().inserted {
        write(out, &Inserted { inserted: *id })?;
    }
    for checkpoint in &checkpoints {
        write(out, &Signed::of(checkpoint))?;
    }
    for archive in &archives {
        write(out, &Archived::of(archive))?;
    }
    let waiting = check.report().waiting;
    write(out, &Closing { events, checkpoints: checkpoints.len(), waiting })?;
    out.flush()?;
    Ok(events)
}

/// Writes the part of the chain that an archive is about, with the checkpoints that cover it.
///
/// # Errors
/// The database fails, or the file cannot be written.
pub async fn write_archive(
    store: &Store,
    tenant: TenantId,
    archive: &Archive,
    out: &mut impl Write,
) -> io::Result<i64> {
    let (first, last) = (archive.first, archive.last);
    let mut checkpoints = store.checkpoints(tenant).await.map_err(io::Error::other)?;
    checkpoints.retain(|it| (first..=last).contains(&it.head.count));
    let (exported, statement) = (archive.archived, Some(Archived::of(archive)));
    write(out, &Opening { version: 1, tenant: tenant.0, exported, archive: statement })?;
    let mut events = 0;
    let mut after = store.link_before(tenant, first).await.map_err(io::Error::other)?;
    'all: loop {
        let links = store.chain_links(tenant, after).await.map_err(io::Error::other)?;
        let Some(end) = links.last() else { break };
        after = end.first;
        for link in &links {
            if link.first > last {
                break 'all;
            }
            events += write_events(out, link, first..=last)?;
        }
    }
    for checkpoint in &checkpoints {
        write(out, &Signed::of(checkpoint))?;
    }
    write(out, &Closing { events, checkpoints: checkpoints.len(), waiting: 0 })?;
    out.flush()?;
    Ok(events)
}

/// A checkpoint as a line: what `vesta audit verify --witness` reads.
#[must_use]
pub fn checkpoint_line(checkpoint: &Checkpoint) -> String {
    serde_json::to_string(&Signed::of(checkpoint)).unwrap_or_default()
}

fn write_events(out: &mut impl Write, link: &Link, places: RangeInclusive<i64>) -> io::Result<i64> {
    let mut events = 0;
    for (place, event) in (link.first..).zip(&link.events).filter(|(place, _)| places.contains(place)) {
        let row = event.canonical.as_ref().map(|row| STANDARD.encode(row));
        write(out, &Event { place, id: event.id, hash: hex(&event.hash), row })?;
        events += 1;
    }
    Ok(events)
}

/// Checks a file that [`export`] made, also against witnesses. The checkpoints stand at its end, so it is read
/// twice.
///
/// # Errors
/// The file cannot be read. What is wrong in it is in the report.
pub fn verify<R: BufRead>(
    mut open: impl FnMut() -> io::Result<R>,
    keys: &[CheckpointPublicKey],
    witnesses: Vec<Checkpoint>,
) -> io::Result<Report> {
    let mut lines = Lines::new(open()?);
    let opening = lines.next_as::<Opening>()?.filter(|it| it.version == 1);
    let Signs { mut checkpoints, archives } = signs(open()?)?;
    checkpoints.extend(witnesses);
    let tenant = TenantId(opening.as_ref().map_or(0, |it| it.tenant));
    let mut check = Check::new(tenant, keys, checkpoints);
    let Some(opening) = opening else {
        check.find(Fault::Unreadable { line: 1 });
        return Ok(check.end(i64::MIN));
    };
    check.archives(tenant, keys, &archives);
    let archive = opening.archive.map(Archive::from);
    if let Some(archive) = &archive {
        if !is_genuine_archive(keys, tenant, archive) {
            check.find(Fault::ForgedArchive { month: archive.month.clone() });
        }
        check.begin(archive);
    }
    let mut link = Link { first: archive.as_ref().map_or(1, |it| it.first), events: Vec::new() };
    let mut counted = Closing { events: 0, checkpoints: 0, waiting: 0 };
    let mut is_closed = false;
    let mut strangers = Vec::new();
    while let Some(text) = lines.next()? {
        if let Some((place, event)) = serde_json::from_str::<Event>(text).ok().and_then(chained) {
            counted.events += 1;
            let is_next = place == link.first + i64::try_from(link.events.len()).unwrap_or(i64::MAX);
            if !is_next || link.events.len() >= TOGETHER {
                give(&mut check, &mut link, place);
            }
            link.events.push(event);
        } else if serde_json::from_str::<Signed>(text).is_ok() {
            counted.checkpoints += 1;
        } else if let Ok(Inserted { inserted }) = serde_json::from_str(text) {
            strangers.push(inserted);
        } else if serde_json::from_str::<Archived>(text).is_ok() {
            // Read before the events.
        } else if let Ok(closing) = serde_json::from_str::<Closing>(text) {
            is_closed = closing.events == counted.events && closing.checkpoints == counted.checkpoints;
            check.wait(closing.waiting);
        } else {
            check.find(Fault::Unreadable { line: lines.number });
        }
    }
    give(&mut check, &mut link, 0);
    strangers.into_iter().for_each(|id| check.insert(id));
    if !is_closed {
        check.find(Fault::Unreadable { line: lines.number + 1 });
    }
    if let Some(archive) = archive {
        let expected = Head { count: archive.last, hash: archive.head };
        let found = check.report().head;
        if found != expected {
            check.find(Fault::Incomplete { expected: expected.count, found: found.count });
        }
    }
    Ok(check.end(opening.exported))
}

/// The checkpoints in a file: an export, or lines that were kept elsewhere. Other lines are passed over.
///
/// # Errors
/// The file cannot be read.
pub fn checkpoints(file: impl BufRead) -> io::Result<Vec<Checkpoint>> {
    Ok(signs(file)?.checkpoints)
}

/// What is signed in a file.
#[derive(Default)]
struct Signs {
    checkpoints: Vec<Checkpoint>,
    archives: Vec<Archive>,
}

fn signs(file: impl BufRead) -> io::Result<Signs> {
    let mut lines = Lines::new(file);
    let mut found = Signs::default();
    while let Some(text) = lines.next()? {
        // A line of an event is longer than any checkpoint.
        if text.len() >= 1000 {
            continue;
        }
        if let Ok(signed) = serde_json::from_str::<Signed>(text) {
            found.checkpoints.push(signed.into());
        } else if let Ok(archived) = serde_json::from_str::<Archived>(text) {
            found.archives.push(archived.into());
        }
    }
    Ok(found)
}

impl Signed {
    fn of(checkpoint: &Checkpoint) -> Signed {
        let Checkpoint { head, signed, key_id, signature } = checkpoint;
        Signed {
            count: head.count,
            head: hex(&head.hash),
            signed: *signed,
            key: key_id.clone(),
            signature: hex(signature),
        }
    }
}

impl From<Signed> for Checkpoint {
    fn from(signed: Signed) -> Checkpoint {
        Checkpoint {
            head: Head { count: signed.count, hash: hash_of(&signed.head) },
            signed: signed.signed,
            key_id: signed.key,
            signature: unhex(&signed.signature).unwrap_or_default(),
        }
    }
}

impl Archived {
    fn of(archive: &Archive) -> Archived {
        let Archive { month, low, high, first, last, before, head, archived, key_id, signature } = archive;
        Archived {
            month: month.clone(),
            low: *low,
            high: *high,
            first: *first,
            last: *last,
            before: hex(before),
            head: hex(head),
            archived: *archived,
            key: key_id.clone(),
            signature: hex(signature),
        }
    }
}

impl From<Archived> for Archive {
    fn from(it: Archived) -> Archive {
        Archive {
            month: it.month,
            low: it.low,
            high: it.high,
            first: it.first,
            last: it.last,
            before: hash_of(&it.before),
            head: hash_of(&it.head),
            archived: it.archived,
            key_id: it.key,
            signature: unhex(&it.signature).unwrap_or_default(),
        }
    }
}

fn hash_of(text: &str) -> Hash {
    unhex(text).and_then(|it| it.try_into().ok()).unwrap_or_default()
}

/// Has what was gathered checked, and begins anew at a place.
fn give(check: &mut Check, link: &mut Link, next: i64) {
    if !link.events.is_empty() {
        check.link(link);
    }
    link.events.clear();
    link.first = next;
    // Nothing can be inserted into a file beside its chain.
    let (_, to) = check.rest();
    check.forget(to);
}

fn chained(event: Event) -> Option<(i64, ChainedEvent)> {
    let hash: Hash = unhex(&event.hash)?.try_into().ok()?;
    let canonical = match event.row {
        None => None,
        Some(row) => Some(STANDARD.decode(row).ok()?),
    };
    Some((event.place, ChainedEvent { id: event.id, canonical, hash }))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|it| it.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// The lines of a file, none longer than it may be.
struct Lines<R> {
    file: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(file: R) -> Lines<R> {
        Lines { file, line: Vec::new(), number: 0 }
    }

    /// The next line; an empty text for one that is none.
    fn next(&mut self) -> io::Result<Option<&str>> {
        self.line.clear();
        let length = self.file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        self.number += 1;
        Ok((length > 0).then(|| std::str::from_utf8(&self.line).unwrap_or_default()))
    }

    fn next_as<T: for<'de> Deserialize<'de>>(&mut self) -> io::Result<Option<T>> {
        Ok(self.next()?.and_then(|text| serde_json::from_str(text).ok()))
    }
}

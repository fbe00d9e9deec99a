//! Loading files into a running server: bundles and NDJSON, in parallel, with bounded memory.
//!
//! <https://hl7.org/fhir/R4/http.html#transaction>, <https://hl7.org/fhir/R4/http.html#update>
//!
//! Files are read in order ([`source`]) and cut into [`parcel`]s, each one request; as many parcels as
//! asked for are under way at once, and no more are read ahead. What the server acknowledged is written
//! to a [`journal`], so that a load that was stopped goes on where it was. What it refused is told with
//! the file, the place in it, and the server's own words.
//!
//! Only what may be asked twice is asked twice: a request that was lost on its way is repeated if it
//! puts, not if it posts.

pub mod answer;
pub mod journal;
pub mod parcel;
pub mod source;
pub mod wire;

use journal::Journal;
use parcel::Parcel;
use source::Source;
use std::sync::Arc;
use tokio::sync::mpsc;
use wire::Server;

/// Something happened.
#[derive(Debug)]
pub enum Event {
    /// So many bytes of the files were read.
    Read(u64),
    /// The server took so many resources.
    Acknowledged(u64),
    /// So many resources had been taken at an earlier time.
    Skipped(u64),
    /// A resource, or a request with all that was in it, was not taken.
    Refused(Refusal),
}

/// What was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stands: file, and line or entry.
    pub place: String,
    /// How many resources that concerns.
    pub resources: u64,
    /// The server's words, or ours where it was not sent.
    pub diagnostics: String,
    /// The elements that the server named.
    pub expression: Vec<String>,
}

/// How a load is done.
pub struct Options {
    /// How many requests are under way at once.
    pub parallel: usize,
    /// What was acknowledged before, and is to be written as it is.
    pub journal: Journal,
}

/// Loads the sources in their order, stage after stage; says through `tell` how it goes.
///
/// # Errors
/// The journal cannot be written, or the server cannot be reached at all.
pub async fn load(
    server: &Arc<Server>,
    sources: Vec<Source>,
    options: Options,
    tell: Arc<dyn Fn(Event) + Send + Sync>,
) -> std::io::Result<()> {
    let journal = Arc::new(options.journal);
    for stage in source::stages(sources) {
        let (sender, receiver) = mpsc::channel(options.parallel);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let reader = tokio::task::spawn_blocking({
            let (tell, journal) = (Arc::clone(&tell), Arc::clone(&journal));
            move || read(&stage, &journal, &sender, &*tell)
        });
        let workers: Vec<_> = (0..options.parallel.max(1))
            .map(|_| {
                let (server, receiver) = (Arc::clone(server), Arc::clone(&receiver));
                let (tell, journal) = (Arc::clone(&tell), Arc::clone(&journal));
                tokio::spawn(async move { work(&server, &receiver, &journal, &*tell).await })
            })
            .collect();
        let mut first_error = None;
        for worker in workers {
            let ended = worker.await.map_err(std::io::Error::other).flatten();
            first_error = first_error.or(ended.err());
        }
        // The reader ends when nobody listens any more.
        drop(receiver);
        reader.await.map_err(std::io::Error::other)?;
        if let Some(error) = first_error {
            return Err(error);
        }
    }
    Ok(())
}

/// Cuts the files of a stage into parcels, but for those that were acknowledged before.
fn read(
    stage: &[Source],
    journal: &Journal,
    sender: &mpsc::Sender<Parcel>,
    tell: &(dyn Fn(Event) + Send + Sync),
) {
    for source in stage {
        let read = parcel::cut(source, &mut |parcel| {
            tell(Event::Read(parcel.bytes_read));
            if journal.holds(&parcel.key) {
                tell(Event::Skipped(parcel.places.len() as u64));
                return true;
            }
            for refusal in &parcel.unsent {
                tell(Event::Refused(refusal.clone()));
            }
            parcel.places.is_empty() || sender.blocking_send(parcel).is_ok()
        });
        if let Err(error) = read {
            tell(Event::Refused(Refusal {
                place: source.path.display().to_string(),
                resources: 0,
                diagnostics: format!("cannot be read: {error}"),
                expression: Vec::new(),
            }));
        }
        if sender.is_closed() {
            return;
        }
    }
}

/// Sends parcels until there are no more.
async fn work(
    server: &Server,
    receiver: &tokio::sync::Mutex<mpsc::Receiver<Parcel>>,
    journal: &Journal,
    tell: &(dyn Fn(Event) + Send + Sync),
) -> std::io::Result<()> {
    loop {
        let next = receiver.lock().await.recv().await;
        let Some(parcel) = next else { return Ok(()) };
        let answer = server.post(&parcel).await?;
        let refusals = answer::refusals(&parcel, &answer);
        let refused: u64 = refusals.iter().map(|it| it.resources).sum();
        let all = parcel.places.len() as u64;
        if refusals.is_empty() && parcel.unsent.is_empty() {
            journal.record(&parcel.key)?;
        }
        tell(Event::Acknowledged(all.saturating_sub(refused)));
        for refusal in refusals {
            tell(Event::Refused(refusal));
        }
    }
}

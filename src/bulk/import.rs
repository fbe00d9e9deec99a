//! The worker of an import.
//!
//! It reads a source in stretches of whole lines and stores each stretch in batches, several at once. A stretch
//! that is stored is reported; one that was not is read again, and the lines in it that are stored already change
//! nothing.

use super::export::failure;
use crate::app::App;
use crate::fhir::outcome::{Issue, Outcome, to_json};
use crate::interaction::import::UPLOAD;
use crate::interaction::import::progress::{ErrorFile, ImportJob, Progress, Tally};
use crate::interaction::import::request::Place;
use crate::interaction::import::write::{self, Line, Written};
use crate::store::files::OpenFile;
use crate::store::jobs::{JobFailure, Lease};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// So many lines are one transaction.
const BATCH: usize = 200;
/// So many batches are under way at once.
const PARALLEL: usize = 4;
/// A stretch ends with the line that reaches so many bytes, or so many lines.
const STRETCH_BYTES: usize = 8 * 1024 * 1024;
const STRETCH_LINES: usize = 10_000;
/// So many bytes of a file are opened at once.
const PIECE: usize = 256 * 1024;
/// How long another server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stores the lines.
///
/// # Errors
/// It cannot go on now, or never.
pub async fn run(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let job: ImportJob = serde_json::from_slice(&lease.job.parameters)
        .map_err(|_| JobFailure::Never("the job cannot be read".to_owned()))?;
    let progress = Progress::read(&lease.job.progress);
    let job = Arc::new(job);
    let mut worker = Worker { app: Arc::clone(&app), lease: lease.clone(), job: Arc::clone(&job), progress };
    let imported = worker.run().await;
    if matches!(&imported, Ok(_) | Err(JobFailure::Never(_) | JobFailure::Lost)) {
        for upload in job.uploads.iter().filter_map(|it| Uuid::parse_str(it).ok()) {
            app.files.remove_all(lease.tenant, upload).await?;
        }
    }
    imported
}

struct Worker {
    app: Arc<App>,
    lease: Lease,
    job: Arc<ImportJob>,
    progress: Progress,
}

/// Bytes of a source as they come, and how many there will be.
struct Incoming {
    pieces: BoxStream<'static, Result<Bytes, JobFailure>>,
    size: Option<u64>,
}

impl Worker {
    async fn run(&mut self) -> Result<Vec<u8>, JobFailure> {
        while self.progress.source < self.job.request.sources.len() {
            self.source().await?;
            self.progress.source += 1;
            (self.progress.offset, self.progress.line) = (0, 0);
            self.report(&[], None).await?;
        }
        self.text()
    }

    /// The rest of the source that is next.
    async fn source(&mut self) -> Result<(), JobFailure> {
        let source = self.progress.source;
        while self.progress.tallies.len() <= source {
            self.progress.tallies.push(Tally::default());
        }
        let Incoming { mut pieces, size } = self.open().await?;
        let mut lines = Lines::new(self.progress.line, self.app.config.limits.body_bytes);
        let mut is_over = false;
        while !is_over {
            match pieces.try_next().await? {
                Some(piece) => lines.add(&piece),
                None => {
                    lines.end();
                    is_over = true;
                }
            }
            if lines.is_stretch() || is_over {
                let (stretch, bytes) = lines.take();
                self.stretch(stretch, (bytes, lines.number), size).await?;
            }
        }
        Ok(())
    }

    /// Stores lines, and reports what came of them.
    async fn stretch(
        &mut self,
        lines: Vec<Line>,
        (bytes, last): (u64, u64),
        size: Option<u64>,
    ) -> Result<(), JobFailure> {
        let source = self.progress.source;
        let mut batches = Vec::with_capacity(lines.len() / BATCH + 1);
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            batches.push(lines.by_ref().take(BATCH).collect::<Vec<_>>());
        }
        let (app, job, id) = (Arc::clone(&self.app), Arc::clone(&self.job), self.lease.job.id);
        let work = stream::iter(batches).map(move |batch| {
            let (app, job) = (Arc::clone(&app), Arc::clone(&job));
            let task = tokio::spawn(async move {
                let ctx = job.asker.context(&app).await?;
                write::write(&ctx, (&job, id), source, batch).await
            });
            async move { task.await.map_err(|ended| JobFailure::Later(Box::new(ended)))?.map_err(failure) }
        });
        let written: Vec<Written> = work.buffered(PARALLEL).try_collect().await?;
        let mut refused = Vec::new();
        for it in written {
            if let Some(tally) = self.progress.tallies.get_mut(source) {
                tally.add(it.tally);
            }
            refused.extend(it.refused);
        }
        refused.sort_by_key(|(line, _)| *line);
        self.progress.offset += bytes;
        self.progress.line = last;
        self.report(&refused, size).await
    }

    /// Reports, with a file of what was refused since the last time.
    async fn report(&mut self, refused: &[(u64, Outcome)], size: Option<u64>) -> Result<(), JobFailure> {
        if !refused.is_empty() {
            let name = format!("errors.{}.ndjson", self.progress.errors.len() + 1);
            let mut file = self.app.files.create(self.lease.tenant, self.lease.job.id, &name).await?;
            for (line, outcome) in refused {
                file.write(told(*line, outcome).as_bytes());
            }
            file.finish().await?;
            let (source, count) = (self.progress.source, refused.len() as u64);
            self.progress.errors.push(ErrorFile { source, name, count });
        }
        let sources = self.job.request.sources.len().max(1);
        let within = size.map_or(0, |size| self.progress.offset.saturating_mul(100) / size.max(1)).min(100);
        let done = (self.progress.source as u64 * 100 + within) / sources as u64;
        self.progress.percent = u8::try_from(done).unwrap_or(99).min(99);
        self.lease.report(&self.text()?).await
    }

    fn text(&self) -> Result<Vec<u8>, JobFailure> {
        serde_json::to_vec(&self.progress).map_err(|error| JobFailure::Later(Box::new(error)))
    }

    /// The source, from where the last report ended.
    async fn open(&self) -> Result<Incoming, JobFailure> {
        let source = self.job.request.sources.get(self.progress.source);
        let from = self.progress.offset;
        match source.map(|it| &it.place) {
            Some(Place::Upload(id)) => {
                let id =
                    Uuid::parse_str(id).map_err(|_| JobFailure::Never("an upload has no name".to_owned()))?;
                let file = self.app.files.open(self.lease.tenant, id, UPLOAD).await?;
                let file =
                    file.ok_or_else(|| JobFailure::Never("what was sent is not there any more".to_owned()))?;
                Ok(Incoming { size: Some(file.size()), pieces: read(Arc::new(file), from) })
            }
            Some(Place::Url(url)) => {
                // The settings may be others than when it was asked for.
                let allowed = &self.app.config.bulk.import_sources;
                source.map_or(Ok(()), |it| it.check(allowed)).map_err(failure)?;
                fetch(url, from).await
            }
            None => Err(JobFailure::Never("there is no such source".to_owned())),
        }
    }
}

fn read(file: Arc<OpenFile>, from: u64) -> BoxStream<'static, Result<Bytes, JobFailure>> {
    let pieces = stream::try_unfold(from, move |at| {
        let file = Arc::clone(&file);
        async move {
            let piece = file.read(at, PIECE).await?;
            let next = at + piece.len() as u64;
            Ok::<_, JobFailure>((!piece.is_empty()).then(|| (Bytes::from(piece), next)))
        }
    });
    pieces.boxed()
}

/// Reads from another server: no redirects, for where they lead nobody has allowed.
async fn fetch(url: &str, from: u64) -> Result<Incoming, JobFailure> {
    let later = |error: reqwest::Error| JobFailure::Later(Box::new(error.without_url()));
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(PATIENCE)
        .build()
        .map_err(later)?;
    let mut request = client.get(url).header("accept", "application/fhir+ndjson");
    if from > 0 {
        request = request.header("range", format!("bytes={from}-"));
    }
    let answer = request.send().await.map_err(later)?;
    let status = answer.status().as_u16();
    let skipped = match status {
        200 => from,
        206 => 0,
        416 => return Ok(Incoming { pieces: stream::empty().boxed(), size: None }),
        400..=499 => return Err(JobFailure::Never(format!("a source answered with the status {status}"))),
        _ => return Err(JobFailure::Later(format!("a source answered with the status {status}").into())),
    };
    let size = answer.content_length().map(|it| if status == 206 { it + from } else { it });
    let pieces = answer.bytes_stream().map_err(later);
    let rest = pieces.scan(skipped, |skipped, piece| {
        let piece = piece.map(|mut piece| {
            let cut = usize::try_from(*skipped).unwrap_or(usize::MAX).min(piece.len());
            *skipped -= cut as u64;
            piece.split_off(cut)
        });
        std::future::ready(Some(piece))
    });
    Ok(Incoming { pieces: rest.boxed(), size })
}

/// Bytes on their way to be lines.
struct Lines {
    whole: Vec<Line>,
    /// The bytes of the whole lines.
    bytes: u64,
    /// The line that is not whole yet.
    rest: Vec<u8>,
    /// How much of it was left out, since it is too long.
    left_out: u64,
    number: u64,
    longest: usize,
}

impl Lines {
    fn new(number: u64, longest: usize) -> Lines {
        Lines { whole: Vec::new(), bytes: 0, rest: Vec::new(), left_out: 0, number, longest }
    }

    fn add(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end);
            self.push(line);
            self.finish(1);
            piece = rest.get(1..).unwrap_or_default();
        }
        self.push(piece);
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.rest.len() + bytes.len() > self.longest {
            self.left_out += bytes.len() as u64;
        } else {
            self.rest.extend_from_slice(bytes);
        }
    }

    fn end(&mut self) {
        if !self.rest.is_empty() || self.left_out > 0 {
            self.finish(0);
        }
    }

    fn finish(&mut self, line_break: u64) {
        self.number += 1;
        self.bytes += self.rest.len() as u64 + self.left_out + line_break;
        let bytes = std::mem::take(&mut self.rest);
        let is_long = std::mem::take(&mut self.left_out) > 0;
        let text = (!is_long).then_some(bytes);
        let is_blank = text.as_ref().is_some_and(|it| it.trim_ascii().is_empty());
        if !is_blank {
            // What is not UTF-8 is no JSON either, and refused as such.
            let text = text.map(|it| String::from_utf8(it).unwrap_or_else(|_| "\u{fffd}".to_owned()));
            self.whole.push(Line { number: self.number, text });
        }
    }

    fn is_stretch(&self) -> bool {
        self.whole.len() >= STRETCH_LINES || self.bytes >= STRETCH_BYTES as u64
    }

    fn take(&mut self) -> (Vec<Line>, u64) {
        (std::mem::take(&mut self.whole), std::mem::take(&mut self.bytes))
    }
}

/// Why a line was refused, as a line.
fn told(line: u64, outcome: &Outcome) -> String {
    let issues = outcome.issues().iter().map(|it| {
        let diagnostics = format!("line {line}: {}", it.diagnostics);
        Issue { diagnostics, ..it.clone() }
    });
    to_json(&issues.collect::<Vec<_>>()) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]], longest: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines::new(0, longest);
        pieces.iter().for_each(|it| lines.add(it));
        lines.end();
        let (whole, bytes) = lines.take();
        assert_eq!(bytes, pieces.iter().map(|it| it.len() as u64).sum::<u64>());
        whole.into_iter().map(|it| (it.number, it.text)).collect()
    }

    #[test]
    fn lines_are_put_together() {
        let some = |number, text: &str| (number, Some(text.to_owned()));
        assert_eq!(
            lines(&[b"{}\n{\"a\"", b":1}\r\n\n", b"x"], 99),
            [some(1, "{}"), some(2, "{\"a\":1}\r"), some(4, "x")]
        );
        assert_eq!(lines(&[b"123456\n", b"12\n", b"12345", b"6"], 5), [(1, None), some(2, "12"), (3, None)]);
        assert_eq!(lines(&[b"\xff\n"], 5), [some(1, "\u{fffd}")]);
        assert_eq!(lines(&[], 5), []);
    }
}

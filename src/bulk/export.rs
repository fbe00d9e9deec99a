//! The worker of an export.
//!
//! Step by step ([`plan`]) it reads a page while it writes the one before. Memory holds two pages and a file that
//! is not whole, whatever the size of the export.

use super::part::{Content, Parts};
use super::plan::{self, Step, StepKind};
use super::records;
use super::transform::Transform;
use super::view_rows::{RowFile, RowsOf};
use crate::app::App;
use crate::deidentify::Deidentifier;
use crate::fhir::date_time::day_of;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::{Json, Limits, quote};
use crate::fhir::outcome::{self, Issue, Outcome};
use crate::interaction::context::Context;
use crate::interaction::export::progress::{ExportJob, List, SMALLEST};
use crate::interaction::export::read::{self, Next};
use crate::store::jobs::{JobFailure, Lease};
use crate::store::resources::Stored;
use crate::store::search::range::SpanPage;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// As many rows are looked at, where most are exported.
pub(super) const ROWS: u32 = 2_000;
/// As many, where few are.
const MOST_ROWS: u32 = 64_000;
/// A page ends with the resource that reaches so many bytes, as they are stored.
pub(super) const BYTES: u64 = 4 * 1024 * 1024;

/// Makes the files.
///
/// # Errors
/// It cannot go on now, or never.
pub async fn run(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let job: ExportJob = serde_json::from_slice(&lease.job.parameters)
        .map_err(|_| JobFailure::Never("the job cannot be read".to_owned()))?;
    let job = Arc::new(job);
    let deidentifier = deidentifier(&app, &job).await?;
    let parts = Parts::of(&app, &lease);
    let exported = Worker { app: Arc::clone(&app), parts, job, deidentifier, rows: None }.run().await;
    if matches!(&exported, Err(JobFailure::Never(_) | JobFailure::Lost)) {
        // Nobody will fetch them.
        app.files.remove_all(lease.tenant, lease.job.id).await?;
    }
    exported
}

/// What de-identifies, where that is asked for.
async fn deidentifier(app: &Arc<App>, job: &ExportJob) -> Result<Option<Arc<Deidentifier>>, JobFailure> {
    let Some(method) = job.request.deidentify else { return Ok(None) };
    let ctx = job.context(app).await.map_err(failure)?;
    let keys = app.store.tenant_keys(ctx.tenant()).await?;
    let year = day_of(job.at).map_or(i16::MAX, |it| it.year());
    let pseudonyms = keys.pseudonyms(&job.recipient());
    let place = (app.fhir_base(), year);
    let made = Deidentifier::new(&ctx.rules.definitions, method, pseudonyms, (&place.0, place.1));
    Ok(Some(Arc::new(made)))
}

struct Worker {
    app: Arc<App>,
    parts: Parts,
    job: Arc<ExportJob>,
    /// The rows that go into the file of a view.
    rows: Option<(Content, RowFile)>,
    deidentifier: Option<Arc<Deidentifier>>,
}

/// A page that is being read.
struct Reading(JoinHandle<Result<SpanPage, Outcome>>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Worker {
    async fn run(mut self) -> Result<Vec<u8>, JobFailure> {
        self.wait_for_writers().await?;
        let ctx = self.context().await?;
        let steps = plan::steps(&ctx, &self.job).await.map_err(failure)?;
        let (first, after) = (self.parts.progress.step, self.parts.progress.after);
        let after_row = self.parts.progress.after_row;
        for (place, step) in steps.iter().enumerate().skip(first) {
            let after = if place == first { (after, after_row) } else { (0, 0) };
            match step.kind {
                StepKind::Deletions => self.deletions(&steps, place, step, after).await?,
                StepKind::View(view) => self.view(&steps, place, (step, view), after.0).await?,
                _ => self.resources(&steps, place, step, after.0).await?,
            }
        }
        self.end_rows().await?;
        self.report(steps.len(), (0, 0), 99).await?;
        self.errors(steps.len()).await?;
        self.parts.text()
    }

    /// Whatever was stamped before the time of the export is there before anything is read.
    async fn wait_for_writers(&self) -> Result<(), JobFailure> {
        let early = self.job.at - self.app.clock.now_microseconds();
        if let Ok(early @ 1..) = u64::try_from(early) {
            tokio::time::sleep(Duration::from_micros(early.min(1_000_000))).await;
        }
        Ok(self.app.store.wait_for_writers(self.parts.tenant()).await?)
    }

    async fn context(&self) -> Result<Context, JobFailure> {
        self.job.context(&self.app).await.map_err(failure)
    }

    async fn resources(
        &mut self,
        steps: &[Step],
        place: usize,
        step: &Step,
        after: i64,
    ) -> Result<(), JobFailure> {
        let is_records = step.kind == StepKind::Records;
        let of = (!is_records).then(|| step.of.name().to_owned());
        let content = Content::lines(List::Output, of);
        if self.parts.is_other(&content) {
            self.report(place, (after, 0), percent(place, 0, steps.len())).await?;
        }
        let rules = self.context().await?.rules;
        let transform = Transform::of(&rules, &self.job.request, step.of, self.deidentifier.as_ref());
        let range = self.app.store.row_range(self.parts.tenant(), step.of).await?;
        let mut rows = if is_records { records::PATIENTS } else { ROWS };
        let mut reading = Some(self.read(step, after, rows));
        while let Some(page) = reading.take() {
            let SpanPage { resources, next } = page.wait().await?;
            rows = match resources.len() {
                _ if is_records => rows,
                few if few * 4 < rows as usize => (rows * 2).min(MOST_ROWS),
                many if many * 2 > rows as usize => ROWS,
                _ => rows,
            };
            reading = next.map(|next| self.read(step, next, rows));
            let (lines, count) = match is_records {
                true => {
                    let deidentifier = self.deidentifier.as_ref();
                    let ctx = self.context().await?;
                    let tally = &mut self.parts.tally;
                    records::lines(&ctx, &self.job, resources, deidentifier, tally).await?
                }
                false => self.lines(step, &transform, resources)?,
            };
            self.parts.write(&content, &lines, count).await?;
            if self.parts.is_full() {
                let done = percent(place, fraction(range, next), steps.len());
                match next {
                    Some(next) => self.report(place, (next, 0), done).await?,
                    None => self.report(place + 1, (0, 0), done).await?,
                }
            }
        }
        Ok(())
    }

    /// The rows of a view. A file ends before the next begins: each is one of its format by itself.
    async fn view(
        &mut self,
        steps: &[Step],
        place: usize,
        (step, view): (&Step, usize),
        after: i64,
    ) -> Result<(), JobFailure> {
        let asked = self.job.request.views.get(view);
        let asked = asked.ok_or_else(|| JobFailure::Never("the job names no such view".to_owned()))?;
        let rules = self.context().await?.rules;
        let made = RowsOf::of(&rules, &self.job.request, asked).map_err(view_failure)?;
        let content = made.content();
        if self.parts.is_other(&content) || self.rows.as_ref().is_some_and(|(it, _)| *it != content) {
            self.end_rows().await?;
            self.report(place, (after, 0), percent(place, 0, steps.len())).await?;
        }
        let range = self.app.store.row_range(self.parts.tenant(), step.of).await?;
        let mut file = match self.rows.take() {
            Some((_, file)) => file,
            None => made.file().map_err(view_failure)?,
        };
        let mut reading = Some(self.read(step, after, ROWS));
        while let Some(page) = reading.take() {
            let SpanPage { resources, next } = page.wait().await?;
            reading = next.map(|next| self.read(step, next, ROWS));
            for stored in resources {
                let (bytes, rows) = file.push(&made, stored.text).map_err(view_failure)?;
                self.parts.write(&content, &bytes, rows).await?;
                // Rows may take a while to make, and others wait for this thread.
                tokio::task::yield_now().await;
            }
            if let (true, Some(next)) = (self.parts.is_full(), next) {
                self.rows = Some((content.clone(), file));
                self.end_rows().await?;
                let done = percent(place, fraction(range, Some(next)), steps.len());
                self.report(place, (next, 0), done).await?;
                file = made.file().map_err(view_failure)?;
            }
        }
        self.rows = Some((content, file));
        Ok(())
    }

    /// Ends the file of a view, if there is one.
    async fn end_rows(&mut self) -> Result<(), JobFailure> {
        let Some((content, file)) = self.rows.take() else { return Ok(()) };
        let bytes = file.finish().map_err(view_failure)?;
        self.parts.write(&content, &bytes, 0).await
    }

    /// Begins to read a page.
    fn read(&self, step: &Step, after: i64, rows: u32) -> Reading {
        let (app, job, step) = (Arc::clone(&self.app), Arc::clone(&self.job), step.clone());
        Reading(tokio::spawn(async move {
            let ctx = job.context(&app).await?;
            let Step { of, population, filter, .. } = &step;
            let next = Next { of: *of, population, filter, after, rows, bytes: BYTES };
            read::span(&ctx, &job, &next).await
        }))
    }

    fn lines(
        &mut self,
        step: &Step,
        transform: &Transform,
        resources: Vec<Stored>,
    ) -> Result<(Vec<u8>, u64), JobFailure> {
        let mut lines = Vec::with_capacity(resources.iter().map(|it| it.text.len() + 1).sum());
        let mut count = 0;
        for stored in resources {
            if step.kind == StepKind::Provenance && !self.is_about_exported(&stored.text) {
                continue;
            }
            let is_there = transform.push(stored.text, &mut lines, &mut self.parts.tally).map_err(failure)?;
            count += u64::from(is_there);
        }
        Ok((lines, count))
    }

    /// Whether a Provenance is of something of a type that is exported.
    fn is_about_exported(&self, text: &str) -> bool {
        let Ok(json) = Json::parse(text, &Limits::ACCEPTED) else { return false };
        let targets = json.root().get("target").into_iter().flat_map(|it| it.items());
        let mut references = targets.filter_map(|it| it.string("reference"));
        references.any(|it| {
            let mut words = it.rsplit('/').skip_while(|it| ResourceType::parse(it).is_none());
            words.next().is_some_and(|of| self.job.request.types.iter().any(|it| it == of))
        })
    }

    async fn deletions(
        &mut self,
        steps: &[Step],
        place: usize,
        step: &Step,
        mut after: (i64, i64),
    ) -> Result<(), JobFailure> {
        let content = Content::lines(List::Deleted, Some(step.of.name().to_owned()));
        if self.parts.is_other(&content) {
            self.report(place, after, percent(place, 0, steps.len())).await?;
        }
        loop {
            let Step { of, population, filter, .. } = step;
            let next = Next { of: *of, population, filter, after: 0, rows: ROWS, bytes: BYTES };
            let (gone, then) =
                read::gone(&self.context().await?, &self.job, &next, after).await.map_err(failure)?;
            let mut lines = String::new();
            for it in &gone {
                let id = match &self.deidentifier {
                    Some(names) => names.pseudonym(of.name(), it.id.as_str()),
                    None => it.id.to_string(),
                };
                let url = quote(&format!("{of}/{id}"));
                lines.push_str(&format!(
                    "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{{\"request\":\
                     {{\"method\":\"DELETE\",\"url\":{url}}}}}]}}\n"
                ));
            }
            self.parts.write(&content, lines.as_bytes(), gone.len() as u64).await?;
            let Some(then) = then else { return Ok(()) };
            after = then;
            if self.parts.is_full() {
                self.report(place, after, percent(place, 50, steps.len())).await?;
            }
        }
    }

    /// What was left out of the request, for whoever reads the result.
    async fn errors(&mut self, last: usize) -> Result<(), JobFailure> {
        let content = Content::lines(List::Error, None);
        if self.parts.progress.parts.iter().any(|it| it.list == List::Error) {
            return Ok(());
        }
        let left_out = self.job.request.left_out.iter();
        let left_out =
            left_out.map(|reason| Issue::warning(IssueType::NotSupported, format!("{reason}; left out")));
        let issues: Vec<Issue> = left_out.chain(self.small_cells()).collect();
        let count = issues.len() as u64;
        let lines: String = issues.into_iter().map(|it| outcome::to_json(&[it]) + "\n").collect();
        self.parts.write(&content, lines.as_bytes(), count).await?;
        self.report(last, (0, 0), 99).await
    }

    /// Warnings that somebody might be found among few, though nothing says who they are.
    fn small_cells(&self) -> Vec<Issue> {
        let tally = &self.parts.progress.tally;
        let (patients, cells) = (tally.patients(), tally.small_cells());
        let mut issues = Vec::new();
        if self.deidentifier.is_none() || patients == 0 {
            return issues;
        }
        let mut warn = |said: String| issues.push(Issue::warning(IssueType::BusinessRule, said));
        if patients < SMALLEST {
            warn(format!("there are fewer than {SMALLEST} patients: each might be found among so few"));
        }
        if cells > 0 {
            warn(format!(
                "small cells: of {cells} combinations of year of birth, sex and area there are fewer than \
                 {SMALLEST} patients each"
            ));
        }
        if tally.is_cut {
            warn("there are more combinations of year of birth, sex and area than were counted".to_owned());
        }
        issues
    }

    async fn report(&mut self, step: usize, after: (i64, i64), percent: u8) -> Result<(), JobFailure> {
        self.parts.report(step, after, percent).await
    }
}

impl Reading {
    async fn wait(mut self) -> Result<SpanPage, JobFailure> {
        match (&mut self.0).await {
            Ok(page) => page.map_err(failure),
            Err(ended) => Err(JobFailure::Later(Box::new(ended))),
        }
    }
}

/// Whether it may go better another time.
pub(super) fn failure(outcome: Outcome) -> JobFailure {
    match outcome.status() {
        403 => JobFailure::Never("the client may not read this any more".to_owned()),
        404 | 410 => JobFailure::Never("the group is not there any more".to_owned()),
        400..=499 => JobFailure::Never("what was asked for cannot be read".to_owned()),
        _ => JobFailure::Later(Box::new(Wrapped(outcome))),
    }
}

/// What is wrong with a view is told: it says what to change, and nothing of what was read.
fn view_failure(outcome: Outcome) -> JobFailure {
    match outcome.worst() {
        Some(issue) if outcome.status() < 500 => {
            let place = issue.expression.first().map_or("", String::as_str);
            JobFailure::Never(format!("a view cannot be made: {} {place}", issue.diagnostics))
        }
        _ => failure(outcome),
    }
}

/// An outcome as an error.
#[derive(Debug, thiserror::Error)]
#[error("the door refused for now")]
struct Wrapped(Outcome);

/// How much is done, when so many hundredths of a step are.
fn percent(step: usize, hundredths: u8, steps: usize) -> u8 {
    let done = step * 100 + usize::from(hundredths.min(100));
    u8::try_from(done / steps.max(1)).unwrap_or(99).min(99)
}

/// How far that row is in the range, in hundredths.
fn fraction(range: Option<(i64, i64)>, at: Option<i64>) -> u8 {
    let (Some((first, last)), Some(at)) = (range, at) else { return 100 };
    let (done, all) = (i128::from(at - first), i128::from(last - first).max(1));
    u8::try_from(done * 100 / all).unwrap_or(100)
}

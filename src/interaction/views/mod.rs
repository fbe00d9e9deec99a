//! Analysts' views, as far as the door has to do with them: running one, and asking for an export of some.
//!
//! <https://sql-on-fhir.org/ig/latest/operations.html>
//!
//! A run is read like an export, page by page: each page is a decision, a question and a row in the trail before any
//! row of the view is made of it. What the caller may not see (other patients, sealed classes, elements that the role
//! is not shown) the view does not see either. An export of views is an export ([`super::export`]) whose files hold
//! rows: it is asked for, looked at, fetched and removed like any other.

pub mod request;

use super::context::Context;
use super::export::asker::Asker;
use super::export::progress::ExportJob;
use super::export::read::{self, Next};
use super::export::request::Level;
use super::export::{self, is_exported};
use super::record::{self, Asked, Trail};
use super::request::{Instance, Interaction, Parameters};
use super::{facts, perform_inside, permission};
use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::Outcome;
use crate::search::predicate::Predicate;
use crate::store::search::range::Population;
use crate::views::definition::View;
use crate::views::writing::{Format, Writing};
use request::ViewRequest;
use std::collections::VecDeque;
use std::sync::Arc;
use uuid::Uuid;

/// As many rows of the database are looked at for a page.
const ROWS: u32 = 2_000;
/// A page ends with the resource that reaches so many bytes, as they are stored.
const BYTES: u64 = 2 * 1024 * 1024;
/// So many bytes of rows go out at once.
const PIECE: usize = 1024 * 1024;

/// A view that is being run.
pub struct Run {
    ctx: Context,
    job: ExportJob,
    view: Arc<View>,
    format: Format,
    /// Nothing once the file has ended.
    writing: Option<Writing>,
    /// `_limit`
    limit: Option<u64>,
    /// Resources that were read and not looked at yet.
    waiting: VecDeque<String>,
    /// Whose resources are still to be read; none where the resources were sent along.
    populations: VecDeque<Population>,
    after: i64,
}

/// Asks for the rows of a view.
///
/// # Errors
/// The caller may not read such resources, or the group; the view cannot be made.
pub async fn start(ctx: Context, request: ViewRequest) -> Result<Run, Outcome> {
    let detail = request.place("$viewdefinition-run");
    let asked = Asked::for_kind(Kind::Operation, None, Some(detail));
    let started = prepare(&ctx, request).await;
    let parts = record::settle_as(&ctx, &asked, started).await?;
    let Prepared { job, view, format, writing, limit, waiting, populations } = parts;
    let view = Arc::new(view);
    Ok(Run { ctx, job, view, format, writing: Some(writing), limit, waiting, populations, after: 0 })
}

/// Asks for an export of views: the id of its job.
///
/// # Errors
/// As [`export::kick_off`].
pub async fn kick_off(ctx: &Context, request: ViewRequest) -> Result<Uuid, Outcome> {
    if request.limit.is_some() || !request.resources.is_empty() {
        let outcome = Outcome::not_supported("an export has neither a limit nor resources of its own");
        return Err(outcome.at("_limit"));
    }
    if request.format == Format::Json {
        return Err(Outcome::not_supported("an export is written as ndjson, csv or parquet").at("_format"));
    }
    export::kick_off(ctx, request.into_export()).await
}

struct Prepared {
    job: ExportJob,
    view: View,
    format: Format,
    writing: Writing,
    limit: Option<u64>,
    waiting: VecDeque<String>,
    populations: VecDeque<Population>,
}

async fn prepare(ctx: &Context, mut request: ViewRequest) -> Result<(Prepared, Trail), Outcome> {
    facts::learn(ctx).await?;
    let [asked] = request.views.as_slice() else {
        return Err(Outcome::invalid("one view is run at a time").at("viewResource"));
    };
    let view = View::parse(&ctx.definitions().types, &asked.text)?;
    let of = view.resource_type;
    let permit = permission::ask(ctx, Permission::Search, &[of])?;
    let (format, limit) = (request.format, request.limit);
    let writing = Writing::of(&view, format)?;
    let waiting: VecDeque<String> = std::mem::take(&mut request.resources).into();
    let is_given = request.has_resources;
    let request = request.into_export();
    if !is_given && !is_exported(ctx, &request.level, of) {
        return Err(Outcome::not_supported("resources of that type cannot be read so"));
    }
    if let Level::Group(id) = &request.level {
        let resource_type = ResourceType::parse("Group").ok_or_else(Outcome::not_found)?;
        let id = ResourceId::parse(id).ok_or_else(Outcome::not_found)?;
        let of = Instance { resource_type, id };
        perform_inside(ctx, Interaction::Read { of, parameters: Parameters::new() }).await?;
    }
    let job = ExportJob { request, asker: Asker::of(ctx), at: ctx.app.clock.now_microseconds() };
    let populations = match is_given {
        true => VecDeque::new(),
        false => {
            let members = read::members(ctx, &job).await?;
            read::populations(ctx, &job, of, members.as_ref()).into()
        }
    };
    let prepared = Prepared { job, view, format, writing, limit, waiting, populations };
    Ok((prepared, Trail::under(&permit)))
}

impl Run {
    /// How the rows are written.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The next bytes; nothing at the end.
    ///
    /// # Errors
    /// The caller may not, or not any more; a row cannot be made.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Outcome> {
        let mut out = Vec::new();
        while let Some(mut writing) = self.writing.take() {
            let is_enough = self.limit.is_some_and(|it| writing.count() >= it);
            if is_enough || (self.waiting.is_empty() && !self.read().await?) {
                writing.finish(&mut out)?;
                break;
            }
            let work = Work {
                ctx: self.ctx.clone(),
                view: Arc::clone(&self.view),
                limit: self.limit,
                waiting: std::mem::take(&mut self.waiting),
            };
            let made = tokio::task::spawn_blocking(move || {
                let mut out = Vec::new();
                let waiting = work.rows(&mut writing, &mut out)?;
                Ok::<_, Outcome>((writing, waiting, out))
            });
            let (writing, waiting, bytes) = made.await.map_err(Outcome::exception)??;
            (self.writing, self.waiting, out) = (Some(writing), waiting, bytes);
            if !out.is_empty() {
                break;
            }
        }
        Ok((!out.is_empty()).then_some(out))
    }

    /// Reads a page; whether there was one left to read.
    async fn read(&mut self) -> Result<bool, Outcome> {
        let Some(population) = self.populations.front() else { return Ok(false) };
        let of = self.view.resource_type;
        let filter = Predicate::True;
        let next = Next { of, population, filter: &filter, after: self.after, rows: ROWS, bytes: BYTES };
        let page = read::span(&self.ctx, &self.job, &next).await?;
        self.waiting.extend(page.resources.into_iter().map(|it| it.text));
        match page.next {
            Some(after) => self.after = after,
            None => {
                self.populations.pop_front();
                self.after = 0;
            }
        }
        Ok(true)
    }
}

/// What becomes rows, away from the threads that wait for the database.
struct Work {
    ctx: Context,
    view: Arc<View>,
    limit: Option<u64>,
    waiting: VecDeque<String>,
}

impl Work {
    /// The rows of resources until there is enough of them; the resources that are left.
    fn rows(mut self, writing: &mut Writing, out: &mut Vec<u8>) -> Result<VecDeque<String>, Outcome> {
        let types = &self.ctx.rules.definitions.types;
        while let Some(text) = self.waiting.pop_front() {
            let json = Json::parse(text, &Limits::ACCEPTED)?;
            let mut rows = self.view.rows(types, json.root())?;
            if let Some(limit) = self.limit {
                let left = usize::try_from(limit.saturating_sub(writing.count())).unwrap_or(usize::MAX);
                rows.truncate(left);
                if left == 0 {
                    self.waiting.clear();
                }
            }
            writing.push(rows, out)?;
            if out.len() >= PIECE {
                break;
            }
        }
        Ok(self.waiting)
    }
}

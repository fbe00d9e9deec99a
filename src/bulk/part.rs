//! The file that an export is writing, and the report of it when it is whole.

use crate::app::App;
use crate::fhir::id::TenantId;
use crate::interaction::export::progress::{List, Part, Progress, Tally};
use crate::store::error::StoreError;
use crate::store::files::{FileWriter, PART};
use crate::store::jobs::{JobFailure, Lease};
use crate::views::writing::Format;
use std::sync::Arc;

/// What goes into one kind of file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// In which list of the manifest.
    pub(super) list: List,
    /// The type of the resources; nothing where there are several.
    pub(super) of: Option<String>,
    /// The view whose rows it holds, and how they are written.
    pub(super) view: Option<(String, Format)>,
}

/// Writes the files of an export, one after the other.
pub(super) struct Parts {
    app: Arc<App>,
    lease: Lease,
    /// What was reported last.
    pub(super) progress: Progress,
    open: Option<Open>,
    /// What de-identifying came to since.
    pub(super) tally: Tally,
}

struct Open {
    content: Content,
    name: String,
    writer: FileWriter,
    count: u64,
}

impl Content {
    /// Of resources, or of what is told about them.
    pub(super) fn lines(list: List, of: Option<String>) -> Content {
        Content { list, of, view: None }
    }

    fn stem(&self) -> String {
        if let Some((name, _)) = &self.view {
            return name.clone();
        }
        let of = self.of.as_deref().unwrap_or("records");
        match self.list {
            List::Output => of.to_owned(),
            List::Deleted => format!("deleted.{of}"),
            List::Error => "errors".to_owned(),
        }
    }
}

impl Parts {
    /// Goes on after the last report.
    pub(super) fn of(app: &Arc<App>, lease: &Lease) -> Parts {
        let progress = Progress::read(&lease.job.progress);
        Parts { app: Arc::clone(app), lease: lease.clone(), progress, open: None, tally: Tally::default() }
    }

    /// Whose files they are.
    pub(super) fn tenant(&self) -> TenantId {
        self.lease.tenant
    }

    /// Adds lines.
    pub(super) async fn write(
        &mut self,
        content: &Content,
        lines: &[u8],
        count: u64,
    ) -> Result<(), JobFailure> {
        if count == 0 && lines.is_empty() {
            return Ok(());
        }
        if self.open.is_none() {
            self.open = Some(self.begin(content.clone()).await?);
        }
        if let Some(open) = &mut self.open {
            open.writer.write(lines);
            open.count += count;
        }
        Ok(())
    }

    /// Whether the file should end here.
    pub(super) fn is_full(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.writer.size() >= PART)
    }

    /// Whether something of another kind is being written.
    pub(super) fn is_other(&self, content: &Content) -> bool {
        self.open.as_ref().is_some_and(|open| open.content != *content)
    }

    /// Ends the file, if there is one, and reports that everything up to that place is in files.
    pub(super) async fn report(
        &mut self,
        step: usize,
        after: (i64, i64),
        percent: u8,
    ) -> Result<(), JobFailure> {
        if let Some(open) = self.open.take() {
            let bytes = open.writer.finish().await?;
            let Content { list, of, view } = open.content;
            let view = view.map(|(name, _)| name);
            let part = Part { list, of, view, name: open.name, count: open.count, bytes };
            self.progress.parts.push(part);
        }
        self.progress.tally.add(std::mem::take(&mut self.tally));
        self.progress.step = step;
        (self.progress.after, self.progress.after_row) = after;
        self.progress.percent = percent;
        self.lease.report(&self.text()?).await
    }

    /// What was reported, as it is kept.
    pub(super) fn text(&self) -> Result<Vec<u8>, JobFailure> {
        serde_json::to_vec(&self.progress).map_err(|error| JobFailure::Later(Box::new(error)))
    }

    async fn begin(&mut self, content: Content) -> Result<Open, StoreError> {
        // The name of a file that was never finished is used again.
        let place = self.progress.parts.len() + 1;
        let extension = content.view.as_ref().map_or("ndjson", |(_, format)| format.extension());
        let name = format!("{}.{place}.{extension}", content.stem());
        let writer = self.app.files.create(self.tenant(), self.lease.job.id, &name).await?;
        Ok(Open { content, name, writer, count: 0 })
    }
}

//! What becomes of resources in an export of views: rows.

use super::part::Content;
use crate::app::rules::Rules;
use crate::fhir::json::{Json, Limits};
use crate::fhir::outcome::Outcome;
use crate::interaction::export::progress::List;
use crate::interaction::export::request::ExportRequest;
use crate::interaction::views::request::AskedView;
use crate::views::definition::View;
use crate::views::writing::{Format, Writing};
use std::sync::Arc;

/// A view whose rows are made.
pub(super) struct RowsOf {
    rules: Arc<Rules>,
    view: View,
    name: String,
    format: Format,
}

/// A file of it.
pub(super) struct RowFile(Writing);

impl RowsOf {
    /// As the request says.
    pub(super) fn of(
        rules: &Arc<Rules>,
        request: &ExportRequest,
        asked: &AskedView,
    ) -> Result<RowsOf, Outcome> {
        let view = View::parse(&rules.definitions.types, &asked.text)?;
        let format = request.format.unwrap_or(Format::Ndjson);
        Ok(RowsOf { rules: Arc::clone(rules), view, name: asked.name.clone(), format })
    }

    /// What its files hold.
    pub(super) fn content(&self) -> Content {
        Content {
            list: List::Output,
            of: Some(self.view.resource_type.name().to_owned()),
            view: Some((self.name.clone(), self.format)),
        }
    }

    /// A file that is new.
    pub(super) fn file(&self) -> Result<RowFile, Outcome> {
        Ok(RowFile(Writing::of(&self.view, self.format)?))
    }
}

impl RowFile {
    /// Adds the rows of a resource: what comes next in the file, and how many there are.
    pub(super) fn push(&mut self, of: &RowsOf, text: String) -> Result<(Vec<u8>, u64), Outcome> {
        let json = Json::parse(text, &Limits::ACCEPTED)?;
        let rows = of.view.rows(&of.rules.definitions.types, json.root())?;
        let (mut bytes, count) = (Vec::new(), rows.len() as u64);
        self.0.push(rows, &mut bytes)?;
        Ok((bytes, count))
    }

    /// What ends the file. One without rows has its columns.
    pub(super) fn finish(self) -> Result<Vec<u8>, Outcome> {
        let mut bytes = Vec::new();
        self.0.finish(&mut bytes)?;
        Ok(bytes)
    }
}

//! What becomes of each resource on its way into a file: the part that was asked for, de-identified where that is
//! asked for, on one line.
//!
//! This is the seam for whatever else shall become of it.

use crate::app::rules::Rules;
use crate::deidentify::Deidentifier;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::export::progress::Tally;
use crate::interaction::export::request::ExportRequest;
use crate::interaction::subset::Subset;
use std::borrow::Cow;
use std::sync::Arc;

/// What becomes of the resources of one type.
pub(super) struct Transform {
    rules: Arc<Rules>,
    subset: Option<Subset>,
    deidentifier: Option<Arc<Deidentifier>>,
}

impl Transform {
    /// As the request says.
    pub(super) fn of(
        rules: &Arc<Rules>,
        request: &ExportRequest,
        of: ResourceType,
        deidentifier: Option<&Arc<Deidentifier>>,
    ) -> Transform {
        let named = request.elements.iter().filter(|(it, _)| it.as_deref().is_none_or(|it| it == of.name()));
        let elements: Vec<String> = named.map(|(_, element)| element.clone()).collect();
        let subset = (!elements.is_empty()).then(|| Subset::of_elements(elements));
        Transform { rules: Arc::clone(rules), subset, deidentifier: deidentifier.cloned() }
    }

    /// Adds the resource as a line: whether there is one, for it may be withheld.
    pub(super) fn push(&self, text: String, lines: &mut Vec<u8>, tally: &mut Tally) -> Result<bool, Outcome> {
        let text = match &self.subset {
            Some(subset) => subset.apply(&self.rules.definitions.types, text)?,
            None => text,
        };
        let Some(text) = self.deidentified(text, tally)? else { return Ok(false) };
        lines.extend_from_slice(on_one_line(&text).as_bytes());
        lines.push(b'\n');
        Ok(true)
    }

    fn deidentified(&self, text: String, tally: &mut Tally) -> Result<Option<String>, Outcome> {
        let Some(deidentifier) = &self.deidentifier else { return Ok(Some(text)) };
        let resource = Resource::parse(text, &Limits::ACCEPTED)?;
        let patient = match deidentifier.needs_patient() {
            true => self.rules.verifier.patients(&resource).into_iter().next(),
            false => None,
        };
        let made = deidentifier.resource(&resource, patient.as_ref().map(ResourceId::as_str));
        for (kind, count) in made.removed {
            *tally.removed.entry(kind.to_owned()).or_default() += count;
        }
        if let Some(cell) = made.cell {
            tally.count(cell);
        }
        Ok(made.text)
    }
}

/// JSON on one line. Line breaks stand only between tokens: in a string they are escaped.
fn on_one_line(text: &str) -> Cow<'_, str> {
    let is_break = |it: char| it == '\n' || it == '\r';
    if !text.contains(is_break) {
        return Cow::Borrowed(text);
    }
    let lines = text.split(is_break).map(|line| line.trim_matches([' ', '\t']));
    Cow::Owned(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_one_line() {
        assert_eq!(on_one_line("{\"a\":1.00}"), "{\"a\":1.00}");
        assert_eq!(
            on_one_line("{\r\n  \"a\": \"x  \\n y\",\n\t\"b\": [ 1,\n 2 ]\n}"),
            "{\"a\": \"x  \\n y\",\"b\": [ 1,2 ]}"
        );
    }
}

//! What becomes of each resource on its way into a file: the part that was asked for, on one line.
//!
//! This is the seam for whatever else shall become of it.

use crate::app::rules::Rules;
use crate::fhir::id::ResourceType;
use crate::fhir::outcome::Outcome;
use crate::interaction::export::request::ExportRequest;
use crate::interaction::subset::Subset;
use std::borrow::Cow;
use std::sync::Arc;

/// What becomes of the resources of one type.
pub(super) struct Transform {
    rules: Arc<Rules>,
    subset: Option<Subset>,
}

impl Transform {
    /// As the request says.
    pub(super) fn of(rules: &Arc<Rules>, request: &ExportRequest, of: ResourceType) -> Transform {
        let named = request.elements.iter().filter(|(it, _)| it.as_deref().is_none_or(|it| it == of.name()));
        let elements: Vec<String> = named.map(|(_, element)| element.clone()).collect();
        let subset = (!elements.is_empty()).then(|| Subset::of_elements(elements));
        Transform { rules: Arc::clone(rules), subset }
    }

    /// Adds the resource as a line; nothing where it is not to be in the file.
    pub(super) fn push(&self, text: String, lines: &mut Vec<u8>) -> Result<(), Outcome> {
        let text = match &self.subset {
            Some(subset) => subset.apply(&self.rules.definitions.types, text)?,
            None => text,
        };
        lines.extend_from_slice(on_one_line(&text).as_bytes());
        lines.push(b'\n');
        Ok(())
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

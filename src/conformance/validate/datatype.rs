//! Data types: what R4 says of them in words, and in no invariant.
//!
//! <https://hl7.org/fhir/R4/datatypes.html>

use super::walk::{Place, Walk};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::types::{TypeId, TypeKind};

impl<'a> Walk<'_, 'a> {
    /// Checks a value of a data type that has such words.
    pub(super) fn datatype(&mut self, node: Node<'a>, type_id: TypeId, place: Place<'a>) {
        if Some(type_id) == self.known.coding {
            self.coding(node);
        } else if Some(type_id) == self.known.attachment {
            self.attachment(node);
        } else if Some(type_id) == self.known.reference {
            self.reference_text(node);
            self.unresolved(node, place);
            self.ambiguous(node, place);
        }
    }

    /// Attachment.size: "the number of bytes of data that make up this attachment (before base64 encoding)".
    fn attachment(&mut self, node: Node<'_>) {
        let (Some(size), Some(data)) = (node.get("size"), node.get("data")) else { return };
        let Some(text) = data.as_str() else { return };
        let letters = text.bytes().filter(|it| !it.is_ascii_whitespace());
        let count = letters.clone().filter(|it| *it != b'=').count().saturating_mul(3) / 4;
        if size.as_number().and_then(|it| it.parse::<usize>().ok()).is_some_and(|it| it != count) {
            self.complain(size, IssueType::Value, "", "the size is not that of the data");
        }
    }

    /// "An absolute URI that is used to identify this …", says R4 of the `url` of every definition, and "an
    /// absolute URI which is the code system" of what value sets include.
    pub(super) fn absolute(&mut self, parent: TypeId, element: &str, node: Node<'_>) {
        let is_meant = match (element, self.types.get(parent)) {
            ("url", Some(of)) => of.kind == TypeKind::Resource,
            ("system", Some(of)) => {
                matches!(of.name.as_str(), "ValueSet.compose.include" | "ValueSet.expansion.contains")
            }
            _ => false,
        };
        if is_meant && node.as_str().is_some_and(|it| !it.contains(':')) {
            self.complain(node, IssueType::Value, "", "an absolute URI is expected");
        }
    }

    /// Reference.reference: "a reference to a location at which the other resource is found", so a URL.
    fn reference_text(&mut self, node: Node<'_>) {
        if let Some(reference) = node.get("reference")
            && reference.as_str().is_some_and(|it| it.contains(char::is_whitespace))
        {
            let message = "not a reference: a URL, or # and an id, is expected";
            self.complain(reference, IssueType::Value, "", message);
        }
    }
}

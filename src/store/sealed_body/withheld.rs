//! Leaving out what may not be seen: the one path that parses the JSON of a stored body.
//!
//! Where a subtree is withheld, its member goes, comma and all, and so does everything that would be
//! left empty: FHIR knows no empty object and no empty array. The rest stays byte for byte.
//! <https://hl7.org/fhir/R4/json.html#null>

use super::{BodyError, Cut, Place};
use crate::fhir::json::{Json, Limits, Node, Splices};

/// Leaves out the values that begin at these offsets.
pub(super) fn leave_out(place: &Place<'_>, text: String, withheld: &[usize]) -> Result<String, BodyError> {
    let json = Json::parse(text, &Limits::default()).map_err(|_| BodyError::Malformed)?;
    let mut cuts = Splices::default();
    match cuts_in(json.root(), withheld, &[]) {
        // The whole resource is sealed: what is left is what the caller asked with.
        None => {
            let Place { resource_type, id, .. } = place;
            return Ok(format!(r#"{{"resourceType":"{resource_type}","id":"{id}"}}"#));
        }
        Some(found) => found.into_iter().for_each(|cut| cuts.replace(cut, "")),
    }
    Ok(cuts.apply(&json))
}

/// What to cut inside the value; none if nothing would be left of it. `also` are the items to leave
/// out because their companions are: FHIR pairs `given[1]` with `_given[1]`.
fn cuts_in(node: Node<'_>, withheld: &[usize], also: &[usize]) -> Option<Vec<Cut>> {
    let span = node.span();
    let from = withheld.partition_point(|at| *at < span.start);
    let inside: &[usize] = withheld.get(from..).unwrap_or_default();
    let inside = inside.get(..inside.partition_point(|at| *at < span.end)).unwrap_or_default();
    if inside.first() == Some(&span.start) && node.is_null() {
        return None;
    }
    if inside.is_empty() && also.is_empty() {
        return Some(Vec::new());
    }
    if node.is_object() {
        let members = node.members().map(|(name, value)| {
            let companion = companion_of(node, &name.as_str().unwrap_or_default());
            let also = companion.map(|it| withheld_items(it, withheld)).unwrap_or_default();
            (name.span().start..value.span().end, cuts_in(value, withheld, &also))
        });
        return joined(members.collect());
    }
    let items = node.items().enumerate().map(|(position, item)| {
        let cuts = if also.contains(&position) { None } else { cuts_in(item, withheld, &[]) };
        (item.span(), cuts)
    });
    joined(items.collect())
}

/// The cuts of a container from those of its parts: where a part goes, a comma goes with it.
fn joined(parts: Vec<(Cut, Option<Vec<Cut>>)>) -> Option<Vec<Cut>> {
    let last_kept = parts.iter().rposition(|(_, inner)| inner.is_some())?;
    let mut cuts = Vec::new();
    let mut gone_from = None;
    let mut kept_end = 0;
    let mut end = 0;
    for (position, (span, inner)) in parts.into_iter().enumerate() {
        end = span.end;
        match inner {
            // Up to the next part that stays, the comma between them included.
            Some(inner) => {
                cuts.extend(gone_from.take().map(|start| start..span.start));
                cuts.extend(inner);
                kept_end = span.end;
            }
            // After the last part that stays, its comma goes too.
            None if position > last_kept => {}
            None => _ = gone_from.get_or_insert(span.start),
        }
    }
    if end > kept_end {
        cuts.push(kept_end..end);
    }
    Some(cuts)
}

fn companion_of<'a>(object: Node<'a>, name: &str) -> Option<Node<'a>> {
    match name.strip_prefix('_') {
        Some(base) => object.get(base),
        None => object.get(&format!("_{name}")),
    }
}

/// The positions of the items of an array that are withheld themselves.
fn withheld_items(array: Node<'_>, withheld: &[usize]) -> Vec<usize> {
    let items = array.items().enumerate();
    items
        .filter(|(_, item)| item.is_null() && withheld.contains(&item.span().start))
        .map(|(at, _)| at)
        .collect()
}

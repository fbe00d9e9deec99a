//! `$diff`: what changed from one version of a resource to another, as a FHIRPath Patch.
//!
//! <https://hl7.org/fhir/R4/fhirpatch.html>
//!
//! `from` and `to` name versions; by default the last change: the version before the current one, and it.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::json::{Json, Limits, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::tree::Tree;
use crate::interaction::context::Context;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{permission, redact};
use crate::store::resources::Stored;

/// The most operations that are told.
const MOST: usize = 10_000;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let of = operation.resource_type.zip(operation.id.as_ref());
    let (resource_type, id) = of.ok_or_else(|| Outcome::not_supported("$diff is asked on an instance"))?;
    let permit = permission::ask(ctx, Permission::Read, &[resource_type])?;
    let narrowing = permit.narrowing().of(resource_type);
    let store = &ctx.app.store;
    let given = inputs(operation);
    let version = |name: &str| match given.iter().find(|(it, _)| it == name) {
        None => Ok(None),
        Some((_, value)) => match value.rsplit('/').next().and_then(|it| it.parse::<i32>().ok()) {
            Some(version) => Ok(Some(version)),
            None => Err(Outcome::value("not a version").at(name)),
        },
    };
    let to = match version("to")? {
        Some(to) => to,
        None => {
            let current = store.read(ctx.tenant(), resource_type, id, narrowing, permit.classes()).await?;
            current.ok_or_else(Outcome::not_found)?.version
        }
    };
    let from = version("from")?.unwrap_or(to - 1);
    let mut trail = Trail::under(&permit);
    let mut trees = Vec::new();
    for version in [from, to] {
        let stored =
            store.version(ctx.tenant(), (resource_type, id), version, narrowing, permit.classes()).await?;
        let stored = stored.filter(|it| permission::shows(ctx, &permit, it));
        let stored = stored.ok_or_else(Outcome::not_found)?;
        trail.add(ctx, &stored);
        trees.push(tree(&redact::shown(ctx, &permit, stored)?)?);
    }
    let mut changes = Vec::new();
    if let [from, to] = trees.as_slice() {
        compare(resource_type.name(), from, to, &mut changes);
    }
    if changes.len() > MOST {
        return Err(Outcome::too_costly("the versions have too little in common"));
    }
    let body = format!(
        "{{\"resourceType\":\"Parameters\"{}}}",
        match changes.as_slice() {
            [] => String::new(),
            changes => format!(",\"parameter\":[{}]", changes.join(",")),
        }
    );
    Ok(Done { response: Response::ok(body), trail: Some(trail) })
}

/// The content of a version; nothing of a deletion.
fn tree(stored: &Stored) -> Result<Tree, Outcome> {
    if stored.is_deleted() {
        return Ok(Tree::Object(Vec::new()));
    }
    Ok(Tree::from(&Json::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?))
}

fn compare(path: &str, from: &Tree, to: &Tree, changes: &mut Vec<String>) {
    match (from, to) {
        (Tree::Object(before), Tree::Object(after)) => {
            for (name, value) in before {
                let inner = format!("{path}.{name}");
                match to.get(name) {
                    None => changes.push(change("delete", &inner, None)),
                    Some(now) => compare(&inner, value, now, changes),
                }
            }
            for (name, value) in after.iter().filter(|(name, _)| from.get(name).is_none()) {
                changes.push(change("insert", &format!("{path}.{name}"), Some(value)));
            }
        }
        (Tree::Array(before), Tree::Array(after)) => {
            let shared = before.len().min(after.len());
            for (place, (one, other)) in before.iter().zip(after).enumerate() {
                compare(&format!("{path}[{place}]"), one, other, changes);
            }
            for (place, value) in after.iter().enumerate().skip(shared) {
                changes.push(change("insert", &format!("{path}[{place}]"), Some(value)));
            }
            for place in (shared..before.len()).rev() {
                changes.push(change("delete", &format!("{path}[{place}]"), None));
            }
        }
        _ if from.is_equal(to) => {}
        _ => changes.push(change("replace", path, Some(to))),
    }
}

/// One operation. The value is told as text where it is not a plain JSON value: a name of its type would need
/// the definitions, and the reader sees the element's path.
fn change(kind: &str, path: &str, value: Option<&Tree>) -> String {
    let part =
        |name: &str, value: &str| format!("{{\"name\":{},\"valueString\":{}}}", quote(name), quote(value));
    let mut parts = vec![format!("{{\"name\":\"type\",\"valueCode\":{}}}", quote(kind)), part("path", path)];
    if let Some(value) = value {
        let text = value.to_json();
        parts.push(match value {
            Tree::Leaf(leaf) if leaf.starts_with('"') => {
                format!("{{\"name\":\"value\",\"valueString\":{leaf}}}")
            }
            Tree::Leaf(leaf) if leaf == "true" || leaf == "false" => {
                format!("{{\"name\":\"value\",\"valueBoolean\":{leaf}}}")
            }
            Tree::Leaf(leaf) => format!("{{\"name\":\"value\",\"valueDecimal\":{leaf}}}"),
            _ => part("value", &text),
        });
    }
    format!("{{\"name\":\"operation\",\"part\":[{}]}}", parts.join(","))
}

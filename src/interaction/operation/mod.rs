//! Operations: one file each, and the table of where each may be asked.
//!
//! <https://hl7.org/fhir/R4/operations.html>

mod access_explain;
mod accounting_of_disclosures;
mod break_glass;
mod closure;
mod convert;
mod count;
mod diff;
mod docref;
mod everything;
mod expand;
mod explain;
mod given;
mod lastn;
mod lookup;
mod member_match;
mod meta;
mod purge;
mod refresh_members;
mod reidentify;
mod reindex;
mod subsumes;
mod translate;
mod validate;
mod validate_code;

use super::context::Context;
use super::record::Done;
use super::request::{Operation, Parameters};
use crate::fhir::outcome::Outcome;

/// Where an operation may be asked.
pub(super) struct Mounted {
    /// The name without `$`.
    pub(super) name: &'static str,
    /// The types it is asked on; empty for every type.
    pub(super) types: &'static [&'static str],
    /// On the system, on a type, on an instance.
    pub(super) levels: (bool, bool, bool),
}

/// Every operation that there is.
pub(super) const OPERATIONS: &[Mounted] = &[
    Mounted { name: "access-explain", types: &[], levels: (true, false, false) },
    Mounted { name: "accounting-of-disclosures", types: &["Patient"], levels: (false, false, true) },
    Mounted { name: "break-glass", types: &["Patient"], levels: (false, false, true) },
    Mounted { name: "validate", types: &[], levels: (false, true, true) },
    Mounted { name: "meta", types: &[], levels: (false, false, true) },
    Mounted { name: "meta-add", types: &[], levels: (false, false, true) },
    Mounted { name: "meta-delete", types: &[], levels: (false, false, true) },
    Mounted { name: "diff", types: &[], levels: (false, false, true) },
    Mounted { name: "convert", types: &[], levels: (true, false, false) },
    Mounted { name: "lastn", types: &["Observation"], levels: (false, true, false) },
    Mounted { name: "docref", types: &["DocumentReference"], levels: (false, true, false) },
    Mounted { name: "purge", types: &["Patient"], levels: (true, false, true) },
    Mounted { name: "expunge", types: &["Patient"], levels: (true, false, true) },
    Mounted { name: "legal-hold", types: &["Patient"], levels: (true, false, true) },
    Mounted { name: "lift-legal-hold", types: &["Patient"], levels: (true, false, true) },
    Mounted { name: "count", types: &[], levels: (false, true, false) },
    Mounted { name: "member-match", types: &["Patient"], levels: (false, true, false) },
    Mounted { name: "refresh-members", types: &["Group"], levels: (false, false, true) },
    Mounted { name: "everything", types: &["Patient", "Encounter"], levels: (false, true, true) },
    Mounted { name: "reidentify", types: &[], levels: (false, true, false) },
    Mounted { name: "reindex", types: &[], levels: (true, true, true) },
    Mounted { name: "explain", types: &[], levels: (false, true, false) },
    Mounted { name: "lookup", types: &["CodeSystem"], levels: (false, true, false) },
    Mounted { name: "validate-code", types: &["CodeSystem", "ValueSet"], levels: (false, true, true) },
    Mounted { name: "subsumes", types: &["CodeSystem"], levels: (false, true, true) },
    Mounted { name: "expand", types: &["ValueSet"], levels: (false, true, true) },
    Mounted { name: "translate", types: &["ConceptMap"], levels: (false, true, true) },
    Mounted { name: "closure", types: &["ConceptMap"], levels: (true, false, false) },
];

pub(super) async fn run(ctx: &Context, operation: Operation) -> Result<Done, Outcome> {
    if !OPERATIONS.iter().any(|it| it.is_asked(&operation)) {
        return Err(Outcome::not_supported("there is no such operation here"));
    }
    match operation.name.as_str() {
        "convert" => convert::run(ctx, operation),
        "access-explain" => access_explain::run(ctx, &operation).await,
        "accounting-of-disclosures" => accounting_of_disclosures::run(ctx, &operation).await,
        "break-glass" => break_glass::run(ctx, &operation).await,
        "validate" => validate::run(ctx, operation).await,
        "meta" => meta::read(ctx, &operation).await,
        "meta-add" => meta::change(ctx, &operation, meta::Change::Add).await,
        "meta-delete" => meta::change(ctx, &operation, meta::Change::Delete).await,
        "diff" => diff::run(ctx, &operation).await,
        "lastn" => lastn::run(ctx, &operation).await,
        "docref" => docref::run(ctx, &operation).await,
        "purge" | "expunge" => purge::run(ctx, &operation).await,
        "legal-hold" => purge::hold(ctx, &operation).await,
        "lift-legal-hold" => purge::lift(ctx, &operation).await,
        "count" => count::run(ctx, &operation).await,
        "member-match" => member_match::run(ctx, &operation).await,
        "refresh-members" => refresh_members::run(ctx, &operation).await,
        "everything" => everything::run(ctx, &operation).await,
        "reidentify" => reidentify::run(ctx, &operation).await,
        "reindex" => reindex::run(ctx, &operation).await,
        "explain" => explain::run(ctx, &operation).await,
        "lookup" => lookup::run(ctx, &operation).await,
        "validate-code" => validate_code::run(ctx, &operation).await,
        "subsumes" => subsumes::run(ctx, &operation).await,
        "expand" => expand::run(ctx, &operation).await,
        "translate" => translate::run(ctx, &operation).await,
        "closure" => closure::run(ctx, &operation).await,
        _ => Err(Outcome::not_supported("there is no such operation here")),
    }
}

impl Mounted {
    fn is_asked(&self, operation: &Operation) -> bool {
        let of = operation.resource_type.map_or("", |it| it.name());
        let (system, on_type, instance) = self.levels;
        let is_level = match (operation.resource_type, &operation.id) {
            (None, _) => system,
            (Some(_), None) => on_type,
            (Some(_), Some(_)) => instance,
        };
        self.name == operation.name
            && is_level
            && (self.types.is_empty() || of.is_empty() || self.types.contains(&of))
    }
}

/// Input from the query string, or from a Parameters resource.
fn inputs(operation: &Operation) -> Parameters {
    let mut given = operation.parameters.clone();
    let body = operation.body.as_ref().and_then(|it| it.root().get("parameter"));
    for parameter in body.into_iter().flat_map(|it| it.items()) {
        let Some(name) = parameter.string("name") else { continue };
        for (key, value) in parameter.members() {
            if key.as_str().is_some_and(|it| it.starts_with("value")) {
                let text = value.as_str().unwrap_or_else(|| value.raw().into());
                given.push((name.to_string(), text.into_owned()));
            }
        }
    }
    given
}

//! `$explain`: how the database goes about a search, for whoever operates the server.
//!
//! It takes the parameters of a search of the type. The answer holds the query as it was understood, without
//! its values, and the database's plan with every value hidden: no resource is read.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::search::plan::plan;
use serde_json::{Value, json};

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$explain is asked on a type"));
    };
    let permit = permission::ask_operator(ctx, Permission::Search, &[resource_type])?;
    let base = ctx.app.fhir_base();
    let (query, issues) = plan(&ctx.setting(&base), &[resource_type], &inputs(operation))?;
    let understood = query.effective.iter().map(|(name, _)| name.as_str());
    let understood: Vec<Value> =
        understood.map(|it| json!({"name": "parameter", "valueString": it})).collect();
    let left_out = issues.iter().map(|it| json!({"name": "leftOut", "valueString": it.diagnostics}));
    let plan = ctx.app.store.explain(ctx.tenant(), &permit.search(query.clone()), ctx.verifier()).await?;
    let mut answer = understood;
    answer.extend(left_out);
    answer.push(json!({"name": "plan", "valueString": plan}));
    let body = json!({"resourceType": "Parameters", "parameter": answer}).to_string();
    Ok(Done { response: Response::ok(body), trail: Some(Trail::under(&permit)) })
}

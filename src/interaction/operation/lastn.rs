//! `$lastn`: the latest observations of each code.
//!
//! <https://hl7.org/fhir/R4/observation-operation-lastn.html>

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::{Context, MAX_COUNT};
use crate::interaction::record::Done;
use crate::interaction::request::{Operation, Parameters};
use crate::interaction::{permission, redact, search};
use crate::search::plan::plan;
use crate::store::resources::Stored;
use crate::store::search::SearchPage;
use std::collections::HashMap;

/// The most observations that are looked through.
const MOST: usize = 20_000;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$lastn is asked on Observation"));
    };
    let permit = permission::ask(ctx, Permission::Search, &[resource_type])?;
    let (max, mut parameters) = max_of(inputs(operation))?;
    if !parameters.iter().any(|(name, _)| name.starts_with("patient") || name.starts_with("subject")) {
        return Err(Outcome::required("a patient or subject is required").at("patient"));
    }
    parameters.push(("_sort".to_owned(), "-date".to_owned()));
    let base = ctx.app.fhir_base();
    let (mut query, issues) = plan(&ctx.setting(&base), &[resource_type], &parameters)?;
    query.count = MAX_COUNT;
    let mut of_code: HashMap<String, u32> = HashMap::new();
    let (mut found, mut looked_at) = (SearchPage::default(), 0);
    loop {
        let page =
            ctx.app.store.search(ctx.tenant(), &redact::asked(ctx, &permit, &query)?, ctx.verifier()).await?;
        looked_at += page.matches.len();
        for stored in page.matches {
            let codes = codes(&stored)?;
            // An observation is among the latest if it is for any of its codes.
            let is_latest = codes.iter().any(|it| of_code.get(it).copied().unwrap_or(0) < max);
            if is_latest {
                for code in codes {
                    *of_code.entry(code).or_default() += 1;
                }
                found.matches.push(stored);
            }
        }
        match page.next {
            None => break,
            Some(_) if looked_at >= MOST => {
                return Err(Outcome::too_costly(
                    "there are too many observations, ask for a code or category",
                ));
            }
            next => query.cursor = next,
        }
    }
    query.cursor = None;
    let place = format!("{}/$lastn", ResourceType::name(resource_type));
    search::answer(ctx, &permit, &place, &query, found, &issues).await
}

/// How many of each code, and the other parameters.
fn max_of(parameters: Parameters) -> Result<(u32, Parameters), Outcome> {
    let (max, rest): (Parameters, Parameters) = parameters.into_iter().partition(|(name, _)| name == "max");
    let max = match max.first() {
        None => 1,
        Some((_, value)) => value
            .parse()
            .ok()
            .filter(|it| *it > 0)
            .ok_or_else(|| Outcome::value("max is a whole number of at least 1").at("max"))?,
    };
    Ok((max, rest))
}

/// What the observation is of: each coding, or the text where there is none.
fn codes(stored: &Stored) -> Result<Vec<String>, Outcome> {
    let resource = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?;
    let code = resource.root().get("code");
    let codings = code.and_then(|it| it.get("coding"));
    let codes: Vec<String> = codings
        .into_iter()
        .flat_map(Node::items)
        .map(|it| {
            let (system, code) = (it.string("system"), it.string("code"));
            format!("{}|{}", system.unwrap_or_default(), code.unwrap_or_default())
        })
        .collect();
    if codes.is_empty() {
        let text = code.and_then(|it| it.string("text")).unwrap_or_default();
        return Ok(vec![format!("text {text}")]);
    }
    Ok(codes)
}

//! `$translate`: what a code is in another system.
//!
//! <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>

use super::given::{self, Given, part};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::{Shelf, instance};
use crate::terminology::concept_map::{ConceptMap, is_match};
use crate::terminology::library::canonical;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$translate is asked on ConceptMap"));
    };
    let mut shelf = Shelf::open(ctx, resource_type)?;
    let given = Given::of(operation);
    let maps = maps(&mut shelf, ctx, operation, &given).await?;
    let is_reverse = given.flag("reverse")?.unwrap_or(false);
    let target = given.text("targetsystem");
    let codings = given.codings("system")?;
    let (mut matches, mut found_any): (Vec<Value>, bool) = (Vec::new(), false);
    for map in &maps {
        for coding in &codings {
            let Some(system) = &coding.system else {
                return Err(Outcome::required("the system of the code is required").at("system"));
            };
            let found = match is_reverse {
                false => map.translate(system, &coding.code, target.as_deref()),
                true => map.translate_back(system, &coding.code, target.as_deref()),
            };
            for it in found {
                found_any |= is_match(it.equivalence);
                let mut concept = json!({ "system": it.system, "code": it.code });
                if let (Some(concept), Some(display)) = (concept.as_object_mut(), it.display) {
                    concept.insert("display".into(), display.into());
                }
                let mut parts = vec![part("equivalence", "Code", it.equivalence)];
                if !it.code.is_empty() {
                    parts.push(part("concept", "Coding", concept));
                }
                if !map.url.is_empty() {
                    parts.push(part("source", "Uri", canonical(&map.url, map.version.as_deref())));
                }
                matches.push(json!({ "name": "match", "part": parts }));
            }
        }
    }
    let mut out = vec![part("result", "Boolean", found_any)];
    if !found_any {
        out.push(part("message", "String", "no concept map has a match for this code"));
    }
    out.append(&mut matches);
    Ok(Done { response: Response::ok(given::parameters(&out)), trail: Some(shelf.trail) })
}

/// The maps to look into: the one that is named, or all between these value sets.
async fn maps(
    shelf: &mut Shelf<'_>,
    ctx: &Context,
    operation: &Operation,
    given: &Given<'_>,
) -> Result<Vec<Arc<ConceptMap>>, Outcome> {
    if let (Some(it), Some(id)) = (operation.resource_type, &operation.id) {
        let map = ConceptMap::read(instance(ctx, &mut shelf.trail, (it, id)).await?.root());
        return Ok(vec![Arc::new(map)]);
    }
    if let Some(map) = given.resource("conceptMap", "ConceptMap") {
        return Ok(vec![Arc::new(ConceptMap::read(map))]);
    }
    if let Some(url) = given.text("url") {
        let wanted = canonical(&url, given.text("conceptMapVersion").as_deref());
        shelf.concept_maps("url", &wanted).await?;
        return match shelf.library.concept_maps() {
            [] => {
                let message = format!("the concept map {wanted} is not known here");
                Err(Issue::error(IssueType::NotFound, message).at("url").into())
            }
            maps => Ok(maps.to_vec()),
        };
    }
    shelf.all_concept_maps().await?;
    let (source, target) = (given.text("source"), given.text("target"));
    let mut maps = shelf.library.concept_maps().to_vec();
    maps.retain(|it| {
        source.as_ref().is_none_or(|wanted| it.source.as_ref() == Some(wanted))
            && target.as_ref().is_none_or(|wanted| it.target.as_ref() == Some(wanted))
    });
    Ok(maps)
}

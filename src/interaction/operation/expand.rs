//! `$expand`: the codes of a value set, written out.
//!
//! <https://hl7.org/fhir/R4/valueset-operation-expand.html>

use super::given::Given;
use super::validate_code::value_set;
use crate::fhir::date_time::instant;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::Shelf;
use crate::terminology::expand::{Member, Ready};
use crate::terminology::value_set::ValueSet;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};

/// The most codes that are looked through.
const MOST_LOOKED_AT: usize = 100_000;
/// The most codes of an answer that is not paged.
const MOST_AT_ONCE: usize = 10_000;

/// How an expansion is wanted.
struct Wish {
    filter: Option<String>,
    offset: Option<usize>,
    count: Option<usize>,
    active_only: bool,
    designations: bool,
    language: Option<String>,
    is_nested: bool,
}

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$expand is asked on ValueSet"));
    };
    let mut shelf = Shelf::open(ctx, resource_type)?;
    let given = Given::of(operation);
    let wish = Wish {
        filter: given.text("filter").map(|it| it.to_lowercase()).filter(|it| !it.trim().is_empty()),
        offset: given.number("offset")?,
        count: given.number("count")?,
        active_only: given.flag("activeOnly")?.unwrap_or(false),
        designations: given.flag("includeDesignations")?.unwrap_or(false),
        language: given.text("displayLanguage"),
        is_nested: given.flag("excludeNested")? == Some(false),
    };
    let value_set = value_set(&mut shelf, ctx, operation, &given).await?;
    let body = {
        let ready = Ready::new(&shelf.library, &value_set)?;
        let mut members = ready.members(MOST_LOOKED_AT)?;
        members.retain(|it| !(wish.active_only && it.is_inactive()));
        if let Some(filter) = &wish.filter {
            let words: Vec<&str> = filter.split_whitespace().collect();
            members.retain(|it| words.iter().all(|word| it.is_named(word)));
        }
        expansion(ctx, &value_set, &members, &wish)?
    };
    Ok(Done { response: Response::ok(body.to_string()), trail: Some(shelf.trail) })
}

fn expansion(
    ctx: &Context,
    value_set: &ValueSet,
    members: &[Member<'_>],
    wish: &Wish,
) -> Result<Value, Outcome> {
    let is_paged = wish.offset.is_some() || wish.count.is_some();
    let offset = wish.offset.unwrap_or(0);
    let count = wish.count.unwrap_or(MOST_AT_ONCE).min(MOST_AT_ONCE);
    if !is_paged && members.len() > MOST_AT_ONCE {
        return Err(Outcome::too_costly(format!(
            "the expansion has more than {MOST_AT_ONCE} codes, ask for pages with offset and count"
        )));
    }
    let page: Vec<&Member<'_>> = members.iter().skip(offset).take(count).collect();
    let contains = match wish.is_nested && !is_paged {
        true => nested(&page, wish),
        false => page.iter().map(|it| Value::Object(entry(it, wish))).collect(),
    };
    let mut expansion = json!({
        "identifier": format!("urn:uuid:{}", ctx.request_id),
        "timestamp": instant(ctx.now),
        "total": members.len(),
    });
    if let Some(out) = expansion.as_object_mut() {
        if is_paged {
            out.insert("offset".into(), offset.into());
        }
        out.insert("parameter".into(), parameters(members, wish).into());
        if !contains.is_empty() {
            out.insert("contains".into(), contains.into());
        }
    }
    let mut body = Map::new();
    body.insert("resourceType".into(), "ValueSet".into());
    for (name, text) in &value_set.about {
        body.insert(name.clone(), serde_json::from_str(text).unwrap_or_default());
    }
    body.entry("status").or_insert_with(|| "active".into());
    body.insert("expansion".into(), expansion);
    Ok(Value::Object(body))
}

/// What the expansion was made with, so that it can be made again.
fn parameters(members: &[Member<'_>], wish: &Wish) -> Vec<Value> {
    let mut out = Vec::new();
    out.extend(wish.filter.as_ref().map(|it| json!({ "name": "filter", "valueString": it })));
    out.extend(wish.offset.map(|it| json!({ "name": "offset", "valueInteger": it })));
    out.extend(wish.count.map(|it| json!({ "name": "count", "valueInteger": it })));
    out.extend(wish.language.as_ref().map(|it| json!({ "name": "displayLanguage", "valueCode": it })));
    if wish.active_only {
        out.push(json!({ "name": "activeOnly", "valueBoolean": true }));
    }
    if wish.designations {
        out.push(json!({ "name": "includeDesignations", "valueBoolean": true }));
    }
    let used: BTreeSet<(&str, &str)> =
        members.iter().filter_map(|it| Some((it.system, it.version?))).collect();
    out.extend(
        used.iter()
            .map(|(system, version)| json!({ "name": "version", "valueUri": format!("{system}|{version}") })),
    );
    out
}

fn entry(member: &Member<'_>, wish: &Wish) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("system".into(), member.system.into());
    if member.concept.is_some_and(|it| it.is_abstract()) {
        out.insert("abstract".into(), true.into());
    }
    if member.is_inactive() {
        out.insert("inactive".into(), true.into());
    }
    out.insert("code".into(), member.code.into());
    if let Some(display) = member.display(wish.language.as_deref()) {
        out.insert("display".into(), display.into());
    }
    if wish.designations {
        let designations: Vec<Value> = member
            .designations()
            .map(|it| {
                let mut out = Map::new();
                out.extend(it.language.as_ref().map(|it| ("language".to_owned(), it.as_str().into())));
                let usage = it.usage.as_deref().and_then(|it| serde_json::from_str(it).ok());
                out.extend(usage.map(|it: Value| ("use".to_owned(), it)));
                out.insert("value".into(), it.value.as_str().into());
                Value::Object(out)
            })
            .collect();
        if !designations.is_empty() {
            out.insert("designation".into(), designations.into());
        }
    }
    out
}

/// The codes below one another as their system has them: each under the last code before it that is its parent.
fn nested(page: &[&Member<'_>], wish: &Wish) -> Vec<Value> {
    let mut built: Vec<Map<String, Value>> = page.iter().map(|it| entry(it, wish)).collect();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut parents = Vec::with_capacity(page.len());
    for (place, member) in page.iter().enumerate() {
        let above = member.parents.iter().rev();
        parents.push(above.filter_map(|it| places.get(&(member.system, *it)).copied()).next());
        places.insert((member.system, member.code), place);
    }
    let mut top = Vec::new();
    for (place, parent) in parents.iter().enumerate().rev() {
        let mut own = built.get_mut(place).map(std::mem::take).unwrap_or_default();
        if let Some(Value::Array(list)) = own.get_mut("contains") {
            list.reverse();
        }
        match parent.and_then(|it: usize| built.get_mut(it)) {
            Some(parent) => {
                let list = parent.entry("contains").or_insert_with(|| Value::Array(Vec::new()));
                if let Some(list) = list.as_array_mut() {
                    list.push(Value::Object(own));
                }
            }
            None => top.push(Value::Object(own)),
        }
    }
    top.reverse();
    top
}

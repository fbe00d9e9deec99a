//! `$closure`: a table of which codes are above which, kept by a client and told by the server as it grows.
//!
//! <https://hl7.org/fhir/R4/conceptmap-operation-closure.html>,
//! <https://hl7.org/fhir/R4/terminology-service.html#closure>
//!
//! A table belongs to a client and to whom it speaks for: nobody else can read, extend or begin it anew. It holds
//! codes and nobody's record, so whoever may search code systems may keep one.

use super::given::{Given, coding};
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::Shelf;
use crate::store::closures::{ClosureCode, TableName};
use crate::terminology::expand::unknown_system;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most tables of one client.
const MOST_TABLES: i64 = 100;
/// The most codes of one table.
const MOST_CODES: usize = 5_000;
/// The longest name of a table, in bytes.
const LONGEST_NAME: usize = 200;
/// So often a table is read again that somebody else extended meanwhile.
const TRIES: u32 = 5;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let code_system = ResourceType::parse("CodeSystem");
    let code_system = code_system.ok_or_else(|| Outcome::exception("there is no type CodeSystem"))?;
    let mut shelf = Shelf::open(ctx, code_system)?;
    let given = Given::of(operation);
    let name = given.required("name")?;
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(Outcome::value(format!("a name has at most {LONGEST_NAME} bytes")).at("name"));
    }
    let owner = format!("{} {}", ctx.principal.client_id, ctx.principal.subject);
    let table = TableName { owner: &owner, name: &name };
    let told: Vec<(String, String)> = given
        .objects("concept")
        .map(|it| {
            let coding = coding(it);
            let system = coding.system.filter(|_| !coding.code.is_empty());
            system
                .map(|system| (system, coding.code))
                .ok_or_else(|| Outcome::required("a concept has a system and a code").at("concept"))
        })
        .collect::<Result<_, _>>()?;
    let since = given.number("version")?;
    let body = match (told.is_empty(), since) {
        (true, None) => begin(ctx, table).await?,
        _ => extend(ctx, &mut shelf, table, (&told, since)).await?,
    };
    Ok(Done { response: Response::ok(body.to_string()), trail: Some(shelf.trail) })
}

async fn begin(ctx: &Context, table: TableName<'_>) -> Result<Value, Outcome> {
    let store = &ctx.app.store;
    if store.other_closures(ctx.tenant(), table).await? >= MOST_TABLES {
        return Err(Outcome::too_costly(format!("a client keeps at most {MOST_TABLES} closure tables")));
    }
    store.begin_closure(ctx.tenant(), table).await?;
    Ok(concept_map(ctx, (&format!("Closure Table '{}' Creation", table.name), 0), Vec::new()))
}

/// Adds what is new, and tells every pair that the client has not been told: those that came with these codes, or
/// those that came after the version that it asks from.
async fn extend(
    ctx: &Context,
    shelf: &mut Shelf<'_>,
    table: TableName<'_>,
    (told, since): (&[(String, String)], Option<usize>),
) -> Result<Value, Outcome> {
    for _ in 0..TRIES {
        // Of a big system it holds what is asked of it, and that may have become more.
        shelf.clear();
        let Some((current, mut codes)) = ctx.app.store.closure(ctx.tenant(), table).await? else {
            let message = "there is no such closure table, begin it with the name alone";
            return Err(Issue::error(IssueType::NotFound, message).at("name").into());
        };
        let since = match since.map(i32::try_from) {
            None => current,
            Some(Ok(since)) if since <= current => since,
            Some(_) => {
                let message = "the closure table has no such version: it was begun anew";
                return Err(Outcome::business_rule(message).at("version"));
            }
        };
        let is_there = |(system, code): &(String, String)| {
            codes.iter().any(|it| it.system == *system && it.code == *code)
        };
        let new: BTreeSet<(String, String)> = told.iter().filter(|it| !is_there(it)).cloned().collect();
        if codes.len() + new.len() > MOST_CODES {
            return Err(Outcome::too_costly(format!("a closure table has at most {MOST_CODES} codes")));
        }
        let next = if new.is_empty() { current } else { current.saturating_add(1) };
        codes.extend(new.iter().map(|(system, code)| ClosureCode {
            system: system.clone(),
            code: code.clone(),
            version: next,
        }));
        let groups = groups(shelf, &codes, since).await?;
        let new: Vec<_> = new.into_iter().collect();
        if new.is_empty() || ctx.app.store.extend_closure(ctx.tenant(), table, current, new).await? {
            let title = format!("Updates for Closure Table '{}'", table.name);
            return Ok(concept_map(ctx, (&title, next), groups));
        }
    }
    Err(Outcome::conflict("others keep extending the closure table, try again"))
}

/// Every pair of which one came after that version, by system.
async fn groups(shelf: &mut Shelf<'_>, codes: &[ClosureCode], since: i32) -> Result<Vec<Value>, Outcome> {
    let mut of_system: BTreeMap<&str, Vec<&ClosureCode>> = BTreeMap::new();
    for code in codes {
        of_system.entry(&code.system).or_default().push(code);
    }
    let mut groups = Vec::new();
    for (url, codes) in of_system {
        if codes.iter().all(|it| it.version <= since) {
            continue;
        }
        shelf.asked = codes.iter().map(|it| it.code.clone()).collect();
        let system = shelf.code_system(url).await?.ok_or_else(|| unknown_system(url))?;
        let mut versions: HashMap<usize, i32> = HashMap::new();
        for it in &codes {
            match system.place(&it.code) {
                Some(place) => drop(versions.insert(place, it.version)),
                // What a new release of the system dropped is above nothing; what is new must be there.
                None if it.version <= since => {}
                None => {
                    let message = format!("there is no code {} in {url}", it.code);
                    return Err(Issue::error(IssueType::CodeInvalid, message).at("concept").into());
                }
            }
        }
        let mut elements = Vec::new();
        for it in &codes {
            let Some(place) = system.place(&it.code) else { continue };
            let above = system.above(place);
            let mut targets: Vec<&str> = above
                .iter()
                .filter(|above| versions.get(above).is_some_and(|other| it.version.max(*other) > since))
                .filter_map(|above| system.concepts.get(*above).map(|it| it.code.as_str()))
                .collect();
            targets.sort_unstable();
            if !targets.is_empty() {
                // R4: the target subsumes the source.
                let target = |code: &&str| json!({ "code": code, "equivalence": "subsumes" });
                let targets: Vec<Value> = targets.iter().map(target).collect();
                elements.push(json!({ "code": it.code, "target": targets }));
            }
        }
        if !elements.is_empty() {
            groups.push(json!({ "source": url, "target": url, "element": elements }));
        }
    }
    Ok(groups)
}

fn concept_map(ctx: &Context, (name, version): (&str, i32), groups: Vec<Value>) -> Value {
    let mut map = json!({
        "resourceType": "ConceptMap",
        "id": ctx.request_id.to_string(),
        "version": version.to_string(),
        "name": name,
        "status": "active",
        "experimental": true,
        "date": instant(ctx.now),
    });
    if let (Some(map), false) = (map.as_object_mut(), groups.is_empty()) {
        map.insert("group".to_owned(), groups.into());
    }
    map
}

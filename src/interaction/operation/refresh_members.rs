//! `Group/[id]/$refresh-members`: the members of a group as its filters describe them now.
//!
//! The group is changed like any resource: a new version, if the members are others than before.

use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::date_time::instant;
use crate::fhir::id::ResourceId;
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::tree::Tree;
use crate::interaction::context::Context;
use crate::interaction::create::New;
use crate::interaction::record::{self, Done, Trail};
use crate::interaction::request::{Instance, Operation};
use crate::interaction::response::Response;
use crate::interaction::{cohort, delete, permission, prepare, update};
use std::collections::BTreeSet;

const REFRESHED: &str = "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/members-refreshed";

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let (Some(resource_type), Some(id)) = (operation.resource_type, operation.id.clone()) else {
        return Err(Outcome::not_supported("$refresh-members is asked on a group"));
    };
    let of = Instance { resource_type, id };
    let permit = permission::ask(ctx, Permission::Update, &[resource_type])?;
    let store = &ctx.app.store;
    for attempt in 1.. {
        let narrowing = permit.narrowing().of(resource_type);
        let stored = store.read(ctx.tenant(), resource_type, &of.id, narrowing, permit.classes()).await?;
        let Some(stored) = stored.filter(|it| !it.is_deleted()) else { return Err(Outcome::not_found()) };
        let group = Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)?;
        let filters = cohort::filters(&group)?;
        if filters.is_empty() {
            let outcome =
                Outcome::business_rule("the group has no member-filter that says who belongs to it");
            return Err(outcome.at("Group.modifierExtension"));
        }
        let at = ctx.deed_time();
        let mut trail = Trail::under(&permit);
        let members = cohort::patients(ctx, &filters, at, &mut trail).await?;
        let refreshed = refreshed(&group, &members, at)?;
        prepare::validated(ctx, &refreshed).await?;
        let current = delete::current_of(&stored);
        let version = update::next(&of, Some(&current), ctx.deed_time());
        let new = New::version(ctx, &permit, &refreshed, &version, Kind::Update).await?;
        // What was looked at to find the members stands in the trail, too.
        let mut looked = record::row(ctx, Kind::Search, &permit);
        (looked.patients, looked.subjects, looked.entities) =
            (trail.patients, trail.subjects, trail.entities);
        match store.write(ctx.tenant(), vec![new.deed], vec![new.row, looked]).await {
            Ok(()) => return Ok(Done::recorded(Response::ok(new.stamped))),
            Err(error) => update::before_next_attempt(error, false, attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the group, try again"))
}

/// The group with these members, and the time.
fn refreshed(group: &Resource, members: &BTreeSet<ResourceId>, at: i64) -> Result<Resource, Outcome> {
    let mut tree = Tree::from(group.json());
    let Tree::Object(parts) = &mut tree else { return Err(Outcome::exception("a stored group is none")) };
    let text = |name: &str, value: &str| (name.to_owned(), Tree::string(value));
    let member = |id: &ResourceId| {
        let reference = Tree::Object(vec![text("reference", &format!("Patient/{id}"))]);
        Tree::Object(vec![("entity".to_owned(), reference)])
    };
    parts.retain(|(name, _)| name != "member" && name != "quantity");
    if !members.is_empty() {
        parts.push(("member".to_owned(), Tree::Array(members.iter().map(member).collect())));
    }
    let mark = Tree::Object(vec![text("url", REFRESHED), text("valueDateTime", &instant(at))]);
    match parts.iter_mut().find(|(name, _)| name == "extension") {
        Some((_, Tree::Array(extensions))) => {
            extensions.retain(|it| !it.get("url").is_some_and(|it| it.is_equal(&Tree::string(REFRESHED))));
            extensions.push(mark);
        }
        _ => parts.push(("extension".to_owned(), Tree::Array(vec![mark]))),
    }
    Resource::parse(tree.to_json(), &Limits::ACCEPTED)
}

//! `$meta`, `$meta-add`, `$meta-delete`: profiles, tags and labels of a resource.
//!
//! <https://hl7.org/fhir/R4/resource-operation-meta.html>
//!
//! Labels decide who may see a resource, so a change makes a new version like any other, and is recorded so.

use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::tree::Tree;
use crate::interaction::context::Context;
use crate::interaction::create::New;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::{Instance, Operation};
use crate::interaction::response::Response;
use crate::interaction::{delete, permission, prepare, update};
use crate::store::resources::Stored;

/// What becomes of the elements that the request names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// They are there afterwards.
    Add,
    /// They are not.
    Delete,
}

/// The parts of a Meta that may be changed.
const PARTS: [&str; 3] = ["profile", "security", "tag"];

pub(super) async fn read(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let of = instance(operation)?;
    let permit = permission::ask(ctx, Permission::Read, &[of.resource_type])?;
    let narrowing = permit.narrowing().of(of.resource_type);
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, permit.classes()).await?;
    let Some(stored) = stored.filter(|it| !it.is_deleted()) else { return Err(Outcome::not_found()) };
    let mut trail = Trail::under(&permit);
    trail.add(ctx, &stored);
    let resource = parsed(&stored)?;
    Ok(Done { response: Response::ok(answer(resource.root().get("meta"))), trail: Some(trail) })
}

pub(super) async fn change(ctx: &Context, operation: &Operation, change: Change) -> Result<Done, Outcome> {
    let of = instance(operation)?;
    let permit = permission::ask(ctx, Permission::Update, &[of.resource_type])?;
    let body = operation.body.as_ref().ok_or_else(|| Outcome::required("the parameter meta is required"))?;
    let parameters = body.root().get("parameter").into_iter().flat_map(Node::items);
    let mut named = parameters.filter(|it| it.string("name").as_deref() == Some("meta"));
    let meta = named.next().and_then(|it| it.get("valueMeta"));
    let meta = meta.ok_or_else(|| Outcome::required("the parameter meta is required"))?;
    let narrowing = permit.narrowing().of(of.resource_type);
    let store = &ctx.app.store;
    for attempt in 1.. {
        let stored = store.read(ctx.tenant(), of.resource_type, &of.id, narrowing, permit.classes()).await?;
        let Some(stored) = stored.filter(|it| !it.is_deleted()) else { return Err(Outcome::not_found()) };
        if stored.is_partial {
            return Err(permission::denied("a part of the resource may not be seen"));
        }
        let changed = changed(&stored, meta, change)?;
        prepare::validated(ctx, &changed).await?;
        let current = delete::current_of(&stored);
        let version = update::next(&of, Some(&current), ctx.deed_time());
        let new = New::version(ctx, &permit, &changed, &version, Kind::Update).await?;
        let stamped = Json::parse(new.stamped, &Limits::ACCEPTED)?;
        match store.write(ctx.tenant(), vec![new.deed], vec![new.row]).await {
            Ok(()) => return Ok(Done::recorded(Response::ok(answer(stamped.root().get("meta"))))),
            Err(error) => update::before_next_attempt(error, false, attempt).await?,
        }
    }
    Err(Outcome::conflict("others keep changing the resource, try again"))
}

fn instance(operation: &Operation) -> Result<Instance, Outcome> {
    match (operation.resource_type, &operation.id) {
        (Some(resource_type), Some(id)) => Ok(Instance { resource_type, id: id.clone() }),
        _ => Err(Outcome::not_supported("this is asked on an instance")),
    }
}

fn parsed(stored: &Stored) -> Result<Resource, Outcome> {
    Resource::parse(stored.text.as_bytes(), &Limits::ACCEPTED)
}

fn changed(stored: &Stored, meta: Node<'_>, change: Change) -> Result<Resource, Outcome> {
    let resource = parsed(stored)?;
    let mut tree = Tree::from(resource.json());
    if let (Tree::Object(members), None) = (&mut tree, resource.root().get("meta")) {
        members.push(("meta".to_owned(), Tree::Object(Vec::new())));
    }
    for part in PARTS {
        for item in meta.get(part).into_iter().flat_map(Node::items) {
            let Some(Tree::Object(members)) = tree.get_mut("meta") else { continue };
            let item = Tree::of(item);
            let place = members.iter().position(|(name, _)| name == part);
            match (place.and_then(|place| members.get_mut(place)), change) {
                (Some((_, Tree::Array(items))), Change::Add) => {
                    if !items.iter().any(|it| is_same(it, &item)) {
                        items.push(item);
                    }
                }
                (Some((_, Tree::Array(items))), Change::Delete) => items.retain(|it| !is_same(it, &item)),
                (_, Change::Add) => members.push((part.to_owned(), Tree::Array(vec![item]))),
                (_, Change::Delete) => {}
            }
        }
    }
    tree.prune();
    Resource::parse(tree.to_json(), &Limits::ACCEPTED)
}

/// Codings are the same by system and code; a profile by its URL.
fn is_same(one: &Tree, other: &Tree) -> bool {
    let same = |name: &str| match (one.get(name), other.get(name)) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is_equal(other),
        _ => false,
    };
    match one {
        Tree::Object(_) => same("system") && same("code"),
        _ => one.is_equal(other),
    }
}

fn answer(meta: Option<Node<'_>>) -> String {
    let meta = meta.map_or("{}", Node::raw);
    format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{{\"name\":\"return\",\"valueMeta\":{meta}}}]}}"
    )
}

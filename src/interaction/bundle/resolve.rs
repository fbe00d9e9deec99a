//! Which resource each entry of a transaction is about, before anything is written.

use super::entry::{Asked, located};
use crate::access::permit::Permit;
use crate::access::scope::Permission;
use crate::crypto::random;
use crate::fhir::bundle::Method;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::interaction::bundle::entry;
use crate::interaction::conditional::{self, Criteria, Found};
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::request::{Instance, Target};
use crate::store::resources::Stored;
use crate::store::unit::Unit;
use std::collections::HashMap;

/// What an entry comes to.
pub(super) enum Resolved {
    /// This resource is written.
    Write(Instance),
    /// A conditional create found it: nothing is written.
    Existing(Box<Stored>),
    /// These resources are deleted.
    Delete(Vec<Instance>),
    /// Something is asked, after all is written.
    Question,
}

/// Leave, asked for once per permission and type.
#[derive(Default)]
pub(super) struct Permits {
    asked: HashMap<(Permission, ResourceType), Permit>,
}

impl Permits {
    pub(super) fn get(
        &mut self,
        ctx: &Context,
        permission: Permission,
        resource_type: ResourceType,
    ) -> Result<Permit, Outcome> {
        if let Some(permit) = self.asked.get(&(permission, resource_type)) {
            return Ok(permit.clone());
        }
        let permit = permission::ask(ctx, permission, &[resource_type])?;
        self.asked.insert((permission, resource_type), permit.clone());
        Ok(permit)
    }
}

/// The permission that a method needs.
pub(super) fn permission_of(method: Method) -> Permission {
    match method {
        Method::Delete => Permission::Delete,
        Method::Post => Permission::Create,
        Method::Put | Method::Patch => Permission::Update,
        Method::Get | Method::Head => Permission::Read,
    }
}

/// The criteria that an entry is resolved by, if any.
pub(super) fn criteria(ctx: &Context, asked: &Asked) -> Result<Option<Criteria>, Outcome> {
    let parameters = match asked.method {
        Method::Post => asked.if_none_exist.clone().zip(Some(asked.created_type()?)),
        Method::Put | Method::Patch | Method::Delete => match asked.target()? {
            Target::Criteria { resource_type, parameters } => Some((parameters, resource_type)),
            Target::Instance(_) => None,
        },
        Method::Get | Method::Head => None,
    };
    let query = parameters.map(|(it, resource_type)| conditional::query(ctx, resource_type, &it));
    query.transpose().map_err(|outcome| located(outcome, asked.place))
}

/// Which resource an entry is about.
pub(super) async fn resolve(
    ctx: &Context,
    permits: &mut Permits,
    unit: Option<&mut Unit>,
    asked: &Asked,
    criteria: Option<&Criteria>,
) -> Result<Resolved, Outcome> {
    if matches!(asked.method, Method::Get | Method::Head) {
        return Ok(Resolved::Question);
    }
    let minted = || ResourceId::from(random::id(ctx.deed_time()));
    let resource_type = match asked.method {
        Method::Post => asked.created_type()?,
        _ => asked.target()?.resource_type(),
    };
    let (Some(criteria), Some(unit)) = (criteria, unit) else {
        return Ok(match (asked.method, asked.target()) {
            (Method::Delete, Ok(Target::Instance(of))) => Resolved::Delete(vec![of]),
            (Method::Put | Method::Patch, Ok(Target::Instance(of))) => Resolved::Write(of),
            _ => Resolved::Write(Instance { resource_type, id: minted() }),
        });
    };
    let search = permits.get(ctx, Permission::Search, resource_type)?;
    if asked.method == Method::Delete {
        let permit = permits.get(ctx, Permission::Delete, resource_type)?;
        let deletable = criteria.clone().within(permit.narrowing().of(resource_type).clone());
        let found = conditional::find(ctx, unit, &search, &deletable).await?;
        if found.len() > 1 {
            return Err(Outcome::precondition_failed("the criteria match more than one resource"));
        }
        let instances = found.into_iter().map(|it| Instance { resource_type, id: it.id });
        return Ok(Resolved::Delete(instances.collect()));
    }
    Ok(match (conditional::find_one(ctx, unit, &search, criteria).await?, asked.method) {
        (Found::One(existing), Method::Post) => Resolved::Existing(existing),
        (Found::One(existing), _) => Resolved::Write(Instance { resource_type, id: existing.id }),
        (Found::None, Method::Patch) => return Err(Outcome::not_found()),
        (Found::None, Method::Put) => {
            let id = asked.resource.as_ref().and_then(|it| it.id().cloned());
            Resolved::Write(Instance { resource_type, id: id.unwrap_or_else(minted) })
        }
        (Found::None, _) => Resolved::Write(Instance { resource_type, id: minted() }),
    })
}

/// What the references of the bundle become.
#[derive(Default)]
pub(super) struct Links {
    by_url: HashMap<String, String>,
}

impl Links {
    /// An entry became that resource.
    pub(super) fn add(&mut self, asked: &Asked, of: &Instance) {
        if let Some(url) = &asked.full_url {
            self.by_url.insert(url.clone(), format!("{}/{}", of.resource_type, of.id));
        }
    }

    /// What a conditional reference came to.
    pub(super) fn add_conditional(&mut self, reference: String, of: String) {
        self.by_url.insert(reference, of);
    }

    /// What a reference in an entry becomes; nothing if it stays. A relative one is meant relative to the
    /// entry's own `fullUrl`: <https://hl7.org/fhir/R4/bundle.html#references>
    pub(super) fn resolve(&self, full_url: Option<&str>, reference: &str) -> Option<String> {
        if self.by_url.is_empty() {
            return None;
        }
        if let Some(found) = self.by_url.get(reference) {
            return Some(found.clone());
        }
        let (plain, version) = match reference.split_once("/_history/") {
            Some((plain, _)) => (plain, true),
            None => (reference, false),
        };
        // A version of what is only being written cannot be meant.
        if version {
            return None;
        }
        match (Reference::parse(plain)?, Reference::parse(full_url?)?) {
            (Reference::Resource { base: None, .. }, Reference::Resource { base: Some(base), .. }) => {
                self.by_url.get(&format!("{base}/{plain}")).cloned()
            }
            _ => None,
        }
    }
}

/// The resource that a conditional reference singles out: `Type/id`. Where none is stored, it may be one that the
/// same bundle writes.
pub(super) async fn reference(
    ctx: &Context,
    (permits, unit): (&mut Permits, &mut Unit),
    reference: &str,
    written: &[(&Instance, &Resource)],
) -> Result<String, Outcome> {
    let (resource_type, criteria) = reference_criteria(ctx, reference)?;
    let search = permits.get(ctx, Permission::Search, resource_type)?;
    match conditional::find_one(ctx, unit, &search, &criteria).await? {
        Found::One(existing) => Ok(format!("{resource_type}/{}", existing.id)),
        Found::None => {
            let mut met = written.iter().filter(|(_, resource)| criteria.are_met_by(ctx, resource));
            match (met.next(), met.next()) {
                (Some((of, _)), None) => Ok(format!("{}/{}", of.resource_type, of.id)),
                (Some(_), Some(_)) => {
                    Err(Outcome::precondition_failed("a conditional reference matches several resources"))
                }
                (None, _) => Err(Outcome::precondition_failed("a conditional reference matches no resource")),
            }
        }
    }
}

/// The criteria of a conditional reference.
pub(super) fn reference_criteria(
    ctx: &Context,
    reference: &str,
) -> Result<(ResourceType, Criteria), Outcome> {
    match Reference::parse(reference) {
        Some(Reference::Conditional { resource_type, query }) => {
            Ok((resource_type, conditional::query(ctx, resource_type, &entry::decode(query))?))
        }
        _ => Err(Outcome::value("this is no reference")),
    }
}

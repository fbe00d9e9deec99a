//! `$access-explain`: why somebody may, or may not, see a resource: for those who see to privacy.
//!
//! Parameters: `user` (a reference such as `Practitioner/17`), `account` (the `sub` of their tokens), `role` (where they
//! have no account here), `client`, `scope` (everything where nothing is said), `patient` (in context), `purpose`,
//! `permission` (read where nothing is said), and `resource`, a type or an instance. The answer is a sentence.

use super::inputs;
use crate::access::decide::{Action, Decision, decide, layers};
use crate::access::explain::explain;
use crate::access::principal::Principal;
use crate::access::purpose;
use crate::access::scope::{Permission, Scopes};
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::fhir::seal_class::SealClasses;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::{Instance, Operation, Parameters};
use crate::interaction::response::Response;
use crate::search::extract;
use crate::search::predicate::Predicate;
use serde_json::json;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    if !ctx.facts.get()?.role.may_explain {
        return Err(permission::denied("the role may not ask why others may or may not"));
    }
    let given = inputs(operation);
    let asked = Asked::read(ctx, &given)?;
    let permit = permission::ask(ctx, Permission::Read, &[asked.resource_type])?;
    let mut trail = Trail::under(&permit);
    let facts = ctx.app.facts(&asked.principal).await?;
    let action = Action::on(asked.permission, [asked.resource_type]);
    let base = ctx.app.fhir_base();
    let decision = decide(ctx.definitions(), &base, &asked.principal, &facts, &action);
    let mut sentence = explain(&asked.principal, &action, &decision);
    let mut may = matches!(decision, Decision::Permit(_));
    if let (true, Some(of)) = (may, &asked.of) {
        let own = permit.narrowing().of(of.resource_type);
        let store = &ctx.app.store;
        let Some(stored) = store.read(ctx.tenant(), of.resource_type, &of.id, own, SealClasses::ALL).await?
        else {
            return Err(Outcome::not_found());
        };
        trail.add(ctx, &stored);
        let all = layers(ctx.definitions(), &base, &asked.principal, &facts, &action, of.resource_type);
        for (rule, predicate) in all {
            if holds(ctx, of, &predicate).await? {
                continue;
            }
            may = false;
            let who = asked.principal.fhir_user.as_deref().unwrap_or(&asked.principal.subject);
            sentence = format!("{who} does not see {}/{}: {rule}", of.resource_type, of.id);
            if rule.contains("Consent") {
                let named = consents(ctx, &stored.text).await?;
                sentence.push_str(&format!(" ({})", named.join(", ")));
            }
            sentence.push('.');
            break;
        }
    }
    let answer = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "permitted", "valueBoolean": may },
        { "name": "role", "valueCode": &*facts.role.name },
        { "name": "explanation", "valueString": sentence },
    ] });
    Ok(Done { response: Response::ok(answer.to_string()), trail: Some(trail) })
}

/// Whether the resource, as it stands, satisfies that.
async fn holds(ctx: &Context, of: &Instance, predicate: &Predicate) -> Result<bool, Outcome> {
    let store = &ctx.app.store;
    let stored = store.read(ctx.tenant(), of.resource_type, &of.id, predicate, SealClasses::NONE).await?;
    Ok(stored.is_some())
}

/// The Consents of the patients that a resource is about.
async fn consents(ctx: &Context, text: &str) -> Result<Vec<String>, Outcome> {
    let resource = Resource::parse(text.as_bytes(), &Limits::ACCEPTED)?;
    let patients = extract::index(ctx.definitions(), &ctx.app.fhir_base(), &resource).patients;
    let policy = ctx.app.policy(ctx.tenant()).await?;
    let ids = patients.iter().flat_map(|it| policy.consents_of(it));
    Ok(ids.map(|it| format!("Consent/{it}")).collect())
}

/// What is asked about.
struct Asked {
    principal: Principal,
    permission: Permission,
    resource_type: ResourceType,
    of: Option<Instance>,
}

impl Asked {
    fn read(ctx: &Context, given: &Parameters) -> Result<Asked, Outcome> {
        const KNOWN: [&str; 9] =
            ["user", "account", "role", "client", "scope", "patient", "purpose", "permission", "resource"];
        if let Some((unknown, _)) = given.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
            return Err(Outcome::not_supported("there is no such parameter").at(unknown.as_str()));
        }
        let one = |name: &str| given.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
        let permission = match one("permission").as_deref() {
            None | Some("read") => Permission::Read,
            Some("search") => Permission::Search,
            Some("create") => Permission::Create,
            Some("update") => Permission::Update,
            Some("delete") => Permission::Delete,
            Some(_) => {
                let reason = "one of read, search, create, update, delete";
                return Err(Outcome::value(reason).at("permission"));
            }
        };
        let resource =
            one("resource").ok_or_else(|| Outcome::required("a type or a resource").at("resource"))?;
        let (resource_type, id) = match resource.split_once('/') {
            Some((resource_type, id)) => (resource_type, Some(id)),
            None => (resource.as_str(), None),
        };
        let bad = |name: &str, reason: &str| Outcome::value(reason).at(name);
        let resource_type =
            ResourceType::parse(resource_type).ok_or_else(|| bad("resource", "not a resource type of R4"))?;
        let of = match id {
            None => None,
            Some(id) => {
                let id = ResourceId::parse(id).ok_or_else(|| bad("resource", "not an id"))?;
                Some(Instance { resource_type, id })
            }
        };
        let user = one("user");
        let scope = one("scope").unwrap_or_else(|| match user {
            Some(_) => "user/*.cruds".to_owned(),
            None => "system/*.cruds".to_owned(),
        });
        let purpose = match one("purpose") {
            None => None,
            Some(code) => {
                Some(purpose::known(&code).ok_or_else(|| bad("purpose", "not a purpose of use"))?.to_owned())
            }
        };
        let patient = match one("patient") {
            None => None,
            Some(id) => {
                let id = id.strip_prefix("Patient/").unwrap_or(&id);
                Some(ResourceId::parse(id).ok_or_else(|| bad("patient", "not an id"))?)
            }
        };
        let subject = one("account").or_else(|| user.clone()).unwrap_or_else(|| "a system".to_owned());
        let principal = Principal {
            tenant: ctx.tenant(),
            subject,
            client_id: one("client").unwrap_or_else(|| "any client".to_owned()),
            fhir_user: user,
            patient,
            scopes: Scopes::parse(&scope),
            role: one("role").filter(|it| it != crate::access::role::SERVER),
            strong_since: None,
            purpose,
            token_id: String::new(),
        };
        Ok(Asked { principal, permission, resource_type, of })
    }
}

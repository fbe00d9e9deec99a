//! `$reidentify`: whose pseudonym that is; for those who see to privacy alone.
//!
//! Asked on a type, in a body: `pseudonym`, `recipient` (as the manifest of the export names it) and a `reason`, which stands
//! in the trail beside whoever was found. A pseudonym cannot be turned back, so every id of the type is tried.

use crate::access::scope::Permission;
use crate::audit::event::Kind;
use crate::deidentify;
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{self, Done};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use serde_json::json;

/// So many ids are tried at a time.
const TOGETHER: u32 = 20_000;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let of = operation.resource_type.ok_or_else(|| Outcome::not_supported("this is asked on a type"))?;
    let permit = permission::ask(ctx, Permission::Read, &[of])?;
    if ctx.principal.fhir_user.is_none() || !ctx.facts.get()?.role.may_explain {
        return Err(permission::denied("only who sees to privacy finds out who a pseudonym is"));
    }
    let asked = Asked::read(operation)?;
    let (store, tenant) = (&ctx.app.store, ctx.tenant());
    let pseudonyms = store.tenant_keys(tenant).await?.pseudonyms(&asked.recipient);
    let mut after = i64::MIN;
    loop {
        let ids = store.logical_ids(tenant, of, after, TOGETHER).await?;
        let Some((last, _)) = ids.last() else { return Err(Outcome::not_found()) };
        after = *last;
        let found =
            ids.iter().find(|(_, id)| deidentify::pseudonym(&pseudonyms, of, id.as_str()) == asked.pseudonym);
        let Some((_, id)) = found else { continue };
        let narrowing = permit.narrowing().of(of);
        let stored = store.read(tenant, of, id, narrowing, permit.classes()).await?;
        let stored = stored.ok_or_else(Outcome::not_found)?;
        let mut row = record::row(ctx, Kind::Operation, &permit);
        row.rule = Some("reidentified".to_owned());
        row.subjects.extend(stored.subject);
        row.entities.push(record::entity(of, id, Some(stored.version)));
        row.detail = Some(format!("{of}/$reidentify for {}: {}", asked.recipient, asked.reason));
        // No trail, no answer.
        store.append_audit(tenant, vec![row]).await?;
        let answer = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "resource", "valueReference": { "reference": format!("{of}/{id}") } },
        ] });
        return Ok(Done::recorded(Response::ok(answer.to_string())));
    }
}

/// What is asked. It stands in a body, so that nobody is found by following a link.
struct Asked {
    pseudonym: String,
    recipient: String,
    reason: String,
}

impl Asked {
    fn read(operation: &Operation) -> Result<Asked, Outcome> {
        let body = operation.body.as_ref();
        let one = |name: &str| {
            let parameters = body.and_then(|it| it.root().get("parameter"));
            let mut named = parameters.into_iter().flat_map(|it| it.items());
            let found = named.find(|it| it.string("name").as_deref() == Some(name));
            let text = found.and_then(|it| it.string("valueString")).map(|it| it.into_owned());
            text.filter(|it| !it.trim().is_empty()).ok_or_else(|| {
                Outcome::required(format!("a Parameters resource with a {name} is required"))
                    .at("Parameters.parameter")
            })
        };
        Ok(Asked { pseudonym: one("pseudonym")?, recipient: one("recipient")?, reason: one("reason")? })
    }
}

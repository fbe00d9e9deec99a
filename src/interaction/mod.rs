//! The FHIR RESTful API without HTTP.
//!
//! [`perform`] is the one door: decide, act, record. There is no other way to touch a resource. An
//! interaction asks for a permit before it looks at anything, carries the permit's narrowing into every
//! question, and leaves its row in the trail before its answer leaves: a write in the statement of the deed
//! itself, everything else (reads, refusals, failures) here.

pub mod context;
pub mod export;
pub mod import;
pub mod readiness;
pub mod relabel;
pub mod request;
pub mod reserved;
pub mod response;
pub mod turned_away;
pub mod views;

mod audit_event;
mod beside;
mod bundle;
mod capabilities;
mod codes;
mod cohort;
mod conditional;
mod consent_decision;
mod create;
mod delete;
mod facts;
mod history;
mod operation;
mod page_link;
mod patch;
mod permission;
mod prepare;
mod read;
mod record;
mod redact;
mod search;
pub mod subset;
mod terminology;
mod update;

use crate::app::App;
use crate::fhir::id::TenantId;
use crate::fhir::outcome::Outcome;
use context::Context;
use record::{Asked, Done};
use request::{HistoryOf, Interaction, Statement};
use response::Response;
use std::future::Future;
use std::pin::Pin;

/// Every touch of a resource comes through here: decide, act, record.
///
/// # Errors
/// The interaction is refused or fails. What may not be known of is [`Outcome::not_found`]. Whatever cannot
/// be recorded is not answered.
pub async fn perform(ctx: &Context, interaction: Interaction) -> Result<Response, Outcome> {
    let asked = Asked::of(&interaction);
    let result = act(ctx, interaction).await;
    record::settle(ctx, &asked, result).await
}

/// The same where interactions are performed within one another: a batch.
fn perform_inside<'c>(
    ctx: &'c Context,
    interaction: Interaction,
) -> Pin<Box<dyn Future<Output = Result<Response, Outcome>> + Send + 'c>> {
    Box::pin(perform(ctx, interaction))
}

async fn act(ctx: &Context, interaction: Interaction) -> Result<Done, Outcome> {
    facts::learn(ctx).await?;
    let changes = facts::may_change(&interaction);
    let defines = codes::may_define(&interaction);
    let done = act_knowing(ctx, interaction).await;
    if changes {
        ctx.app.facts_changed(ctx.tenant());
    }
    if defines {
        ctx.app.untold_sets.forget();
    }
    done
}

async fn act_knowing(ctx: &Context, interaction: Interaction) -> Result<Done, Outcome> {
    match interaction {
        Interaction::Capabilities { statement: Statement::Full } => {
            Ok(Done::recorded(capabilities::statement(&ctx.app, &ctx.rules)))
        }
        Interaction::Capabilities { statement: Statement::Terminology } => {
            Ok(Done::recorded(capabilities::terminology(&ctx.app)))
        }
        Interaction::Read { of, parameters } if of.resource_type.name() == audit_event::NAME => {
            audit_event::read(ctx, &of, &parameters).await
        }
        Interaction::Vread { of, version, parameters } if of.resource_type.name() == audit_event::NAME => {
            audit_event::vread(ctx, &of, &version, &parameters).await
        }
        Interaction::History { of: HistoryOf::Instance(of), .. }
            if of.resource_type.name() == audit_event::NAME =>
        {
            audit_event::history(ctx, &of).await
        }
        Interaction::History { of: HistoryOf::Type(of), .. } if of.name() == audit_event::NAME => {
            Err(Outcome::not_supported("events have no history beyond themselves, search for them"))
        }
        Interaction::Read { of, parameters } => read::read(ctx, &of, &parameters).await,
        Interaction::Vread { of, version, parameters } => read::vread(ctx, &of, &version, &parameters).await,
        Interaction::Create { resource, if_none_exist } => create::run(ctx, resource, if_none_exist).await,
        Interaction::Update { target, resource, if_match, if_none_match_any } => {
            update::run(ctx, target, resource, &update::Precondition { if_match, if_none_match_any }).await
        }
        Interaction::Patch { target, patch, if_match } => patch::run(ctx, target, &patch, if_match).await,
        Interaction::Delete { target, if_match } => delete::run(ctx, target, if_match).await,
        Interaction::History { of, parameters } => history::run(ctx, &of, &parameters).await,
        Interaction::Search { resource_type: Some(it), compartment, parameters }
            if it.name() == audit_event::NAME =>
        {
            audit_event::search(ctx, it, compartment.as_ref(), &parameters).await
        }
        Interaction::Search { resource_type, compartment, parameters } => {
            search::run(ctx, resource_type, compartment.as_ref(), &parameters).await
        }
        Interaction::Bundle { bundle } => bundle::run(ctx, &bundle).await,
        Interaction::Operation(operation) => operation::run(ctx, operation).await,
    }
}

/// `GET /metadata`, which needs no principal: what the server is and can do.
/// It is told without a database, too: then as it was when that was last asked.
pub async fn capabilities(app: &App, tenant: TenantId, asked: Statement) -> Response {
    if asked == Statement::Terminology {
        return capabilities::terminology(app);
    }
    let rules = app.rules(tenant).await.unwrap_or_else(|_| app.known_rules(tenant));
    capabilities::statement(app, &rules)
}

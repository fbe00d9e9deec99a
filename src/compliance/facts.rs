//! What there is to know of the running system: asked once, judged by every check.
//!
//! Whatever cannot be found out fails the checks that need it: a report never takes silence for good news.

use crate::access::principal::Principal;
use crate::access::role;
use crate::access::scope::Scopes;
use crate::app::App;
use crate::audit::event::Kind;
use crate::audit::health::{self, Health};
use crate::audit::live;
use crate::audit::verify::Report as Verified;
use crate::compliance::probe::{self, Handshakes};
use crate::compliance::{certificate, review};
use crate::config::Config;
use crate::conformance::definitions::Definitions;
use crate::conformance::sealing::{self, Level, SealingPolicy};
use crate::crypto::sign::CheckpointPublicKey;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceType, TenantId};
use crate::fhir::json::{Json, Limits};
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::request::Interaction;
use crate::interaction::{perform, reserved};
use crate::store::audit_chain::Checkpoint;
use crate::store::audit_forward::Cursor;
use crate::store::backup::{BackupDeed, BackupRecord};
use crate::store::inspection::{AccountFacts, BareBody, KeyFacts, KindFacts, SchemaFault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How much of the database is looked at, body by body, in each table.
const BODIES: u32 = 200;
/// How far back events are counted, in microseconds: a year and a month.
const LOOK_BACK: i64 = 395 * 24 * 3600 * 1_000_000;

/// Something that was found out, or why it could not be.
pub type Found<T> = Result<T, String>;

/// What was found out.
pub struct Facts {
    /// When.
    pub now: i64,
    /// The settings.
    pub config: Arc<Config>,
    /// What of the schema is not as it must be.
    pub schema: Found<Vec<SchemaFault>>,
    /// The months of the trail that have a partition.
    pub months: Found<Vec<String>>,
    /// What happened in the last year, by kind.
    pub kinds: Found<Vec<KindFacts>>,
    /// When the trail was last reviewed.
    pub reviewed: Found<Option<i64>>,
    /// The wrapped keys.
    pub keys: Found<KeyFacts>,
    /// The accounts.
    pub accounts: Found<Vec<AccountFacts>>,
    /// How bodies lie in the database.
    pub bodies: Found<Bodies>,
    /// The tables in which a known value lies in the clear.
    pub plaintext: Found<Vec<String>>,
    /// How many known values were looked for.
    pub planted: usize,
    /// What the check of the whole trail found.
    pub chain: Found<Verified>,
    /// Whether the trail takes events, and they are chained.
    pub health: Health,
    /// The last checkpoint.
    pub checkpoint: Found<Option<Checkpoint>>,
    /// How far receivers of the trail outside were served, by name, and when they last took something.
    pub receivers: Found<Vec<(String, Cursor, i64)>>,
    /// What the server answered when it was knocked at; nothing where it does not speak TLS itself.
    pub handshakes: Option<Found<Handshakes>>,
    /// When the certificate ends; nothing where there is none.
    pub certificate_end: Option<Found<i64>>,
    /// The last backup that was made.
    pub backed_up: Found<Option<BackupRecord>>,
    /// The last one that was restored in a drill.
    pub drilled: Found<Option<BackupRecord>>,
    /// The agreements in force, and when each ends.
    pub agreements: Found<Vec<Agreement>>,
}

/// How bodies lie in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// How many were looked at.
    pub looked_at: usize,
    /// How many are no containers of ours, by type.
    pub malformed: BTreeMap<&'static str, usize>,
    /// How many show an element that must be sealed, by type.
    pub in_clear: BTreeMap<&'static str, usize>,
}

/// An agreement in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The id of its Contract.
    pub id: String,
    /// When it ends, where it does.
    pub ends: Option<i64>,
}

/// Finds out all there is. `keys` are those that may have signed checkpoints; `planted` are known values that must
/// lie nowhere in the clear.
pub async fn gather(
    app: &Arc<App>,
    tenant: TenantId,
    keys: &[CheckpointPublicKey],
    planted: &[String],
) -> Facts {
    let store = &app.store;
    let definitions = Arc::clone(&app.known_rules(tenant).definitions);
    let now = app.clock.now_microseconds();
    let certificate =
        app.config.listener.tls_certificate.as_ref().filter(|_| !app.config.listener.plain_http);
    Facts {
        now,
        config: Arc::clone(&app.config),
        schema: told(store.schema_faults(tenant).await),
        months: told(store.audit_months(tenant).await),
        kinds: told(store.audit_kinds(tenant, now - LOOK_BACK).await),
        reviewed: told(store.last_under_rule(tenant, Kind::TrailRead.code(), review::RULE).await),
        keys: told(store.key_facts(tenant).await),
        accounts: told(store.account_facts(tenant).await),
        bodies: told(store.bare_bodies(tenant, BODIES).await).and_then(|it| looked_at(&definitions, it)),
        plaintext: match planted {
            [] => Ok(Vec::new()),
            values => told(store.tables_holding(tenant, values).await),
        },
        planted: planted.len(),
        chain: told(live::verify(store, tenant, keys, Vec::new(), now).await),
        health: health::health(app, tenant).await,
        checkpoint: told(store.last_checkpoint(tenant).await),
        receivers: told(store.cursors(tenant).await),
        handshakes: match certificate {
            None => None,
            Some(_) => Some(probe::knock(app.config.listener.listen).await),
        },
        certificate_end: certificate.map(|file| certificate::end_of(file)),
        backed_up: told(store.last_backup(BackupDeed::Made).await),
        drilled: told(store.last_backup(BackupDeed::Drilled).await),
        agreements: agreements(app, tenant, now).await,
    }
}

fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Found<T> {
    result.map_err(|error| error.to_string())
}

/// Holds what anybody could read of a body against what must be sealed at the level `clinical`.
fn looked_at(definitions: &Definitions, bare: Vec<BareBody>) -> Found<Bodies> {
    let policy = told(SealingPolicy::embedded(&definitions.types, Level::Clinical))?;
    let mut bodies = Bodies { looked_at: bare.len(), ..Bodies::default() };
    for (resource_type, text) in bare {
        let resource = text.and_then(|text| Resource::parse(text, &Limits::ACCEPTED).ok());
        let Some(resource) = resource else {
            *bodies.malformed.entry(resource_type.name()).or_default() += 1;
            continue;
        };
        let spans = sealing::sealed_spans(definitions, &policy, &resource);
        let shows = |text: &str| text != "null" && !text.is_empty();
        if spans.iter().any(|it| resource.text().get(it.span.clone()).is_some_and(shows)) {
            *bodies.in_clear.entry(resource_type.name()).or_default() += 1;
        }
    }
    Ok(bodies)
}

/// Contracts that are in force, read through the door like anybody's.
async fn agreements(app: &Arc<App>, tenant: TenantId, now: i64) -> Found<Vec<Agreement>> {
    let ctx = context(app, tenant, "system/Contract.rs", now);
    let search = Interaction::Search {
        resource_type: ResourceType::parse("Contract"),
        compartment: None,
        parameters: vec![("_count".to_owned(), "1000".to_owned())],
    };
    let response = perform(&ctx, search).await.map_err(|_| "the Contracts could not be read".to_owned())?;
    let body = response.body.unwrap_or_default();
    let bundle = told(Json::parse(body, &Limits::ACCEPTED))?;
    let entries = bundle.root().get("entry").into_iter().flat_map(|it| it.items());
    let in_force = entries.filter_map(|entry| entry.get("resource")).filter(|it| {
        it.string("status").is_some_and(|status| status == "executed" || status == "executable")
    });
    let agreement = |contract: crate::fhir::json::Node<'_>| Agreement {
        id: contract.string("id").unwrap_or_default().into_owned(),
        ends: contract
            .get("applies")
            .and_then(|it| it.string("end"))
            .and_then(|end| DateTime::parse_date_time(&end))
            .map(|end| end.interval().high),
    };
    Ok(in_force.map(agreement).collect())
}

/// The server itself, at the door: recorded as anybody is.
pub(super) fn context(app: &Arc<App>, tenant: TenantId, scope: &str, now: i64) -> Context {
    let principal = Principal {
        tenant,
        subject: reserved::SERVER.to_owned(),
        client_id: reserved::SERVER.to_owned(),
        fhir_user: None,
        patient: None,
        scopes: Scopes::parse(scope),
        role: Some(role::SERVER.to_owned()),
        strong_since: None,
        purpose: Some("HSYSADMIN".to_owned()),
        token_id: String::new(),
    };
    Context::new(app, app.known_rules(tenant), principal, now)
}

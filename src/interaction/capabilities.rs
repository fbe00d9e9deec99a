//! The CapabilityStatement: what is mounted, and nothing else.
//!
//! <https://hl7.org/fhir/R4/http.html#capabilities>
//!
//! Public by specification: it holds nothing of anybody, so it asks for no permit and leaves no row.

use super::audit_event;
use super::operation::OPERATIONS;
use super::response::Response;
use crate::app::App;
use crate::app::rules::Rules;
use crate::conformance::capability::{self, Mounted, MountedOperation, Security};
use crate::conformance::terminology_capabilities::{self, About};
use crate::fhir::id::ResourceType;

/// What every type has.
const INTERACTIONS: [&str; 9] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// Types that are sent and never kept.
const TRANSIENT: [&str; 2] = ["Parameters", "OperationOutcome"];

/// What the extension `oauth-uris` names: some clients read nothing else.
const ENDPOINTS: [&str; 6] = ["authorize", "token", "register", "introspect", "revoke", "manage"];

/// The CapabilityStatements that are honoured.
const INSTANTIATES: [&str; 2] = [
    "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server",
    "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data",
];

/// Operations that are asked for by themselves and answered later: on the system, and on these types.
const ASYNCHRONOUS: [(&str, &[&str]); 4] =
    [("export", &[]), ("export", &["Patient", "Group"]), ("import", &[]), ("viewdefinition-export", &[])];

/// Operations whose answers are no resources: on the system.
const OF_ROWS: [&str; 1] = ["viewdefinition-run"];

/// The definitions of operations that no loaded package has.
const OURS: [(&str, &str); 7] = [
    ("count", "urn:vesta:operation:count"),
    ("import", "urn:vesta:operation:import"),
    ("member-match", "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"),
    ("refresh-members", "urn:vesta:operation:refresh-members"),
    ("reidentify", "urn:vesta:operation:reidentify"),
    ("viewdefinition-export", "http://sql-on-fhir.org/OperationDefinition/$viewdefinition-export"),
    ("viewdefinition-run", "http://sql-on-fhir.org/OperationDefinition/$viewdefinition-run"),
];

/// When what is said here was last changed.
const CHANGED: &str = "2026-11-25";

/// The TerminologyCapabilities.
pub(super) fn terminology(app: &App) -> Response {
    let base = app.fhir_base();
    let about = About { base: &base, software_version: env!("CARGO_PKG_VERSION"), date: CHANGED };
    Response::ok(terminology_capabilities::statement(&about))
}

pub(super) fn statement(app: &App, rules: &Rules) -> Response {
    Response::ok(rules.capability_statement(|| text(app, rules)).to_owned())
}

fn text(app: &App, rules: &Rules) -> String {
    let base = app.fhir_base();
    let types: Vec<(ResourceType, Vec<&str>)> = ResourceType::all()
        .filter(|it| !TRANSIENT.contains(&it.name()))
        .map(|it| match it.name() {
            audit_event::NAME => (it, vec!["read", "vread", "history-instance", "search-type"]),
            _ => (it, INTERACTIONS.to_vec()),
        })
        .collect();
    let of_all: Vec<ResourceType> = types.iter().map(|(it, _)| *it).collect();
    let operations = OPERATIONS.iter().map(|it| MountedOperation {
        name: it.name,
        types: match it.types {
            _ if it.levels == (true, false, false) => Vec::new(),
            [] => of_all.clone(),
            names => names.iter().filter_map(|it| ResourceType::parse(it)).collect(),
        },
        definition: definition(it.name),
    });
    let asynchronous = ASYNCHRONOUS.iter().map(|(name, types)| MountedOperation {
        name,
        types: types.iter().filter_map(|it| ResourceType::parse(it)).collect(),
        definition: definition(name),
    });
    let of_rows =
        OF_ROWS.iter().map(|name| MountedOperation { name, types: Vec::new(), definition: definition(name) });
    let endpoints = ENDPOINTS.map(|name| (name, app.config.authorization_endpoint(name)));
    let mounted = Mounted {
        base: &base,
        software_version: env!("CARGO_PKG_VERSION"),
        date: CHANGED,
        types,
        system_interactions: vec!["transaction", "batch", "search-system", "history-system"],
        operations: operations.chain(asynchronous).chain(of_rows).collect(),
        formats: vec!["application/fhir+json", "json", "application/fhir+xml", "xml"],
        patch_formats: vec!["application/json-patch+json", "application/fhir+json", "application/fhir+xml"],
        conditional_create: true,
        conditional_update: true,
        conditional_delete: "multiple",
        security: Some(Security {
            endpoints: endpoints.iter().map(|(name, url)| (*name, url.as_str())).collect(),
            ..Security::default()
        }),
        instantiates: INSTANTIATES.to_vec(),
        special_parameters: Vec::new(),
    };
    capability::statement(&rules.definitions, &mounted)
}

/// The definition of an operation that no loaded package has; empty where one has.
fn definition(name: &str) -> &'static str {
    OURS.iter().find(|(of, _)| *of == name).map_or("", |(_, url)| url)
}

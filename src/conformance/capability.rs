//! The CapabilityStatement: what this server does, told from the definitions and from what is mounted.
//!
//! <https://hl7.org/fhir/R4/capabilitystatement.html>, with the extensions of
//! <https://hl7.org/fhir/smart-app-launch/conformance.html>. Nothing is claimed here that [`Mounted`] does not
//! name.

use super::definitions::Definitions;
use super::guide::CapabilityOfType;
use super::search_parameter::{SearchParameter, SearchParameterKind};
use crate::fhir::id::ResourceType;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

const OAUTH_URIS: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris";
const SMART_CAPABILITIES: &str = "http://fhir-registry.smarthealthit.org/StructureDefinition/capabilities";
const COMBINATION: &str =
    "http://hl7.org/fhir/StructureDefinition/capabilitystatement-search-parameter-combination";
const EXPECTATION: &str = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation";
const COMPARTMENT: &str = "http://hl7.org/fhir/CompartmentDefinition/";
const STRUCTURE: &str = "http://hl7.org/fhir/StructureDefinition/";
const SECURITY_SERVICE: &str = "http://terminology.hl7.org/CodeSystem/restful-security-service";

/// What is mounted: the server's own word about itself.
#[derive(Clone, Debug, Default)]
pub struct Mounted<'a> {
    /// The FHIR base, without a closing slash.
    pub base: &'a str,
    /// The version of the program.
    pub software_version: &'a str,
    /// When this statement was last changed: a date or an instant.
    pub date: &'a str,
    /// Each type that is served, with its interactions: `read vread update patch delete history-instance
    /// history-type create search-type`.
    pub types: Vec<(ResourceType, Vec<&'a str>)>,
    /// Interactions of the whole system: `transaction batch search-system history-system`.
    pub system_interactions: Vec<&'a str>,
    /// Operations.
    pub operations: Vec<MountedOperation<'a>>,
    /// The formats that are read and written.
    pub formats: Vec<&'a str>,
    /// The formats of patches.
    pub patch_formats: Vec<&'a str>,
    /// `If-None-Exist` is heeded.
    pub conditional_create: bool,
    /// `PUT` and `PATCH` with a query are heeded.
    pub conditional_update: bool,
    /// How many a `DELETE` with a query may delete: `not-supported`, `single`, `multiple`.
    pub conditional_delete: &'a str,
    /// Where the authorization server is; nothing where there is none.
    pub security: Option<Security<'a>>,
    /// The CapabilityStatements that are honoured: what a loaded guide asks for in them is told by type.
    pub instantiates: Vec<&'a str>,
    /// Search parameters without an expression that are understood nevertheless: `_text`, `near` …
    pub special_parameters: Vec<&'a str>,
}

/// An operation that is mounted.
#[derive(Clone, Debug, Default)]
pub struct MountedOperation<'a> {
    /// The name without `$`.
    pub name: &'a str,
    /// The types that it is mounted on; none: on the system.
    pub types: Vec<ResourceType>,
    /// Its definition, where no loaded package has one of that name.
    pub definition: &'a str,
}

/// Where clients get their tokens.
#[derive(Clone, Debug, Default)]
pub struct Security<'a> {
    /// `authorize`, `token`, `register`, `introspect`, `revoke`, `manage`: what, and its URL.
    pub endpoints: Vec<(&'a str, &'a str)>,
    /// SMART capabilities: `launch-ehr`, `permission-v2` …
    pub capabilities: Vec<&'a str>,
}

/// The CapabilityStatement as JSON.
#[must_use]
pub fn statement(definitions: &Definitions, mounted: &Mounted<'_>) -> String {
    let mut rest = Map::new();
    rest.insert("mode".to_owned(), json!("server"));
    if let Some(security) = &mounted.security {
        rest.insert("security".to_owned(), security_of(security));
    }
    let resources =
        mounted.types.iter().map(|(of, interactions)| resource(definitions, mounted, *of, interactions));
    put(&mut rest, "resource", resources.collect());
    put(&mut rest, "interaction", codes(&mounted.system_interactions));
    let on_system = mounted.operations.iter().filter(|it| it.types.is_empty());
    put(&mut rest, "operation", on_system.map(|it| operation(definitions, it, None)).collect());
    let compartments = ["patient", "encounter", "practitioner", "relatedPerson", "device"];
    put(&mut rest, "compartment", compartments.map(|it| json!(format!("{COMPARTMENT}{it}"))).to_vec());

    let mut statement = Map::new();
    let texts = [
        ("resourceType", "CapabilityStatement"),
        ("id", "vesta"),
        ("url", &format!("{}/metadata", mounted.base)),
        ("version", mounted.software_version),
        ("name", "Vesta"),
        ("title", "Vesta FHIR R4 server"),
        ("status", "active"),
        ("date", mounted.date),
        ("publisher", "Vesta"),
        ("kind", "instance"),
    ];
    statement.extend(texts.map(|(name, value)| (name.to_owned(), json!(value))));
    put(&mut statement, "instantiates", mounted.instantiates.iter().map(|it| json!(it)).collect());
    statement.insert("software".to_owned(), json!({"name": "Vesta", "version": mounted.software_version}));
    statement.insert(
        "implementation".to_owned(),
        json!({"description": "Vesta FHIR R4 server", "url": mounted.base}),
    );
    statement.insert("fhirVersion".to_owned(), json!("4.0.1"));
    statement.insert("format".to_owned(), json!(mounted.formats));
    put(&mut statement, "patchFormat", mounted.patch_formats.iter().map(|it| json!(it)).collect());
    let guides = definitions.guides().iter().filter(|it| !it.canonical.is_empty());
    put(
        &mut statement,
        "implementationGuide",
        guides.map(|it| json!(format!("{}|{}", it.canonical, it.version))).collect(),
    );
    statement.insert("rest".to_owned(), json!([rest]));
    Value::from(statement).to_string()
}

/// FHIR has no empty arrays.
fn put(into: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        into.insert(name.to_owned(), Value::from(values));
    }
}

fn codes(codes: &[&str]) -> Vec<Value> {
    codes.iter().map(|code| json!({"code": code})).collect()
}

fn security_of(security: &Security<'_>) -> Value {
    let endpoints: Vec<Value> =
        security.endpoints.iter().map(|(what, url)| json!({"url": what, "valueUri": url})).collect();
    let mut extensions = vec![json!({"url": OAUTH_URIS, "extension": endpoints})];
    extensions
        .extend(security.capabilities.iter().map(|it| json!({"url": SMART_CAPABILITIES, "valueCode": it})));
    json!({
        "extension": extensions,
        "cors": true,
        "service": [{
            "coding": [{"system": SECURITY_SERVICE, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}],
            "text": "OAuth 2.0 with SMART App Launch",
        }],
        "description": "Every request needs an access token of the SMART authorization server",
    })
}

fn resource(
    definitions: &Definitions,
    mounted: &Mounted<'_>,
    of: ResourceType,
    interactions: &[&str],
) -> Value {
    let asked: Vec<&CapabilityOfType> = definitions
        .guides()
        .iter()
        .flat_map(|guide| &guide.capabilities)
        .filter(|capability| mounted.instantiates.iter().any(|it| **it == *capability.url))
        .flat_map(|capability| &capability.types)
        .filter(|it| *it.resource_type == *of.name())
        .collect();
    let parameters: Vec<&Arc<SearchParameter>> =
        definitions.search_parameters(of).iter().filter(|it| is_searchable(it, mounted)).collect();
    let can_search = interactions.contains(&"search-type");
    let mut resource = Map::new();
    if can_search {
        put(&mut resource, "extension", combinations(&asked, &parameters));
    }
    resource.insert("type".to_owned(), json!(of.name()));
    resource.insert("profile".to_owned(), json!(format!("{STRUCTURE}{of}")));
    let profiles: BTreeSet<&str> = asked.iter().flat_map(|it| &it.profiles).map(|it| &**it).collect();
    put(&mut resource, "supportedProfile", profiles.into_iter().map(Value::from).collect());
    put(&mut resource, "interaction", codes(interactions));
    if interactions.contains(&"vread") {
        resource.insert("versioning".to_owned(), json!("versioned-update"));
        resource.insert("readHistory".to_owned(), json!(true));
    }
    let can_update = interactions.contains(&"update");
    resource.insert("updateCreate".to_owned(), json!(can_update));
    let can_create = interactions.contains(&"create");
    resource.insert("conditionalCreate".to_owned(), json!(mounted.conditional_create && can_create));
    resource.insert("conditionalRead".to_owned(), json!("full-support"));
    resource.insert("conditionalUpdate".to_owned(), json!(mounted.conditional_update && can_update));
    if interactions.contains(&"delete") && !mounted.conditional_delete.is_empty() {
        resource.insert("conditionalDelete".to_owned(), json!(mounted.conditional_delete));
    }
    resource.insert("referencePolicy".to_owned(), json!(["literal", "logical"]));
    if can_search {
        let references = parameters.iter().filter(|it| it.kind == SearchParameterKind::Reference);
        put(
            &mut resource,
            "searchInclude",
            references.map(|it| json!(format!("{of}:{}", it.code))).collect(),
        );
        put(&mut resource, "searchRevInclude", reverse_includes(definitions, mounted, of));
        put(&mut resource, "searchParam", parameters.iter().map(|it| parameter(it)).collect());
    }
    let operations = mounted.operations.iter().filter(|it| it.types.contains(&of));
    put(&mut resource, "operation", operations.map(|it| operation(definitions, it, Some(of))).collect());
    Value::from(resource)
}

/// A parameter without an expression is one that needs code of its own.
fn is_searchable(parameter: &SearchParameter, mounted: &Mounted<'_>) -> bool {
    let is_special = parameter.expression.is_none() || parameter.kind == SearchParameterKind::Special;
    !parameter.is_building && (!is_special || mounted.special_parameters.contains(&&*parameter.code))
}

fn parameter(parameter: &SearchParameter) -> Value {
    json!({"name": &*parameter.code, "definition": &*parameter.url, "type": parameter.kind.code()})
}

/// Combinations that guides ask for and that are all there, the strongest expectation first.
fn combinations(asked: &[&CapabilityOfType], parameters: &[&Arc<SearchParameter>]) -> Vec<Value> {
    let is_there = |code: &str| parameters.iter().any(|it| *it.code == *code);
    let mut said: BTreeSet<Vec<&str>> = BTreeSet::new();
    let mut values = Vec::new();
    for strength in ["SHALL", "SHOULD", "MAY"] {
        for (_, codes) in asked.iter().flat_map(|it| &it.combinations).filter(|(it, _)| **it == *strength) {
            let mut codes: Vec<&str> = codes.iter().map(|it| &**it).collect();
            codes.sort_unstable();
            if !codes.iter().all(|code| is_there(code)) || !said.insert(codes.clone()) {
                continue;
            }
            let mut parts = vec![json!({"url": EXPECTATION, "valueCode": strength})];
            parts.extend(codes.iter().map(|code| json!({"url": "required", "valueString": code})));
            values.push(json!({"url": COMBINATION, "extension": parts}));
        }
    }
    values
}

/// What may point at this type and says so; references to anything would fill pages.
fn reverse_includes(definitions: &Definitions, mounted: &Mounted<'_>, to: ResourceType) -> Vec<Value> {
    let mut found = Vec::new();
    for (from, _) in &mounted.types {
        for parameter in definitions.search_parameters(*from) {
            let is_narrow =
                parameter.targets.len() <= 20 || (from.name(), &*parameter.code) == ("Provenance", "target");
            if is_narrow && parameter.targets.contains(&to) && is_searchable(parameter, mounted) {
                found.push(json!(format!("{from}:{}", parameter.code)));
            }
        }
    }
    found
}

fn operation(definitions: &Definitions, mounted: &MountedOperation<'_>, on: Option<ResourceType>) -> Value {
    let known =
        || definitions.guides().iter().flat_map(|it| &it.operations).filter(|it| *it.code == *mounted.name);
    let of_type = known().find(|it| match on {
        Some(of) => it.resource_types.iter().any(|name| **name == *of.name()),
        None => it.on_system,
    });
    let definition = match of_type.or_else(|| known().next()) {
        Some(known) if mounted.definition.is_empty() => &known.url,
        _ => mounted.definition,
    };
    json!({"name": mounted.name, "definition": definition})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_mounted_and_what_the_guides_ask() {
        let definitions = Definitions::embedded().unwrap();
        let condition = ResourceType::parse("Condition").unwrap();
        let patient = ResourceType::parse("Patient").unwrap();
        let mounted = Mounted {
            base: "https://x.org/fhir",
            software_version: "1",
            date: "2026-12-01",
            types: vec![(condition, vec!["read", "search-type"]), (patient, vec!["read", "vread"])],
            operations: vec![MountedOperation { name: "everything", types: vec![patient], definition: "" }],
            security: Some(Security {
                endpoints: vec![("authorize", "https://x.org/a")],
                capabilities: vec!["launch-ehr"],
            }),
            instantiates: vec!["http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"],
            ..Mounted::default()
        };
        let statement: Value = serde_json::from_str(&statement(&definitions, &mounted)).unwrap();
        let of = &statement["rest"][0]["resource"][0];
        let combinations: Vec<String> = of["extension"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                let parts = it["extension"].as_array().unwrap().iter();
                parts.filter_map(|it| it["valueString"].as_str()).collect::<Vec<_>>().join("+")
            })
            .collect();
        for asked in ["category+patient", "asserted-date+patient", "abatement-date+patient"] {
            assert!(combinations.iter().any(|it| it == asked), "{asked} in {combinations:?}");
        }
        let profiles = of["supportedProfile"].to_string();
        assert!(profiles.contains("us-core-condition-encounter-diagnosis"), "{profiles}");
        let names: Vec<&str> =
            of["searchParam"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
        assert!(names.contains(&"asserted-date") && names.contains(&"_id") && !names.contains(&"_content"));
        assert_eq!(of["searchInclude"].to_string().matches("Condition:patient").count(), 1);
        let of = &statement["rest"][0]["resource"][1];
        assert_eq!(
            of["operation"][0]["definition"],
            "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        );
        assert!(of["searchParam"].is_null() && of["versioning"] == "versioned-update");
        assert_eq!(
            statement["rest"][0]["security"]["extension"][0]["extension"][0]["valueUri"],
            "https://x.org/a"
        );
        assert!(statement["implementationGuide"].to_string().contains("us/core"));
    }
}

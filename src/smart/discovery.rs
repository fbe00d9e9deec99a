//! What this server can do, for clients to read before they ask.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html>,
//! <https://openid.net/specs/openid-connect-discovery-1_0.html>,
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/brands.html>

use crate::app::App;
use crate::audit::event::Kind;
use crate::crypto::dpop;
use crate::smart::error::OAuthError;
use crate::smart::record::{self, Who};
use crate::smart::request::Request;
use serde_json::{Value, json};

const CAPABILITIES: [&str; 23] = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    "smart-app-state",
    "user-access-brands",
    "backend-services",
    "introspection",
];

const SCOPES: [&str; 16] = [
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "patient/*.rs",
    "patient/*.read",
    "user/*.cruds",
    "user/*.rs",
    "user/*.read",
    "system/*.cruds",
    "system/*.rs",
];

/// `/.well-known/smart-configuration`
#[must_use]
pub fn smart_configuration(app: &App) -> Value {
    let mut document = common(app);
    let public = app.config.public_url();
    if let Some(fields) = document.as_object_mut() {
        fields.insert("capabilities".to_owned(), json!(CAPABILITIES));
        fields.insert("management_endpoint".to_owned(), app.config.authorization_endpoint("manage").into());
        fields.insert(
            "user_access_brand_bundle".to_owned(),
            app.config.authorization_endpoint("brands").into(),
        );
        let identifier = json!({ "system": "urn:ietf:rfc:3986", "value": public });
        fields.insert("user_access_brand_identifier".to_owned(), identifier);
        let state = json!([{ "url": app.fhir_base(), "capabilities": ["smart-app-state"] }]);
        fields.insert("associated_endpoints".to_owned(), state);
    }
    document
}

/// `/.well-known/openid-configuration`, and `/.well-known/oauth-authorization-server` of RFC 8414.
#[must_use]
pub fn openid_configuration(app: &App) -> Value {
    let mut document = common(app);
    if let Some(fields) = document.as_object_mut() {
        for (name, value) in [
            ("subject_types_supported", json!(["public"])),
            ("id_token_signing_alg_values_supported", json!(["RS256", "ES256", "ES384"])),
            ("claim_types_supported", json!(["normal"])),
            (
                "claims_supported",
                json!(["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "acr", "fhirUser"]),
            ),
            ("prompt_values_supported", json!(["none", "login", "consent"])),
            ("request_parameter_supported", json!(false)),
            ("request_uri_parameter_supported", json!(false)),
        ] {
            fields.insert(name.to_owned(), value);
        }
    }
    document
}

fn common(app: &App) -> Value {
    let at = |name: &str| app.config.authorization_endpoint(name);
    let methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let all_methods: Vec<&str> = std::iter::once("none").chain(methods).collect();
    json!({
        "issuer": app.config.token_issuer(),
        "jwks_uri": format!("{}/.well-known/jwks.json", app.config.public_url()),
        "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"),
        "introspection_endpoint": at("introspect"),
        "revocation_endpoint": at("revoke"),
        "registration_endpoint": at("register"),
        "userinfo_endpoint": at("userinfo"),
        "end_session_endpoint": at("logout"),
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": all_methods,
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384", "RS256", "ES256"],
        "introspection_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": all_methods,
        "dpop_signing_alg_values_supported": dpop::ALGORITHMS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

/// The keys that tokens are checked with.
///
/// # Errors
/// The database fails.
pub async fn key_set(request: &Request) -> Result<String, OAuthError> {
    Ok(request.app.store.signing_keys(request.tenant).await?.public().to_json())
}

/// Makes new keys that sign; those before check, and are published, for another day.
///
/// # Errors
/// The database fails.
pub async fn rotate_keys(request: &Request) -> Result<(), OAuthError> {
    request.app.store.rotate_signing_keys(request.tenant, request.later(86_400)).await?;
    record::success(request, Who::default(), Kind::KeyChanged, "asked by an operator").await
}

/// Who runs this server, and where patients sign in: the user-access brands.
#[must_use]
pub fn brands(app: &App) -> Value {
    let (public, base) = (app.config.public_url(), app.fhir_base());
    let url = |path: &str| format!("{public}/auth/brands/{path}");
    json!({
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": "2026-12-01T00:00:00Z",
        "entry": [
            {
                "fullUrl": url("Organization/vesta"),
                "resource": {
                    "resourceType": "Organization",
                    "id": "vesta",
                    "meta": { "profile": ["http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-brand"] },
                    "extension": [{
                        "url": "http://hl7.org/fhir/StructureDefinition/organization-portal",
                        "extension": [
                            { "url": "portalName", "valueString": "Vesta" },
                            { "url": "portalUrl", "valueUrl": format!("{public}/auth/manage") },
                            { "url": "portalEndpoint", "valueReference": { "reference": "Endpoint/vesta" } }
                        ]
                    }],
                    "identifier": [{ "system": "urn:ietf:rfc:3986", "value": public }],
                    "active": true,
                    "name": "Vesta",
                    "telecom": [{ "system": "url", "value": public }],
                    "endpoint": [{ "reference": "Endpoint/vesta" }]
                }
            },
            {
                "fullUrl": url("Endpoint/vesta"),
                "resource": {
                    "resourceType": "Endpoint",
                    "id": "vesta",
                    "meta": { "profile": ["http://hl7.org/fhir/smart-app-launch/StructureDefinition/user-access-endpoint"] },
                    "extension": [{
                        "url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version",
                        "valueCode": "4.0.1"
                    }],
                    "status": "active",
                    "connectionType": {
                        "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                        "code": "hl7-fhir-rest"
                    },
                    "name": "FHIR R4",
                    "managingOrganization": { "reference": "Organization/vesta" },
                    "contact": [{ "system": "url", "value": public }],
                    "payloadType": [{
                        "coding": [{
                            "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
                            "code": "none"
                        }]
                    }],
                    "address": base
                }
            }
        ]
    })
}

/// How apps may look to fit in: <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html#smart_style_url>
#[must_use]
pub fn style() -> Value {
    json!({
        "color_background": "#fbfaf7",
        "color_error": "#a3261d",
        "color_highlight": "#8a3b12",
        "color_modal_backdrop": "",
        "color_success": "#2c6e49",
        "color_text": "#26221d",
        "dim_border_radius": "8px",
        "dim_font_size": "16px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, sans-serif",
        "font_family_heading": "system-ui, sans-serif"
    })
}

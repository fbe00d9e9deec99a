//! A seed: users, clients, launches and what they need of the record in one file, put again and again with the same result.
//!
//! ```toml
//! [[users]]
//! username = "ada@example.org"
//! password = "seven quiet otters paddle"
//! totp_secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"   # left out: the user enrols at the first sign-in
//! fhir_user = "Practitioner/ada"
//! recovery_codes = ["abcd-efgh-ijkl-mnop"]             # instead of those that there are
//! role = "provider"
//! name = "Ada Example"
//! identities = { hospital = "a-7f3c" }                 # her name at an identity provider: its `sub`
//!
//! [[identity_providers]]
//! id = "hospital"                                      # comes back to /auth/federation
//! name = "Example Hospital"
//! issuer = "https://login.hospital.example"
//! client_id = "vesta"
//! client_secret = "what the hospital gave"
//! trusts_second_factor = false                         # true: `mfa` in its `amr` is our second factor
//!
//! [[clients]]
//! id = "growth-chart"
//! client_name = "Growth Chart"
//! redirect_uris = ["https://growth.example/"]
//! token_endpoint_auth_method = "client_secret_basic"   # none, client_secret_post, private_key_jwt
//! secret = "at-least-sixteen-characters"
//! scope = "openid fhirUser launch patient/*.rs"        # left out: anything but system/
//!
//! [[clients]]
//! id = "backend"
//! token_endpoint_auth_method = "private_key_jwt"
//! grant_types = ["client_credentials"]
//! scope = "system/*.rs"
//! organization = "Organization/acme"                   # another organization's: it needs an agreement (Contract)
//! jwks_uri = "https://backend.example/jwks.json"       # or jwks = { keys = [ { … } ] }
//!
//! [[launches]]
//! client = "growth-chart"
//! user = "ada@example.org"
//! patient = "17"
//!
//! [[resources]]                                        # any resource, as it is: TOML for JSON
//! resourceType = "Patient"
//! id = "17"
//! name = [{ family = "Example", given = ["Ann"] }]
//!
//! [[care_teams]]
//! id = "ward-3"
//! patient = "17"
//! members = ["Practitioner/ada"]
//!
//! [[consents]]
//! id = "not-him"
//! patient = "17"
//! decision = "deny"                                    # or "permit"
//! actors = ["Practitioner/bob"]                        # left out: anybody
//! types = ["Observation"]                              # left out: everything
//! purposes = ["TREAT"]                                 # left out: any
//! ```
//!
//! Under `[[tenants]]`, with a `slug`, stand the users, clients and launches of another tenant:
//! `[[tenants.users]]` …
//!
//! What is not in the file stays as it is. A launch is made anew each time: it is good once.

mod records;

use crate::crypto::totp;
use crate::fhir::id::ResourceId;
use crate::smart::accounts::{self, User};
use crate::smart::client::{self, Registration};
use crate::smart::error::OAuthError;
use crate::smart::federation;
use crate::smart::launch::{self, Launch};
use crate::smart::request::Request;
use records::{SeedCareTeam, SeedConsent};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// What a file says.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    identity_providers: Vec<Table>,
    users: Vec<SeedUser>,
    clients: Vec<Table>,
    launches: Vec<SeedLaunch>,
    resources: Vec<Table>,
    care_teams: Vec<SeedCareTeam>,
    consents: Vec<SeedConsent>,
    tenants: Vec<SeedTenant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedTenant {
    slug: String,
    #[serde(default)]
    identity_providers: Vec<Table>,
    #[serde(default)]
    users: Vec<SeedUser>,
    #[serde(default)]
    clients: Vec<Table>,
    #[serde(default)]
    launches: Vec<SeedLaunch>,
    #[serde(default)]
    resources: Vec<Table>,
    #[serde(default)]
    care_teams: Vec<SeedCareTeam>,
    #[serde(default)]
    consents: Vec<SeedConsent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedUser {
    username: String,
    password: Option<String>,
    totp_secret: Option<String>,
    #[serde(default)]
    recovery_codes: Vec<String>,
    fhir_user: Option<String>,
    role: Option<String>,
    name: Option<String>,
    #[serde(default)]
    identities: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedLaunch {
    client: String,
    user: String,
    patient: Option<String>,
    encounter: Option<String>,
    intent: Option<String>,
    need_patient_banner: Option<bool>,
}

/// What was put.
#[derive(Default)]
pub struct Planted {
    /// How many users.
    pub users: usize,
    /// How many clients.
    pub clients: usize,
    /// How many resources that were not there, or said something else.
    pub resources: usize,
    /// The launches: where the app has a launch address, that, else the hidden name.
    pub launches: Vec<String>,
}

impl Seed {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not a seed: what is wrong, and where. No value of it is shown.
    pub fn parse(text: &str) -> Result<Seed, OAuthError> {
        toml::from_str(text).map_err(|error| {
            let line =
                error.span().and_then(|it| text.get(..it.start)).map_or(1, |it| it.lines().count().max(1));
            OAuthError::invalid_request(format!("line {line}: {}", error.message()))
        })
    }
}

impl Seed {
    /// Takes out what is for other tenants: the name of each, and a seed for it.
    #[must_use]
    pub fn take_tenants(&mut self) -> Vec<(String, Seed)> {
        let tenants = std::mem::take(&mut self.tenants).into_iter();
        let of = |it: SeedTenant| {
            let SeedTenant {
                slug,
                identity_providers,
                users,
                clients,
                launches,
                resources,
                care_teams,
                consents,
            } = it;
            let tenants = Vec::new();
            let seed = Seed {
                identity_providers,
                users,
                clients,
                launches,
                resources,
                care_teams,
                consents,
                tenants,
            };
            (slug, seed)
        };
        tenants.map(of).collect()
    }
}

/// Puts everything that a seed says of the tenant of the request.
///
/// # Errors
/// The first thing that cannot be put; what stands before it is.
pub async fn plant(request: &Request, seed: Seed) -> Result<Planted, OAuthError> {
    let mut planted = Planted::default();
    let mut resources = seed.resources.iter().map(records::of_table).collect::<Result<Vec<_>, _>>()?;
    resources.extend(seed.care_teams.iter().map(SeedCareTeam::resource));
    resources.extend(seed.consents.iter().map(SeedConsent::resource));
    for resource in &resources {
        planted.resources += usize::from(records::put(request, resource).await?);
    }
    for table in seed.identity_providers {
        put_provider(request, table).await?;
    }
    for user in seed.users {
        let identities = user.identities;
        let codes: Vec<String> = user.recovery_codes.iter().map(|it| totp::recovery_hash(it)).collect();
        let user = User {
            username: user.username,
            password: user.password.map(SecretString::from),
            totp_secret: user.totp_secret,
            fhir_user: user.fhir_user,
            name: user.name,
            role: user.role,
        };
        let id = accounts::put_user(request, &user).await?;
        if !codes.is_empty() {
            accounts::set_recovery_codes(request, id, codes).await?;
        }
        for (provider, subject) in &identities {
            federation::put_identity(request, id, (provider, subject)).await?;
        }
        planted.users += 1;
    }
    for table in seed.clients {
        put_client(request, table).await?;
        planted.clients += 1;
    }
    for it in seed.launches {
        planted.launches.push(begin(request, it).await?);
    }
    Ok(planted)
}

async fn put_provider(request: &Request, mut table: Table) -> Result<(), OAuthError> {
    let Some(Value::String(id)) = table.remove("id") else {
        return Err(OAuthError::invalid_request("an identity provider has no id"));
    };
    let registration = table.try_into().map_err(|error: toml::de::Error| {
        OAuthError::invalid_request(format!("identity provider {id}: {}", error.message()))
    })?;
    federation::put_provider(request, &id, &registration).await
}

async fn put_client(request: &Request, mut table: Table) -> Result<(), OAuthError> {
    let Some(Value::String(id)) = table.remove("id") else {
        return Err(OAuthError::invalid_request("a client has no id"));
    };
    let secret = match table.remove("secret") {
        None => None,
        Some(Value::String(secret)) => Some(SecretString::from(secret)),
        Some(_) => return Err(OAuthError::invalid_request(format!("client {id}: secret must be a string"))),
    };
    if let Some(unknown) = table.keys().find(|it| !Registration::FIELDS.contains(&it.as_str())) {
        return Err(OAuthError::invalid_request(format!("client {id}: there is no field {unknown}")));
    }
    let registration: Registration = table.try_into().map_err(|error: toml::de::Error| {
        OAuthError::invalid_request(format!("client {id}: {}", error.message()))
    })?;
    accounts::put_client(request, &id, (&registration, secret.as_ref())).await
}

async fn begin(request: &Request, seed: SeedLaunch) -> Result<String, OAuthError> {
    let unknown = |what: &str| OAuthError::invalid_request(format!("launch: there is no such {what}"));
    let app = client::find(request, &seed.client).await?.ok_or_else(|| unknown("client"))?;
    let user = request.app.store.account_named(request.tenant, &seed.user).await?;
    let user = user.ok_or_else(|| unknown("user"))?;
    for id in seed.patient.iter().chain(&seed.encounter) {
        if ResourceId::parse(id).is_none() {
            return Err(OAuthError::invalid_request("launch: patient and encounter are ids"));
        }
    }
    let launch = Launch {
        client: app.id.clone(),
        account: Some(user.id.to_string()),
        patient: seed.patient,
        encounter: seed.encounter,
        fhir_context: Vec::new(),
        intent: seed.intent,
        has_patient_banner: seed.need_patient_banner == Some(false),
    };
    let name = launch::begin(request, &launch).await?;
    let name = name.expose_secret();
    Ok(launch::launch_url(request, &app, name).unwrap_or_else(|| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_by_its_line_and_not_by_its_value() {
        let error = |text| Seed::parse(text).err().unwrap().description;
        let unknown = error("[[users]]\nusername = \"a\"\npasword = \"hunter2\"\n");
        assert!(unknown.starts_with("line ") && unknown.contains("pasword"), "{unknown}");
        assert!(!unknown.contains("hunter2"), "{unknown}");
        assert!(error("[[users]\n").starts_with("line 1"));
        assert!(Seed::parse("").unwrap().users.is_empty());
    }
}

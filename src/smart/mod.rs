//! The authorization server: OAuth 2.0, SMART App Launch, and OpenID Connect.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/>, <https://www.rfc-editor.org/rfc/rfc6749>,
//! <https://www.rfc-editor.org/rfc/rfc9700>, <https://openid.net/specs/openid-connect-core-1_0.html>
//!
//! A browser comes to `authorize`, which checks the request and keeps a `flow`; the flow shows one page after
//! the other (`login`, `directory`, `consent`) and ends with a code. A client comes to `token`, which finds out
//! who asks (`client`) and then what for (`grant`). Every step leaves a row in the trail before its answer
//! leaves. Nothing here knows HTTP: functions take parsed forms and give values, an [`error::OAuthError`], or
//! a [`page::Reply`].
//!
//! Left out on purpose: the implicit and password grants, request objects, and PKCE other than S256.

pub mod discovery;

pub mod authorize;
pub mod flow;
pub mod page;
pub mod session;

mod consent;
mod directory;
pub mod federation;
mod granting;
pub mod identity_provider;
mod login;
mod passkey;
mod remembered;

pub mod factors;
pub mod launch;
pub mod logout;
pub mod manage;

pub mod client;
pub mod grant;
pub mod token;

mod client_assertion;
pub mod dpop;
mod id_token;
mod jwks_uri;

pub mod access_token;
pub mod introspect;
pub mod revocation;
pub mod revoke;
pub mod user_info;

pub mod accounts;
pub mod administration;
pub mod register;
pub mod seed;

pub mod error;
pub mod request;

mod record;

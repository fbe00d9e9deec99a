//! Consent: what patients permit and forbid, as conditions on resources.
//!
//! <https://hl7.org/fhir/R4/consent.html>
//!
//! Active Consents of scope `patient-privacy` count. Who asks, for what purpose, with what action, and when, is
//! settled beforehand ([`directive`]: what is left is a [`shape::Shape`] that many patients share); what remains are
//! conditions on the resource ([`shape`]): class, code, label, dates, named data. A nested provision is an
//! exception to the one that it stands in; between Consents, and between provisions side by side, deny wins.
//!
//! # Decision 2026-11-24
//! * A patient without a Consent has forbidden nothing: roles and scopes decide. A provision without a type says
//!   nothing by itself; the root takes `policyRule` OPTIN and OPTOUT for one.
//! * A part of a provision that cannot be told (a class that is no resource type, an actor that is a care team)
//!   makes a deny wider and a permit narrower, never the other way.
//! * A provision that names no action is about access, use and disclosure: keeping a record is no choice of the
//!   patient's. Who may not see something may not change it either, unless the role writes what it does not see.

pub mod directive;
pub mod shape;

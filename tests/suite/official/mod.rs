//! HL7's own cases, run against us.

pub mod cases;
mod examples;
mod fhirpath;
mod mutations;
mod patch;
mod sql_on_fhir;
mod synthea;
mod validator;
mod xml;

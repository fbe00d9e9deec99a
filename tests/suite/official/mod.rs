//! HL7's own cases, run against us.

mod cases;
mod examples;
mod fhirpath;
mod mutations;
mod patch;
mod sql_on_fhir;
mod synthea;
mod validator;
mod xml;

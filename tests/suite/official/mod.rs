//! HL7's own cases, run against us.

mod examples;
mod fhirpath;
mod patch;
mod xml;

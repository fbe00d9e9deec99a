//! FHIR's other spelling: XML to JSON and back, nothing lost for a valid resource.
//!
//! <https://hl7.org/fhir/R4/xml.html>
//!
//! JSON is what the program works on; this only translates, led by the types. Comments and
//! processing instructions are ignored. There are no document types, so no entities beyond XML's
//! own and nothing that is fetched or multiplied.

mod read;
mod write;

use super::json::Json;
use super::outcome::Outcome;
use super::types::Types;

const FHIR: &str = "http://hl7.org/fhir";
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// A resource in XML as JSON text.
///
/// # Errors
/// It is not well-formed, or not spelled as its types say; the location names the element.
pub fn to_json(types: &Types, xml: &str) -> Result<String, Outcome> {
    read::resource(types, xml)
}

/// A resource in JSON as XML text.
///
/// # Errors
/// It is not spelled as its types say, or holds a character that XML cannot; the location names the
/// element.
pub fn from_json(types: &Types, json: &Json) -> Result<String, Outcome> {
    write::resource(types, json.root())
}

#[cfg(test)]
mod tests;

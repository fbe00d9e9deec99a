//! TerminologyCapabilities: what is answered about codes.
//!
//! <https://hl7.org/fhir/R4/terminologycapabilities.html>
//!
//! Public, as the CapabilityStatement is, so it names the code systems that come with the program and none that a
//! tenant keeps.

use serde_json::{Value, json};

/// What is told of the server.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The FHIR base, without a closing slash.
    pub base: &'a str,
    /// The version of the program.
    pub software_version: &'a str,
    /// When this statement was last changed: a date or an instant.
    pub date: &'a str,
}

/// Code systems that are grammars: a code is checked, the codes are never listed.
const GRAMMARS: [&str; 4] =
    ["urn:ietf:bcp:13", "urn:ietf:bcp:47", "http://unitsofmeasure.org", "https://www.iana.org/time-zones"];

/// What `$expand` takes.
const EXPANSION: [(&str, &str); 10] = [
    ("url", "the canonical of the value set"),
    ("valueSet", "the value set itself"),
    ("valueSetVersion", "which version of it"),
    ("filter", "words that a name of a code must hold"),
    ("offset", "how many codes are left out at the beginning"),
    ("count", "how many codes are told; with 0 only how many there are"),
    ("activeOnly", "codes that are not active are left out"),
    ("includeDesignations", "the other names of each code"),
    ("displayLanguage", "the language of the displays"),
    ("excludeNested", "false: codes stand below the codes that they belong to"),
];

/// The TerminologyCapabilities as JSON.
#[must_use]
pub fn statement(about: &About<'_>) -> String {
    let systems: Vec<Value> =
        GRAMMARS.iter().map(|uri| json!({"uri": uri, "version": [{"compositional": true}]})).collect();
    let parameters: Vec<Value> =
        EXPANSION.iter().map(|(name, text)| json!({"name": name, "documentation": text})).collect();
    json!({
        "resourceType": "TerminologyCapabilities",
        "id": "vesta-terminology",
        "url": format!("{}/metadata?mode=terminology", about.base),
        "version": about.software_version,
        "name": "VestaTerminology",
        "title": "Vesta terminology",
        "status": "active",
        "date": about.date,
        "publisher": "Vesta",
        "description": "Beside these: whatever CodeSystems, ValueSets and ConceptMaps are kept as resources, the \
            value sets of the loaded guides, and the big code systems that were imported.",
        "kind": "instance",
        "software": {"name": "Vesta", "version": about.software_version},
        "implementation": {"description": "Vesta FHIR R4 server", "url": about.base},
        "lockedDate": false,
        "codeSystem": systems,
        "expansion": {
            "hierarchical": true,
            "paging": true,
            "incomplete": false,
            "parameter": parameters,
            "textFilter": "every word must be in the code, a display or another name; case does not matter",
        },
        "codeSearch": "all",
        "validateCode": {"translations": false},
        "translation": {"needsMap": false},
        "closure": {"translation": false},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::definitions::Definitions;
    use crate::conformance::validate::{Mode, Options, validate};
    use crate::fhir::json::Limits;
    use crate::fhir::resource::Resource;

    #[test]
    fn is_what_r4_says_it_is() {
        let about = About { base: "https://x.org/fhir", software_version: "1", date: "2026-12-01" };
        let resource = Resource::parse(statement(&about), &Limits::default()).unwrap();
        let definitions = Definitions::embedded().unwrap();
        let options = Options { mode: Mode::Full, ..Options::default() };
        let issues = validate(&definitions, &resource, &options);
        assert!(issues.is_empty(), "{issues:?}");
    }
}

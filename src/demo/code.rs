//! Codes: what is said in somebody else's terms.

use serde_json::{Value, json};

/// A code, its system, and what it means in our words or theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code {
    system: &'static str,
    code: &'static str,
    display: &'static str,
}

pub(super) const US_CORE_CATEGORY: &str = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
pub(super) const NPI: &str = "http://hl7.org/fhir/sid/us-npi";

/// A code of a system named by its address.
pub(super) const fn code(system: &'static str, code: &'static str, display: &'static str) -> Code {
    Code { system, code, display }
}

/// A code of SNOMED CT.
pub(super) const fn snomed(code: &'static str, display: &'static str) -> Code {
    Code { system: "http://snomed.info/sct", code, display }
}

/// A code of LOINC.
pub(super) const fn loinc(code: &'static str, display: &'static str) -> Code {
    Code { system: "http://loinc.org", code, display }
}

/// A code of RxNorm.
pub(super) const fn rxnorm(code: &'static str, display: &'static str) -> Code {
    Code { system: "http://www.nlm.nih.gov/research/umls/rxnorm", code, display }
}

/// A code of CVX, the vaccines.
pub(super) const fn cvx(code: &'static str, display: &'static str) -> Code {
    Code { system: "http://hl7.org/fhir/sid/cvx", code, display }
}

/// A code of v3's ActCode.
pub(super) const fn act(code: &'static str, display: &'static str) -> Code {
    Code { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code, display }
}

impl Code {
    pub(super) fn display(self) -> &'static str {
        self.display
    }

    /// As a Coding.
    pub(super) fn coding(self) -> Value {
        json!({ "system": self.system, "code": self.code, "display": self.display })
    }

    /// As a CodeableConcept.
    pub(super) fn concept(self) -> Value {
        json!({ "coding": [self.coding()], "text": self.display })
    }

    /// As a CodeableConcept that says the same in two systems.
    pub(super) fn concept_with(self, other: Code) -> Value {
        json!({ "coding": [self.coding(), other.coding()], "text": self.display })
    }
}

/// A code of a code system of HL7's terminology, by its last name.
pub(super) fn hl7(system: &str, code: &str, display: &str) -> Value {
    let system = format!("http://terminology.hl7.org/CodeSystem/{system}");
    json!({ "coding": [{ "system": system, "code": code, "display": display }] })
}

/// A category of US Core.
pub(super) fn us_core(code: &str, display: &str) -> Value {
    json!({ "coding": [{ "system": US_CORE_CATEGORY, "code": code, "display": display }], "text": display })
}

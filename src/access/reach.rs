//! How far a level of scopes reaches into each type.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>
//!
//! # Decision 2026-11-24
//! A `patient/` scope reaches, by type:
//! * what is in the compartment of the patient in context: the types of CompartmentDefinition `patient`, and
//!   the Patient;
//! * of the few types that are about a patient but in no compartment of R4 (Device, Task, GuidanceResponse,
//!   Contract): what names that patient under the search parameter `patient`, and nothing that names nobody;
//! * directories, products, definitions and terminology ([`REFERENCE`]), which a record is not readable
//!   without: to read and search, never to write, and only where the scope names the type or is `*`;
//! * of Binaries, those whose `securityContext` is the patient, or something of theirs that may be seen;
//! * nothing of any other type. Bundle, MessageHeader and the like can hold anybody's data and do not say whose.
//!
//! The road not taken: everything outside the compartments is open to `patient/*`, as many servers have it.
//! It lets a patient read other people's devices, tasks and attachments.

use crate::access::principal::Principal;
use crate::access::scope::{Level, Permission};
use crate::conformance::definitions::Definitions;
use crate::conformance::search_parameter::SearchParameterKind;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::reference::Reference;

/// Whose data a scope reaches, once it is known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Everybody's.
    Everybody,
    /// That patient's.
    Patient(ResourceId),
    /// Nobody's.
    Nobody,
}

/// How resources of a type belong to a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belonging {
    /// By its compartment.
    Compartment,
    /// By its parameter `patient`, outside any compartment.
    PatientParameter,
    /// To everybody: it is no personal data.
    Reference,
    /// As what its `securityContext` refers to: a Binary.
    SecurityContext,
    /// One cannot say.
    Unknown,
}

/// Who asks, as far as it bounds `user/` and `system/` scopes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asker {
    /// A client without a user.
    System,
    /// Somebody who works here.
    Staff,
    /// A patient.
    Patient(ResourceId),
    /// Somebody who stands in for the patient in context.
    Proxy,
    /// A user who is nobody that we know how to bound.
    Unknown,
}

/// What the `securityContext` of a Binary is followed to, beside the patient.
pub(super) const CONTEXTS: [&str; 9] = [
    "Communication",
    "Condition",
    "Consent",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Media",
    "Observation",
    "QuestionnaireResponse",
];

/// Types without personal data, readable beside a record.
pub(super) const REFERENCE: &[&str] = &[
    // Directories
    "Endpoint",
    "HealthcareService",
    "InsurancePlan",
    "Location",
    "Organization",
    "OrganizationAffiliation",
    "Practitioner",
    "PractitionerRole",
    "Slot",
    // Products
    "ChargeItemDefinition",
    "DeviceDefinition",
    "Medication",
    "MedicationKnowledge",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "ObservationDefinition",
    "SpecimenDefinition",
    "Substance",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
    // Definitions
    "ActivityDefinition",
    "CapabilityStatement",
    "CompartmentDefinition",
    "EffectEvidenceSynthesis",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "GraphDefinition",
    "ImplementationGuide",
    "Library",
    "Measure",
    "MessageDefinition",
    "NamingSystem",
    "OperationDefinition",
    "PlanDefinition",
    "Questionnaire",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "RiskEvidenceSynthesis",
    "SearchParameter",
    "StructureDefinition",
    "StructureMap",
    "TestScript",
    // Terminology
    "CodeSystem",
    "ConceptMap",
    "TerminologyCapabilities",
    "ValueSet",
];

/// Whether resources of that type are somebody's data.
#[must_use]
pub fn is_personal(definitions: &Definitions, resource_type: ResourceType) -> bool {
    Belonging::of(definitions, resource_type) != Belonging::Reference
}

/// What kind of user a principal is, where nothing is known of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// No user: a client for itself.
    System,
    /// A patient, or somebody who stands in for one.
    Patient,
    /// Anybody else.
    Staff,
}

/// What kind of user that is.
#[must_use]
pub fn kind_of_user(principal: &Principal, base: &str) -> UserKind {
    match Asker::of(principal, base) {
        Asker::System => UserKind::System,
        Asker::Patient(_) | Asker::Proxy => UserKind::Patient,
        Asker::Staff | Asker::Unknown => UserKind::Staff,
    }
}

impl Asker {
    /// Who it is that asks.
    pub(super) fn of(principal: &Principal, base: &str) -> Asker {
        let Some(text) = &principal.fhir_user else { return Asker::System };
        match Reference::parse(text) {
            Some(Reference::Resource { base: its_base, resource_type, id, .. })
                if its_base.is_none_or(|it| it == base) =>
            {
                match resource_type.name() {
                    "Practitioner" | "PractitionerRole" => Asker::Staff,
                    "Patient" => Asker::Patient(id),
                    "RelatedPerson" | "Person" => Asker::Proxy,
                    _ => Asker::Unknown,
                }
            }
            _ => Asker::Unknown,
        }
    }

    /// Whose data scopes of that level reach for this asker.
    pub(super) fn bound(&self, level: Level, context: Option<&ResourceId>) -> Bound {
        let context = || context.cloned().map_or(Bound::Nobody, Bound::Patient);
        match (level, self) {
            (Level::Patient, _) | (Level::User, Asker::Proxy) => context(),
            (Level::User, Asker::Staff) | (Level::System, Asker::System) => Bound::Everybody,
            (Level::User, Asker::Patient(id)) => Bound::Patient(id.clone()),
            // A user does not get what systems get, and a system is no user.
            (Level::User, Asker::System | Asker::Unknown) | (Level::System, _) => Bound::Nobody,
        }
    }
}

impl Belonging {
    /// How resources of that type belong to a patient.
    pub(super) fn of(definitions: &Definitions, resource_type: ResourceType) -> Belonging {
        let patient = definitions.search_parameter(resource_type, "patient");
        if resource_type.name() == "Binary" {
            return Belonging::SecurityContext;
        }
        if resource_type.name() == "Patient" || !definitions.patient_compartment(resource_type).is_empty() {
            Belonging::Compartment
        } else if patient.is_some_and(|it| it.kind == SearchParameterKind::Reference) {
            Belonging::PatientParameter
        } else if REFERENCE.contains(&resource_type.name()) {
            Belonging::Reference
        } else {
            Belonging::Unknown
        }
    }
}

/// Whether a permission only looks.
pub(super) fn only_looks(permission: Permission) -> bool {
    matches!(permission, Permission::Read | Permission::Search)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_belongs_somewhere() {
        let definitions = Definitions::embedded().unwrap();
        let of = |belonging: Belonging| {
            let types = ResourceType::all().filter(|it| Belonging::of(&definitions, *it) == belonging);
            types.map(ResourceType::name).collect::<Vec<_>>()
        };
        assert_eq!(of(Belonging::PatientParameter), ["Contract", "Device", "GuidanceResponse", "Task"]);
        assert_eq!(of(Belonging::Compartment).len(), 66);
        assert_eq!(
            of(Belonging::Reference).len(),
            REFERENCE.len(),
            "a reference type is personal or unknown"
        );
        assert_eq!(
            of(Belonging::Unknown),
            [
                "BiologicallyDerivedProduct",
                "Bundle",
                "CatalogEntry",
                "DeviceMetric",
                "EnrollmentResponse",
                "Linkage",
                "MessageHeader",
                "OperationOutcome",
                "Parameters",
                "PaymentNotice",
                "PaymentReconciliation",
                "ResearchStudy",
                "Subscription",
                "TestReport",
                "VerificationResult",
            ]
        );
    }
}

//! The parameters that have columns of their own: a type's clinical date, clinical code, one quantity.
//!
//! A table made with one choice keeps it: to choose otherwise is a migration.

use crate::fhir::id::ResourceType;
use crate::store::tables::Shape;

/// The date parameter that the type is sorted by.
pub fn date(resource_type: ResourceType) -> Option<&'static str> {
    Some(match resource_type.name() {
        "AllergyIntolerance"
        | "Appointment"
        | "AuditEvent"
        | "CarePlan"
        | "CareTeam"
        | "ClinicalImpression"
        | "Composition"
        | "Consent"
        | "DiagnosticReport"
        | "DocumentReference"
        | "Encounter"
        | "EpisodeOfCare"
        | "FamilyMemberHistory"
        | "Flag"
        | "Immunization"
        | "Invoice"
        | "List"
        | "MeasureReport"
        | "Observation"
        | "Procedure"
        | "RiskAssessment"
        | "Schedule"
        | "SupplyDelivery"
        | "SupplyRequest" => "date",
        "ChargeItem" => "occurrence",
        "Claim"
        | "ClaimResponse"
        | "CoverageEligibilityRequest"
        | "CoverageEligibilityResponse"
        | "DocumentManifest"
        | "ExplanationOfBenefit"
        | "Media"
        | "PaymentNotice"
        | "PaymentReconciliation" => "created",
        "Communication" => "sent",
        "CommunicationRequest" | "DeviceRequest" => "authored-on",
        "Condition" => "recorded-date",
        "DetectedIssue" => "identified",
        "Goal" => "start-date",
        "ImagingStudy" => "started",
        "MedicationAdministration" => "effective-time",
        "MedicationDispense" => "whenhandedover",
        "MedicationRequest" => "authoredon",
        "MedicationStatement" => "effective",
        "NutritionOrder" => "datetime",
        "Provenance" => "recorded",
        "QuestionnaireResponse" | "RequestGroup" | "ServiceRequest" => "authored",
        "Slot" => "start",
        "Specimen" => "collected",
        "Task" => "authored-on",
        "VisionPrescription" => "datewritten",
        _ => return None,
    })
}

/// The token parameter that says what it is about.
pub fn code(resource_type: ResourceType) -> Option<&'static str> {
    Some(match resource_type.name() {
        "AllergyIntolerance"
        | "ChargeItem"
        | "Condition"
        | "DetectedIssue"
        | "DiagnosticReport"
        | "List"
        | "Medication"
        | "MedicationAdministration"
        | "MedicationDispense"
        | "MedicationRequest"
        | "MedicationStatement"
        | "Observation"
        | "Procedure"
        | "ServiceRequest"
        | "Task" => "code",
        "CarePlan" | "CareTeam" => "category",
        "Composition" | "DocumentReference" | "Encounter" | "EpisodeOfCare" | "Specimen" => "type",
        "Immunization" => "vaccine-code",
        _ => return None,
    })
}

/// The quantity parameter whose value is compared within one code.
pub fn quantity(resource_type: ResourceType) -> Option<&'static str> {
    (resource_type.name() == "Observation").then_some("value-quantity")
}

/// Whether a chain finds resources of the type by the column `reference`, in an index of its own. A Patient is
/// found by `patient`; and where there are very many resources that little refers to, an index of random
/// numbers would cost every write too much: those have their reference among their keys.
pub(super) fn is_target(resource_type: ResourceType) -> bool {
    !matches!(
        resource_type.name(),
        "AllergyIntolerance"
            | "AuditEvent"
            | "Binary"
            | "Claim"
            | "ClaimResponse"
            | "Communication"
            | "DiagnosticReport"
            | "DocumentReference"
            | "ExplanationOfBenefit"
            | "Immunization"
            | "MedicationAdministration"
            | "MedicationDispense"
            | "MedicationStatement"
            | "Observation"
            | "Patient"
            | "Provenance"
            | "QuestionnaireResponse"
    )
}

/// What the template needs to know of the type.
pub(super) fn shape(resource_type: ResourceType) -> Shape {
    Shape {
        has_date: date(resource_type).is_some(),
        has_code: code(resource_type).is_some(),
        has_quantity: quantity(resource_type).is_some(),
        is_target: is_target(resource_type),
    }
}

//! Purposes of use: why somebody asks for data.
//!
//! <http://terminology.hl7.org/CodeSystem/v3-ActReason>, the part below PurposeOfUse, as compact facts.

/// The code system of purposes.
pub const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// A purpose, and the wider one that it is a kind of.
const PURPOSES: &[(&str, &str)] = &[
    ("PurposeOfUse", ""),
    ("HMARKT", "PurposeOfUse"),
    ("HOPERAT", "PurposeOfUse"),
    ("CAREMGT", "HOPERAT"),
    ("DONAT", "HOPERAT"),
    ("FRAUD", "HOPERAT"),
    ("GOV", "HOPERAT"),
    ("HACCRED", "HOPERAT"),
    ("HCOMPL", "HOPERAT"),
    ("HDECD", "HOPERAT"),
    ("HDIRECT", "HOPERAT"),
    ("HDM", "HOPERAT"),
    ("HLEGAL", "HOPERAT"),
    ("HOUTCOMS", "HOPERAT"),
    ("HPRGRP", "HOPERAT"),
    ("HQUALIMP", "HOPERAT"),
    ("HSYSADMIN", "HOPERAT"),
    ("LABELING", "HOPERAT"),
    ("METAMGT", "HOPERAT"),
    ("MEMADMIN", "HOPERAT"),
    ("PATADMIN", "HOPERAT"),
    ("PATSFTY", "HOPERAT"),
    ("PERFMSR", "HOPERAT"),
    ("RECORDMGT", "HOPERAT"),
    ("SYSDEV", "HOPERAT"),
    ("TRAIN", "HOPERAT"),
    ("HPAYMT", "PurposeOfUse"),
    ("CLMATTCH", "HPAYMT"),
    ("COVAUTH", "HPAYMT"),
    ("COVERAGE", "HPAYMT"),
    ("ELIGDTRM", "HPAYMT"),
    ("ELIGVER", "HPAYMT"),
    ("ENROLLM", "HPAYMT"),
    ("REMITADV", "HPAYMT"),
    ("HRESCH", "PurposeOfUse"),
    ("BIORCH", "HRESCH"),
    ("CLINTRCH", "HRESCH"),
    ("DSRCH", "HRESCH"),
    ("POARCH", "HRESCH"),
    ("TRANSRCH", "HRESCH"),
    ("PATRQT", "PurposeOfUse"),
    ("FAMRQT", "PATRQT"),
    ("PWATRNY", "PATRQT"),
    ("SUPNWK", "PATRQT"),
    ("PUBHLTH", "PurposeOfUse"),
    ("DISASTER", "PUBHLTH"),
    ("THREAT", "PUBHLTH"),
    ("TREAT", "PurposeOfUse"),
    ("CLINTRL", "TREAT"),
    ("COC", "TREAT"),
    ("ETREAT", "TREAT"),
    ("BTG", "ETREAT"),
    ("ERTREAT", "ETREAT"),
    ("POPHLTH", "TREAT"),
];

/// Emergency access.
pub const BREAK_GLASS: &str = "BTG";

/// The code as we know it; nothing for what is no purpose of use.
#[must_use]
pub fn known(code: &str) -> Option<&'static str> {
    PURPOSES.iter().find(|(it, _)| *it == code).map(|(it, _)| *it)
}

/// Whether a purpose is that one, or a kind of it.
#[must_use]
pub fn is_within(purpose: &str, wider: &str) -> bool {
    let mut at = purpose;
    loop {
        if at == wider {
            return true;
        }
        match PURPOSES.iter().find(|(it, _)| *it == at) {
            Some((_, above)) if !above.is_empty() => at = above,
            _ => return false,
        }
    }
}

/// Whether disclosures for that purpose must be accounted for: all but treatment, payment, operations and what the
/// patient asked for (45 CFR 164.528).
#[must_use]
pub fn is_accounted_for(purpose: &str) -> bool {
    !["TREAT", "HPAYMT", "HOPERAT", "PATRQT"].iter().any(|it| is_within(purpose, it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_is_a_kind_of_one_that_there_is() {
        for (code, above) in PURPOSES {
            assert!(above.is_empty() || known(above).is_some(), "{code}");
            assert!(is_within(code, "PurposeOfUse"), "{code}");
        }
        assert!(is_within("BTG", "TREAT"));
        assert!(!is_within("TREAT", "BTG"));
        assert!(!is_within("NONSENSE", "PurposeOfUse"));
        assert_eq!(known("treat"), None);
    }

    #[test]
    fn research_is_accounted_for_and_treatment_is_not() {
        assert!(is_accounted_for("HRESCH") && is_accounted_for("PUBHLTH") && is_accounted_for("HMARKT"));
        assert!(!is_accounted_for("ETREAT") && !is_accounted_for("COVERAGE") && !is_accounted_for("FAMRQT"));
    }
}

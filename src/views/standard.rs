//! The views that come with the program: what analysts ask first of data after US Core.
//!
//! They are in `fhir-profiles/vesta/views/`, ready to be copied and changed.

/// A view that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Standard {
    /// Its id and name.
    pub name: &'static str,
    /// The ViewDefinition, JSON.
    pub text: &'static str,
}

/// All of them.
pub const STANDARD: [Standard; 4] = [
    Standard {
        name: "us_core_patients",
        text: include_str!("../../fhir-profiles/vesta/views/us_core_patients.json"),
    },
    Standard {
        name: "us_core_conditions",
        text: include_str!("../../fhir-profiles/vesta/views/us_core_conditions.json"),
    },
    Standard {
        name: "us_core_observations",
        text: include_str!("../../fhir-profiles/vesta/views/us_core_observations.json"),
    },
    Standard {
        name: "us_core_medications",
        text: include_str!("../../fhir-profiles/vesta/views/us_core_medications.json"),
    },
];

/// The canonical URLs of these begin like this.
const URL: &str = "urn:vesta:view:";

/// The view of that name, reference or URL.
#[must_use]
pub fn named(text: &str) -> Option<Standard> {
    let name = text.strip_prefix(URL).or_else(|| text.strip_prefix("ViewDefinition/")).unwrap_or(text);
    STANDARD.into_iter().find(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::{Json, Limits};
    use std::collections::HashSet;

    #[test]
    fn each_is_found_by_its_name_and_its_url() {
        let mut urls = HashSet::new();
        for view in STANDARD {
            let json = Json::parse(view.text, &Limits::default()).unwrap();
            let text = |name: &str| json.root().string(name).unwrap().into_owned();
            assert_eq!((text("name"), text("id")), (view.name.to_owned(), view.name.to_owned()));
            assert!(urls.insert(text("url")));
            for name in [text("url"), view.name.to_owned(), format!("ViewDefinition/{}", view.name)] {
                assert_eq!(named(&name).unwrap().name, view.name);
            }
        }
        assert!(named("us_core").is_none());
    }
}

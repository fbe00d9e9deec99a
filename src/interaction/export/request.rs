//! What an export is asked for, and how it is kept while it waits: a value that is read once and checked once.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html#query-parameters>
//!
//! What is not understood refuses the request, unless the client says `Prefer: handling=lenient`: then it is left
//! out, and the export's errors say so. A bad value always refuses.

use crate::deidentify::Method;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::interaction::request::Parameters;
use crate::interaction::views::request::AskedView;
use crate::views::writing::Format;
use serde::{Deserialize, Serialize};

/// What is exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Everything: `[base]/$export`
    System,
    /// Every patient's record: `[base]/Patient/$export`
    Patients,
    /// The records of the members: `[base]/Group/[id]/$export`
    Group(String),
}

/// An export, understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// The URL that was asked.
    pub url: String,
    /// Of what.
    pub level: Level,
    /// The types, in order. As asked for; what was permitted, once it waits.
    pub types: Vec<String>,
    /// `_since`, in microseconds since 1970: only what changed after that.
    pub since: Option<i64>,
    /// `_until`: only what changed before that.
    pub until: Option<i64>,
    /// `_typeFilter`: the type, and a query that its resources satisfy. Of several one suffices.
    pub filters: Vec<(String, String)>,
    /// `_elements`: a type, if one is named, and the element.
    pub elements: Vec<(Option<String>, String)>,
    /// `patient`: only of these.
    pub patients: Option<Vec<String>>,
    /// `includeAssociatedData=RelevantProvenanceResources`: the Provenance of what is exported, too.
    pub with_provenance: bool,
    /// `organizeOutputBy=Patient`
    pub by_patient: bool,
    /// `allowPartialManifests=true`
    pub partial_manifests: bool,
    /// What was left out in lenient handling.
    pub left_out: Vec<String>,
    /// `Prefer: handling=lenient`
    pub is_lenient: bool,
    /// The views whose rows are in the files, instead of the resources.
    #[serde(default)]
    pub views: Vec<AskedView>,
    /// How their rows are written.
    #[serde(default)]
    pub format: Option<Format>,
    /// `_deidentify`: who may not be told from the files.
    #[serde(default)]
    pub deidentify: Option<Method>,
    /// `_recipient`: for whom the pseudonyms are, where it is not the client itself.
    #[serde(default)]
    pub recipient: Option<String>,
}

/// As many patients may be named.
const MOST_PATIENTS: usize = 100_000;
/// As many filters may be given: each is a condition in every question.
const MOST_FILTERS: usize = 100;

impl ExportRequest {
    /// Everything of that level.
    pub(in crate::interaction) fn whole(level: Level, url: String) -> ExportRequest {
        ExportRequest {
            url,
            level,
            types: Vec::new(),
            since: None,
            until: None,
            filters: Vec::new(),
            elements: Vec::new(),
            patients: None,
            with_provenance: false,
            by_patient: false,
            partial_manifests: false,
            left_out: Vec::new(),
            is_lenient: false,
            views: Vec::new(),
            format: None,
            deidentify: None,
            recipient: None,
        }
    }

    /// The operation, as the trail names it.
    pub(super) fn operation(&self) -> &'static str {
        if self.views.is_empty() { "$export" } else { "ViewDefinition/$viewdefinition-run" }
    }

    /// Reads the parameters of a URL, or of a Parameters resource.
    ///
    /// # Errors
    /// A value is bad, or something is not understood and the client does not want it left out.
    pub fn read(
        level: Level,
        url: String,
        query: &Parameters,
        body: Option<&Resource>,
        is_lenient: bool,
    ) -> Result<ExportRequest, Outcome> {
        let mut request = ExportRequest { is_lenient, ..ExportRequest::whole(level, url) };
        let in_body = body.map(given).unwrap_or_default();
        for (name, value) in query {
            request.take(name, value, false)?;
        }
        for (name, value) in &in_body {
            request.take(name, value, true)?;
        }
        request.deidentify = deidentification(query.iter().chain(&in_body))?;
        if request.recipient.is_some() && request.deidentify.is_none() {
            return Err(Outcome::required("_recipient is for what is de-identified").at("_deidentify"));
        }
        // What was left out of it must not make it everything.
        if request.types.is_empty() && query.iter().chain(&in_body).any(|(name, _)| name == "_type") {
            return Err(Outcome::value("_type names no type that R4 has").at("_type"));
        }
        if let Some(patients) = &mut request.patients {
            patients.sort_unstable();
            patients.dedup();
        }
        request.types.sort_unstable();
        request.types.dedup();
        request.check()?;
        Ok(request)
    }

    fn take(&mut self, name: &str, value: &str, is_body: bool) -> Result<(), Outcome> {
        match name {
            "_outputFormat" => {
                // A + that was not escaped arrives as a space.
                let format = value.replace(' ', "+");
                if !matches!(format.as_str(), "application/fhir+ndjson" | "application/ndjson" | "ndjson") {
                    let outcome = Outcome::not_supported("files are written as application/fhir+ndjson");
                    return Err(outcome.at(name));
                }
            }
            "_since" => self.since = Some(moment(name, value)?),
            "_until" => self.until = Some(moment(name, value)?),
            "_type" => {
                for word in words(value) {
                    match ResourceType::parse(word) {
                        Some(it) => self.types.push(it.name().to_owned()),
                        None => self.leave_out(name, "_type names a type that R4 does not have")?,
                    }
                }
            }
            "_typeFilter" => {
                for filter in split_filters(value) {
                    match filter.split_once('?') {
                        Some((word, query)) if !query.is_empty() => match ResourceType::parse(word) {
                            Some(it) => self.filters.push((it.name().to_owned(), query.to_owned())),
                            None => self.leave_out(name, "_typeFilter names a type that R4 does not have")?,
                        },
                        _ => return Err(Outcome::value("a filter is Type?query").at(name)),
                    }
                }
            }
            "_elements" => {
                for word in words(value) {
                    let (of, element) = match word.split_once('.') {
                        Some((of, element)) if ResourceType::parse(of).is_some() => (Some(of), element),
                        Some(_) => return Err(Outcome::value("only elements of a resource's own").at(name)),
                        None => (None, word),
                    };
                    self.elements.push((of.map(str::to_owned), element.to_owned()));
                }
            }
            "patient" if is_body && self.level != Level::System => {
                let patients = self.patients.get_or_insert_default();
                patients.push(patient(value)?);
                if patients.len() > MOST_PATIENTS {
                    return Err(Outcome::too_costly("too many patients: use a Group").at(name));
                }
            }
            "patient" if self.level == Level::System => {
                self.leave_out(name, "patient is for exports of patients and of groups")?;
            }
            "patient" => return Err(Outcome::not_supported("patients are named in a POST").at(name)),
            "includeAssociatedData" => {
                for word in words(value) {
                    match word {
                        "RelevantProvenanceResources" => self.with_provenance = true,
                        _ => self.leave_out(name, "this associated data is not known here")?,
                    }
                }
            }
            "organizeOutputBy" => match value {
                "Patient" => self.by_patient = true,
                _ => self.leave_out(name, "output is organized by Patient, or by type")?,
            },
            // Read together, and never left out.
            "_deidentify" | "_shiftDates" => {}
            "_recipient" => match is_recipient(value) {
                true => self.recipient = Some(value.to_owned()),
                false => return Err(Outcome::value("a recipient is a name of at most 64 letters").at(name)),
            },
            "allowPartialManifests" => self.partial_manifests = flag(name, value)?,
            _ => self.leave_out(name, "$export has no such parameter")?,
        }
        Ok(())
    }

    fn leave_out(&mut self, name: &str, reason: &str) -> Result<(), Outcome> {
        if !self.is_lenient {
            return Err(Outcome::not_supported(reason).at(name));
        }
        self.left_out.push(reason.to_owned());
        Ok(())
    }

    fn check(&mut self) -> Result<(), Outcome> {
        if self.filters.len() > MOST_FILTERS {
            return Err(Outcome::too_costly("too many filters").at("_typeFilter"));
        }
        if self.since.zip(self.until).is_some_and(|(since, until)| since >= until) {
            return Err(Outcome::value("_since lies before _until").at("_until"));
        }
        let types = self.types.clone();
        let is_asked = |of: &String| types.is_empty() || types.contains(of);
        if !self.filters.iter().all(|(of, _)| is_asked(of)) {
            self.leave_out("_typeFilter", "a filter is for a type that _type does not name")?;
            self.filters.retain(|(of, _)| is_asked(of));
        }
        if self.by_patient && self.level == Level::System {
            self.leave_out(
                "organizeOutputBy",
                "only exports of patients and groups are organized by Patient",
            )?;
            self.by_patient = false;
        }
        Ok(())
    }
}

/// How the files are de-identified: the last value counts.
fn deidentification<'p>(
    given: impl Iterator<Item = &'p (String, String)> + Clone,
) -> Result<Option<Method>, Outcome> {
    let last = |name: &str| given.clone().filter(|(it, _)| it == name).last().map(|(_, value)| value);
    let shifts_dates = match last("_shiftDates") {
        Some(value) => flag("_shiftDates", value)?,
        None => false,
    };
    let Some(name) = last("_deidentify") else {
        return match shifts_dates {
            true => Err(Outcome::required("only what is de-identified is shifted").at("_deidentify")),
            false => Ok(None),
        };
    };
    match Method::parse(name, shifts_dates) {
        Some(method) => Ok(Some(method)),
        None => {
            let said = "safe-harbor, or limited with or without _shiftDates";
            Err(Outcome::value(said).at("_deidentify"))
        }
    }
}

fn is_recipient(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.'))
}

/// The values of a Parameters resource, as text.
fn given(body: &Resource) -> Parameters {
    let mut given = Parameters::new();
    for parameter in body.root().get("parameter").into_iter().flat_map(|it| it.items()) {
        let Some(name) = parameter.string("name") else { continue };
        for (key, value) in parameter.members() {
            if !key.as_str().is_some_and(|it| it.starts_with("value")) {
                continue;
            }
            let text = match (value.as_str(), value.string("reference")) {
                (Some(text), _) | (None, Some(text)) => text,
                (None, None) => value.raw().into(),
            };
            given.push((name.to_string(), text.into_owned()));
        }
    }
    given
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|it| !it.is_empty())
}

/// Several filters in one value are separated by commas, and so are the alternatives of a search: a comma
/// separates filters where the next one begins.
fn split_filters(value: &str) -> Vec<&str> {
    let mut filters = Vec::new();
    let mut rest = value;
    let is_start =
        |text: &str| text.split_once('?').is_some_and(|(word, _)| ResourceType::parse(word.trim()).is_some());
    let mut from = 0;
    while let Some(comma) = rest.get(from..).and_then(|it| it.find(',')).map(|it| it + from) {
        let (before, after) = rest.split_at(comma);
        let after = after.trim_start_matches(',');
        if is_start(after) {
            filters.push(before.trim());
            (rest, from) = (after, 0);
        } else {
            from = comma + 1;
        }
    }
    filters.push(rest.trim());
    filters
}

fn moment(name: &str, value: &str) -> Result<i64, Outcome> {
    let value = value.replace(' ', "+");
    let moment = DateTime::parse_search(&value).map(|it| it.interval().low);
    moment.ok_or_else(|| Outcome::value("an instant such as 2026-11-24T12:00:00Z is needed").at(name))
}

fn flag(name: &str, value: &str) -> Result<bool, Outcome> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Outcome::value("true or false").at(name)),
    }
}

fn patient(value: &str) -> Result<String, Outcome> {
    let id = match Reference::parse(value) {
        Some(Reference::Resource { resource_type, id, .. }) if resource_type.name() == "Patient" => Some(id),
        _ => ResourceId::parse(value),
    };
    match id {
        Some(id) => Ok(id.to_string()),
        None => Err(Outcome::value("patient is a reference to a Patient").at("patient")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    fn read(query: &[(&str, &str)], is_lenient: bool) -> Result<ExportRequest, Outcome> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ExportRequest::read(Level::Patients, String::new(), &query, None, is_lenient)
    }

    #[test]
    fn reads_what_is_asked() {
        let request = read(
            &[
                ("_type", "Patient,Observation"),
                ("_since", "2026-01-01T00:00:00Z"),
                ("_typeFilter", "Observation?code=a,b,Observation?status=final&code:in=x"),
                ("_elements", "id,Patient.name"),
                ("_outputFormat", "application/fhir ndjson"),
                ("organizeOutputBy", "Patient"),
            ],
            false,
        );
        let request = request.unwrap();
        assert_eq!(request.types, ["Observation", "Patient"]);
        assert_eq!(request.since, Some(1_767_225_600_000_000));
        let filters: Vec<&str> = request.filters.iter().map(|(_, query)| query.as_str()).collect();
        assert_eq!(filters, ["code=a,b", "status=final&code:in=x"]);
        assert_eq!(request.elements, [(None, "id".into()), (Some("Patient".into()), "name".into())]);
        assert!(request.by_patient);
    }

    #[test]
    fn reads_the_parameters_of_a_post() {
        let body = r#"{"resourceType":"Parameters","parameter":[{"name":"_type","valueString":"Patient"},
            {"name":"patient","valueReference":{"reference":"Patient/b"}},
            {"name":"patient","valueReference":{"reference":"Patient/a"}},
            {"name":"allowPartialManifests","valueBoolean":true}]}"#;
        let body = Resource::parse(body, &Limits::default()).unwrap();
        let request =
            ExportRequest::read(Level::Patients, String::new(), &Vec::new(), Some(&body), false).unwrap();
        assert_eq!(request.patients, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert!(request.partial_manifests);
    }

    #[test]
    fn what_is_not_understood_refuses_or_is_left_out() {
        for bad in [("_type", "Patient,Nothing"), ("_nonsense", "1"), ("organizeOutputBy", "Device")] {
            assert!(read(&[bad], false).is_err(), "{bad:?}");
            let request = read(&[bad, ("_type", "Patient")], true).unwrap();
            assert_eq!(
                (request.left_out.len(), request.types.as_slice()),
                (1, ["Patient".to_owned()].as_slice())
            );
        }
        for bad in [
            ("_outputFormat", "csv"),
            ("_since", "yesterday"),
            ("_typeFilter", "Patient"),
            ("patient", "Patient/a"),
            ("_elements", "name.family"),
        ] {
            assert!(read(&[bad], true).is_err(), "{bad:?}");
        }
        for bad in [
            [("_deidentify", "rot13"), ("_type", "Patient")],
            [("_deidentify", "safe-harbor"), ("_shiftDates", "true")],
            [("_shiftDates", "true"), ("_type", "Patient")],
            [("_recipient", "registry"), ("_type", "Patient")],
            [("_deidentify", "limited"), ("_recipient", "a b")],
        ] {
            assert!(read(&bad, true).is_err(), "{bad:?}");
        }
        assert!(read(&[("_type", "Nothing")], true).is_err(), "nothing is left, and that is not everything");
    }
}

//! What a review must know of people: who is labelled, and who shares a surname. Read through the door like anybody's,
//! recorded, and forgotten when the review is over.

use crate::app::App;
use crate::audit::detect::{Access, People};
use crate::compliance::facts;
use crate::fhir::id::{ResourceId, ResourceType, TenantId};
use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::Outcome;
use crate::interaction::perform;
use crate::interaction::request::Interaction;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What says why a patient's record may attract looks: <https://terminology.hl7.org/CodeSystem-v3-ActCode.html>.
const LABELS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const SCOPE: &str = "system/Patient.rs system/Practitioner.rs";
/// As many are asked for at once.
const TOGETHER: usize = 100;

/// The people of a window: those labelled, and the surnames of agents and of the patients they had not looked at before.
pub(super) async fn of(
    app: &Arc<App>,
    tenant: TenantId,
    baseline: &[Access],
    window: &[Access],
) -> Result<People, Outcome> {
    let mut people = People::default();
    for (label, into) in [("CEL", &mut people.celebrities), ("EMP", &mut people.employees)] {
        let labelled = [("_security".to_owned(), format!("{LABELS}|{label}"))];
        let ids: Vec<ResourceId> =
            search(app, tenant, "Patient", &labelled).await?.into_iter().map(|it| it.0).collect();
        into.extend(app.store.subjects_of_patients(tenant, &ids).await?);
    }
    let agents: BTreeSet<&str> = window.iter().map(|it| it.agent.as_str()).collect();
    let practitioners: Vec<&str> = agents.iter().filter_map(|it| it.strip_prefix("Practitioner/")).collect();
    for (id, surname) in named(app, tenant, "Practitioner", &practitioners).await? {
        people.agent_surnames.insert(format!("Practitioner/{id}"), surname);
    }
    let known: HashSet<(&str, i64)> = pairs(baseline).collect();
    let new: BTreeSet<i64> = pairs(window)
        .filter(|pair| people.agent_surnames.contains_key(pair.0) && !known.contains(pair))
        .map(|(_, patient)| patient)
        .collect();
    let new: Vec<i64> = new.into_iter().collect();
    let ids = app.store.patients_of_subjects(tenant, &new).await?;
    let subjects: HashMap<&str, i64> = ids.iter().map(|(subject, id)| (id.as_str(), *subject)).collect();
    let names: Vec<&str> = subjects.keys().copied().collect();
    for (id, surname) in named(app, tenant, "Patient", &names).await? {
        if let Some(subject) = subjects.get(id.as_str()) {
            people.patient_surnames.insert(*subject, surname);
        }
    }
    Ok(people)
}

fn pairs(accesses: &[Access]) -> impl Iterator<Item = (&str, i64)> {
    accesses.iter().flat_map(|it| it.patients.iter().map(move |patient| (it.agent.as_str(), *patient)))
}

/// The surnames of these, as far as they have one.
async fn named(
    app: &Arc<App>,
    tenant: TenantId,
    resource_type: &str,
    ids: &[&str],
) -> Result<Vec<(ResourceId, String)>, Outcome> {
    let mut found = Vec::new();
    for some in ids.chunks(TOGETHER) {
        let parameters = [("_id".to_owned(), some.join(","))];
        found.extend(search(app, tenant, resource_type, &parameters).await?);
    }
    Ok(found.into_iter().filter(|(_, surname)| !surname.is_empty()).collect())
}

/// The ids and surnames of what is found, up to a thousand.
async fn search(
    app: &Arc<App>,
    tenant: TenantId,
    resource_type: &str,
    parameters: &[(String, String)],
) -> Result<Vec<(ResourceId, String)>, Outcome> {
    let ctx = facts::context(app, tenant, SCOPE, app.clock.now_microseconds());
    let mut parameters = parameters.to_vec();
    parameters.push(("_count".to_owned(), "1000".to_owned()));
    let search = Interaction::Search {
        resource_type: ResourceType::parse(resource_type),
        compartment: None,
        parameters,
    };
    let response = perform(&ctx, search).await?;
    let bundle = Json::parse(response.body.unwrap_or_default(), &Limits::default()).map_err(Outcome::from)?;
    let entries = bundle.root().get("entry").into_iter().flat_map(|it| it.items());
    let person = |entry: Node<'_>| {
        let resource = entry.get("resource")?;
        Some((ResourceId::parse(&resource.string("id")?)?, surname(resource)))
    };
    Ok(entries.filter_map(person).collect())
}

/// The first surname, folded: letters alone, lower case.
fn surname(resource: Node<'_>) -> String {
    let mut names = resource.get("name").into_iter().flat_map(|it| it.items());
    let family = names.find_map(|it| it.string("family")).unwrap_or_default();
    family.to_lowercase().chars().filter(|it| it.is_alphanumeric()).collect()
}

//! The query over the trail, understood: what the database filters by, and what is looked at in each row.

use crate::audit::balp;
use crate::fhir::date_time::DateTime;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::reference::Reference;
use crate::search::range::{Comparator, RangeTest};
use crate::store::audit_events::{AuditEvent, AuditFilter};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Criteria {
    filter: AuditFilter,
    /// Nothing can satisfy it.
    is_void: bool,
    /// Each must hold: one of its alternatives.
    tests: Vec<Vec<Test>>,
}

/// Something to look at in a row.
#[derive(Clone, Debug)]
enum Test {
    Recorded(RangeTest<i64>),
    Agent(String),
    Action(char),
    Outcome(i16),
    Entity(ResourceType, ResourceId, Option<i32>),
    Policy(String),
    Address(String),
}

/// Parameters of paging and form, which are not criteria.
const FORM: [&str; 9] =
    ["_count", "_summary", "_elements", "_total", "_format", "_pretty", "_sort", "_cursor", "_page"];

impl Criteria {
    /// Reads a query, and what there is to say about it. `base` is the FHIR base of this server.
    ///
    /// # Errors
    /// A value is wrong; in strict handling also a parameter that the trail cannot be asked.
    pub fn read(
        base: &str,
        parameters: &[(String, String)],
        is_lenient: bool,
    ) -> Result<(Criteria, Vec<Issue>), Outcome> {
        let mut criteria = Criteria::default();
        let mut issues = Vec::new();
        for (name, value) in parameters {
            if name == "_sort" && value != "-date" && value != "-_lastUpdated" {
                return Err(Outcome::not_supported("the trail is read newest first: _sort=-date").at("_sort"));
            }
            if FORM.contains(&name.as_str()) {
                continue;
            }
            if criteria.add(base, name, value)? {
                continue;
            }
            let unknown = "this parameter cannot be asked of the trail";
            if !is_lenient {
                return Err(Outcome::not_supported(unknown).at(name.clone()));
            }
            issues.push(Issue::warning(IssueType::NotSupported, unknown).at(name.clone()));
        }
        Ok((criteria, issues))
    }

    /// The same within what is about a patient; nothing if that is nothing.
    #[must_use]
    pub fn within(&self, patient: Option<ResourceId>) -> Option<Criteria> {
        let mut criteria = self.clone();
        if let Some(patient) = patient {
            criteria.about(patient);
        }
        (!criteria.is_void).then_some(criteria)
    }

    /// What the database filters by.
    #[must_use]
    pub fn filter(&self) -> &AuditFilter {
        &self.filter
    }

    /// Whether the database alone decides.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.tests.is_empty()
    }

    /// Whether a row that the database found satisfies the rest.
    #[must_use]
    pub fn holds(&self, event: &AuditEvent) -> bool {
        self.tests.iter().all(|alternatives| alternatives.iter().any(|test| test.passes(event)))
    }

    fn about(&mut self, patient: ResourceId) {
        match &self.filter.patient {
            // Two patients at once: both are among an event's patients only in bundles and searches, and
            // nobody may learn from one about the other.
            Some(other) if *other != patient => self.is_void = true,
            _ => self.filter.patient = Some(patient),
        }
    }

    /// `false` for a parameter that is not known.
    fn add(&mut self, base: &str, name: &str, value: &str) -> Result<bool, Outcome> {
        let wrong = |clause: &str| Err(Outcome::invalid(clause).at(name.to_owned()));
        let values: Vec<&str> = value.split(',').filter(|it| !it.is_empty()).collect();
        if values.is_empty() {
            return wrong("a value is missing");
        }
        match name {
            "patient" | "patient:Patient" | "entity:Patient" if values.len() == 1 => {
                match reference(base, "Patient", value) {
                    Some((resource_type, id, _)) if resource_type.name() == "Patient" => self.about(id),
                    _ => return wrong("this is not a reference to a patient"),
                }
            }
            "patient" | "patient:Patient" => {
                return wrong("the trail is asked about one patient at a time");
            }
            "_id" => {
                let ids: Vec<i64> = values.iter().filter_map(|it| it.parse().ok()).collect();
                self.is_void |= ids.is_empty();
                match self.filter.ids.is_empty() {
                    true => self.filter.ids = ids,
                    false => self.filter.ids.retain(|id| ids.contains(id)),
                }
                self.is_void |= self.filter.ids.is_empty();
            }
            "date" | "_lastUpdated" => {
                let tests: Option<Vec<_>> = values.iter().map(|it| date(it)).collect();
                let Some(tests) = tests else { return wrong("this is not a date") };
                match tests.as_slice() {
                    // An event was recorded at one point in time, so one bound on each side says it all.
                    [test] if test.comparator != Comparator::NotEqual => {
                        let (from, to) = test.points();
                        self.filter.from = self.filter.from.max(from);
                        self.filter.to = match (self.filter.to, to) {
                            (Some(one), Some(other)) => Some(one.min(other)),
                            (one, other) => one.or(other),
                        };
                    }
                    _ => self.tests.push(tests.into_iter().map(Test::Recorded).collect()),
                }
            }
            "agent" | "agent:Practitioner" | "agent:Patient" | "agent:identifier" => {
                let of_type = name.strip_prefix("agent:").filter(|it| *it != "identifier");
                let named = |it: &&str| match (of_type, reference(base, of_type.unwrap_or_default(), it)) {
                    (_, Some((resource_type, id, _))) => format!("{resource_type}/{id}"),
                    // An agent that is no resource is an identifier: `|app`.
                    (_, None) => it.trim_start_matches('|').to_owned(),
                };
                let agents: Vec<String> = values.iter().map(named).collect();
                match agents.as_slice() {
                    [agent] if self.filter.agent.is_none() => self.filter.agent = Some(agent.clone()),
                    _ => self.tests.push(agents.into_iter().map(Test::Agent).collect()),
                }
            }
            "action" => {
                let actions: Vec<char> = values.iter().filter_map(|it| one_letter(it)).collect();
                if actions.len() != values.len() {
                    return wrong("an action is one of C, R, U, D and E");
                }
                match actions.as_slice() {
                    [action] if self.filter.action.is_none() => self.filter.action = Some(*action),
                    _ => self.tests.push(actions.into_iter().map(Test::Action).collect()),
                }
            }
            "outcome" => {
                let outcomes: Vec<i16> =
                    values.iter().filter_map(|it| it.rsplit('|').next()?.parse().ok()).collect();
                if outcomes.len() != values.len() {
                    return wrong("an outcome is one of 0, 4, 8 and 12");
                }
                match outcomes.as_slice() {
                    [outcome] if self.filter.outcome.is_none() => self.filter.outcome = Some(*outcome),
                    _ => self.tests.push(outcomes.into_iter().map(Test::Outcome).collect()),
                }
            }
            "type" | "subtype" => self.of_kinds(&values, name == "subtype"),
            "entity" => {
                let entities: Option<Vec<_>> = values.iter().map(|it| reference(base, "", it)).collect();
                let Some(entities) = entities else { return wrong("this is not a reference") };
                let test = |(resource_type, id, version)| Test::Entity(resource_type, id, version);
                self.tests.push(entities.into_iter().map(test).collect());
            }
            "policy" => self.tests.push(values.iter().map(|it| Test::Policy((*it).to_owned())).collect()),
            "address" => self.tests.push(values.iter().map(|it| Test::Address((*it).to_owned())).collect()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn of_kinds(&mut self, values: &[&str], is_subtype: bool) {
        let mut kinds = Vec::new();
        for value in values {
            let (system, code) = match value.split_once('|') {
                Some((system, code)) => (Some(system), code),
                None => (None, *value),
            };
            kinds.extend(balp::kinds_with(code, system, is_subtype).into_iter().map(|it| it.code()));
        }
        match self.filter.kinds.is_empty() {
            true => self.filter.kinds = kinds,
            false => self.filter.kinds.retain(|kind| kinds.contains(kind)),
        }
        // An empty list would ask for every kind.
        self.is_void |= self.filter.kinds.is_empty();
    }
}

impl Test {
    fn passes(&self, event: &AuditEvent) -> bool {
        let row = &event.row;
        match self {
            Test::Recorded(test) => test.passes(row.recorded, row.recorded),
            Test::Agent(agent) => row.agent == *agent || row.client.as_ref() == Some(agent),
            Test::Action(action) => row.action == *action,
            Test::Outcome(outcome) => row.outcome == *outcome,
            Test::Entity(resource_type, id, version) => row.entities.iter().any(|entity| {
                entity.resource_type == *resource_type
                    && entity.id == *id
                    && version.is_none_or(|it| entity.version == Some(it))
            }),
            Test::Policy(rule) => row.rule.as_ref() == Some(rule),
            Test::Address(address) => row.network.as_ref().is_some_and(|it| it.starts_with(address.as_str())),
        }
    }
}

fn one_letter(text: &str) -> Option<char> {
    let mut letters = text.rsplit('|').next()?.chars();
    let letter = letters.next().filter(|it| "CRUDE".contains(*it))?;
    letters.next().is_none().then_some(letter)
}

fn date(text: &str) -> Option<RangeTest<i64>> {
    let (comparator, text) = match text.split_at_checked(2) {
        Some((prefix, rest)) if Comparator::parse(prefix).is_some() => (Comparator::parse(prefix)?, rest),
        _ => (Comparator::Equal, text),
    };
    let interval = DateTime::parse_search(text)?.interval();
    Some(RangeTest { comparator, low: interval.low, high: interval.high })
}

/// A reference to a resource of ours; a bare id where the type is known.
fn reference(base: &str, default_type: &str, text: &str) -> Option<(ResourceType, ResourceId, Option<i32>)> {
    match Reference::parse(text) {
        Some(Reference::Resource { base: its_base, resource_type, id, version }) => {
            let version = match version {
                None => None,
                Some(version) => Some(version.parse().ok()?),
            };
            its_base.is_none_or(|it| it == base).then_some((resource_type, id, version))
        }
        Some(_) => None,
        None => Some((ResourceType::parse(default_type)?, ResourceId::parse(text)?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://vesta.example/fhir";

    fn read(query: &[(&str, &str)]) -> Result<Criteria, String> {
        let parameters: Vec<_> =
            query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        match Criteria::read(BASE, &parameters, false) {
            Ok((criteria, _)) => Ok(criteria),
            Err(outcome) => Err(outcome.issues()[0].expression.join(",")),
        }
    }

    #[test]
    fn what_the_database_can_decide_it_decides() {
        let criteria = read(&[
            ("patient", "https://vesta.example/fhir/Patient/alice"),
            ("agent", "Practitioner/p"),
            ("action", "R"),
            ("outcome", "http://terminology.hl7.org/CodeSystem/audit-event-outcome|0"),
            ("subtype", "http://hl7.org/fhir/restful-interaction|vread"),
            ("type", "rest"),
            ("date", "ge2026-11"),
            ("date", "lt2026-12-01"),
            ("_sort", "-date"),
            ("_count", "10"),
        ]);
        let criteria = criteria.unwrap();
        assert!(criteria.is_exact());
        let filter = criteria.filter();
        assert_eq!(filter.patient.as_ref().unwrap().as_str(), "alice");
        assert_eq!(filter.agent.as_deref(), Some("Practitioner/p"));
        assert_eq!((filter.action, filter.outcome, filter.kinds.as_slice()), (Some('R'), Some(0), &[2][..]));
        assert_eq!(filter.from, Some(1_793_491_200_000_000));
        assert_eq!(filter.to, Some(1_796_083_199_999_999));
    }

    #[test]
    fn what_it_cannot_is_looked_at() {
        for query in [
            ("agent", "Practitioner/p,Practitioner/q"),
            ("date", "ne2026-11-23"),
            ("entity", "Patient/alice"),
            ("policy", "scope user/*.rs"),
            ("action", "R,E"),
        ] {
            assert!(!read(&[query]).unwrap().is_exact(), "{query:?}");
        }
    }

    #[test]
    fn nothing_is_misunderstood() {
        for (name, value) in [
            ("patient", ""),
            ("patient", "Patient/a,Patient/b"),
            ("patient", "Group/a"),
            ("date", "yesterday"),
            ("action", "X"),
            ("action", "RR"),
            ("outcome", "good"),
            ("entity", "alice"),
            ("entity-name", "x"),
            ("patient.name", "x"),
            ("_sort", "date"),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err(), name, "{name}={value}");
        }
    }

    #[test]
    fn nobody_is_asked_about_beside_another() {
        let criteria = read(&[("patient", "bob")]).unwrap();
        assert!(criteria.within(ResourceId::parse("alice")).is_none());
        assert!(criteria.within(ResourceId::parse("bob")).is_some());
        assert!(read(&[("subtype", "no-such-kind")]).unwrap().within(None).is_none());
        let twice = read(&[("subtype", "read"), ("subtype", "search")]).unwrap();
        assert!(twice.within(None).is_none());
    }
}

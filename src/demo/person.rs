//! Who the chart is about, and who stands by them.

use super::chart::Chart;
use super::code::{hl7, snomed};
use super::element::{address, moment, phone};
use super::random::Random;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};

/// A person, as far as their story needs it.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// First and middle name.
    pub(super) given: [&'static str; 2],
    /// Family name.
    pub(super) family: &'static str,
    /// Female by sex.
    pub(super) is_female: bool,
    /// Day of birth.
    pub(super) birth: Date,
    /// Day of death.
    pub(super) death: Option<Date>,
}

const FEMALE: [&str; 24] = [
    "Amara", "Beatriz", "Chiara", "Dalia", "Elif", "Farah", "Greta", "Hana", "Ines", "Jana", "Keiko",
    "Leilani", "Maren", "Nadia", "Odessa", "Priya", "Quinn", "Rosa", "Selma", "Thandiwe", "Uma", "Vera",
    "Wilma", "Yara",
];
const MALE: [&str; 24] = [
    "Anders", "Bruno", "Caleb", "Diego", "Emil", "Felix", "Gideon", "Hiro", "Ivan", "Jonas", "Kofi", "Luca",
    "Mateo", "Niels", "Omar", "Pavel", "Rafael", "Samir", "Tomas", "Umberto", "Viktor", "Wendell", "Xavier",
    "Yusuf",
];
const FAMILY: [&str; 30] = [
    "Alder",
    "Birch",
    "Cinder",
    "Dunmore",
    "Emberly",
    "Fenwick",
    "Garrow",
    "Hearthstone",
    "Ironside",
    "Juniper",
    "Kettlewell",
    "Larkspur",
    "Merriweather",
    "Northgate",
    "Oakhurst",
    "Pemberley",
    "Quillfeather",
    "Rowanwood",
    "Silverlake",
    "Thistledown",
    "Underhill",
    "Vintner",
    "Wexcombe",
    "Yarrow",
    "Zephyrine",
    "Ashgrove",
    "Briarcliff",
    "Copperfield",
    "Drumlin",
    "Evergreen",
];

impl Person {
    /// Somebody of that age in years on that day, more or less.
    pub(super) fn born(random: &mut Random, today: Date, years: i64, is_female: bool) -> Person {
        let birth = today.saturating_sub(years.years()).saturating_sub(random.range(10, 350).days());
        let names = if is_female { &FEMALE } else { &MALE };
        let given = [random.pick(names, "Robin"), random.pick(names, "Alex")];
        Person { given, family: random.pick(&FAMILY, "Alder"), is_female, birth, death: None }
    }

    /// First and family name.
    pub(super) fn full_name(&self) -> String {
        let [first, _] = self.given;
        format!("{first} {}", self.family)
    }

    /// Whole years at a day.
    pub(super) fn years_at(&self, day: Date) -> i64 {
        let before_birthday = (day.month(), day.day()) < (self.birth.month(), self.birth.day());
        i64::from(day.year()) - i64::from(self.birth.year()) - i64::from(before_birthday)
    }
}

const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/";
const RACE: &str = "urn:oid:2.16.840.1.113883.6.238";

/// Race and ethnicity as they are reported: categories, and what is closer.
#[derive(Clone, Copy)]
struct Origin {
    races: &'static [(&'static str, &'static str)],
    race_detail: Option<(&'static str, &'static str)>,
    is_hispanic: bool,
}

const ORIGINS: [Origin; 6] = [
    Origin { races: &[("2106-3", "White")], race_detail: None, is_hispanic: false },
    Origin {
        races: &[("2054-5", "Black or African American")],
        race_detail: Some(("2058-6", "African American")),
        is_hispanic: false,
    },
    Origin { races: &[("2028-9", "Asian")], race_detail: Some(("2036-2", "Filipino")), is_hispanic: false },
    Origin { races: &[("2106-3", "White")], race_detail: None, is_hispanic: true },
    Origin {
        races: &[("2076-8", "Native Hawaiian or Other Pacific Islander")],
        race_detail: None,
        is_hispanic: false,
    },
    ALL_OF_IT,
];

const ALL_OF_IT: Origin = Origin {
    races: &[("2106-3", "White"), ("1002-5", "American Indian or Alaska Native")],
    race_detail: Some(("1586-7", "Shoshone")),
    is_hispanic: true,
};

/// Adds the patient. `is_full` says everything there is to say.
pub(super) fn patient(chart: &mut Chart, is_full: bool) {
    let person = chart.person.clone();
    let random = &mut chart.random;
    let origin = if is_full { ALL_OF_IT } else { random.pick(&ORIGINS, ALL_OF_IT) };
    let mut extensions = vec![race(origin), ethnicity(origin)];
    if is_full {
        extensions.push(tribe());
    }
    let (sex, birth_sex) = if person.is_female { ("248152002", "F") } else { ("248153007", "M") };
    extensions.push(json!({ "url": format!("{US_CORE}us-core-birthsex"), "valueCode": birth_sex }));
    extensions.push(json!({ "url": format!("{US_CORE}us-core-sex"), "valueCode": sex }));
    let identity = match (random.chance(6), person.is_female) {
        (true, _) => snomed("33791000087105", "Identifies as nonbinary gender"),
        (false, true) => snomed("446141000124107", "Identifies as female gender"),
        (false, false) => snomed("446151000124109", "Identifies as male gender"),
    };
    if is_full || person.years_at(chart.today) >= 18 {
        extensions.push(json!({ "url": format!("{US_CORE}us-core-genderIdentity"), "valueCodeableConcept": identity.concept() }));
    }
    let needs_interpreter = is_full || random.chance(8);
    extensions.push(json!({
        "url": "http://hl7.org/fhir/StructureDefinition/patient-interpreterRequired",
        "valueBoolean": needs_interpreter,
    }));
    let married = person.birth.saturating_add(27.years());
    let moved = chart.today.saturating_sub(3.years());
    let mut names = vec![json!({
        "use": "official",
        "family": person.family,
        "given": person.given,
        "period": { "start": if is_full { married.to_string() } else { person.birth.to_string() } },
    })];
    if is_full {
        set(&mut names, "prefix", json!(["Ms."]));
        set(&mut names, "suffix", json!(["PhD"]));
        names.push(json!({
            "use": "old",
            "family": "Ancestral",
            "given": person.given,
            "period": { "start": person.birth.to_string(), "end": married.to_string() },
        }));
    }
    let mut home = address(random, "home");
    if let Some(members) = home.as_object_mut() {
        members.insert("period".to_owned(), json!({ "start": moved.to_string() }));
    }
    let mut addresses = vec![home];
    if is_full {
        let mut old = address(random, "old");
        if let Some(members) = old.as_object_mut() {
            let end = moved.yesterday().unwrap_or(moved);
            members
                .insert("period".to_owned(), json!({ "start": married.to_string(), "end": end.to_string() }));
        }
        addresses.push(old);
    }
    let [first, _] = person.given;
    let email = format!("{}.{}@example.org", first.to_lowercase(), person.family.to_lowercase());
    let telecom = json!([phone(random, "home"), phone(random, "mobile"), { "system": "email", "value": email, "use": "home" }]);
    let record_number = random.digits(8);
    let mut identifiers =
        vec![identifier("MR", "Medical record number", "https://demo.vesta.example/mrn", &record_number)];
    if is_full {
        // Numbers that begin with 9 were never given to anybody.
        let number = format!("9{}-{}-{}", random.digits(2), random.digits(2), random.digits(4));
        identifiers.push(identifier(
            "SS",
            "Social Security number",
            "http://hl7.org/fhir/sid/us-ssn",
            &number,
        ));
    }
    let language = if needs_interpreter { ("es", "Spanish") } else { ("en", "English") };
    let married_status = hl7("v3-MaritalStatus", "M", "Married");
    let adult = person.years_at(chart.today) >= 25;
    chart.add(
        "Patient",
        "us-core-patient",
        json!({
            "extension": extensions,
            "identifier": identifiers,
            "active": true,
            "name": names,
            "telecom": telecom,
            "gender": if person.is_female { "female" } else { "male" },
            "birthDate": person.birth.to_string(),
            "deceasedDateTime": person.death.map(|day| moment(day.at(4, 20, 0, 0))),
            "address": addresses,
            "maritalStatus": adult.then_some(married_status),
            "communication": [{
                "language": { "coding": [{ "system": "urn:ietf:bcp:47", "code": language.0, "display": language.1 }] },
                "preferred": true,
            }],
            "generalPractitioner": [{ "reference": "Practitioner/demo-clinician", "display": "Dr. Clara Democlinician" }],
            "managingOrganization": { "reference": "Organization/demo-hospital", "display": "Hearthside General Hospital" },
        }),
    );
}

/// Adds a person who stands by the patient.
pub(super) fn relative(chart: &mut Chart, role: (&str, &str)) -> String {
    let family = chart.person.family;
    let random = &mut chart.random;
    let given = random.pick(&FEMALE, "Robin");
    let content = json!({
        "active": true,
        "patient": { "reference": format!("Patient/{}", chart.id) },
        "relationship": [hl7("v3-RoleCode", role.0, role.1)],
        "name": [{ "use": "official", "family": family, "given": [given] }],
        "telecom": [phone(random, "mobile")],
        "address": [address(random, "home")],
    });
    chart.add("RelatedPerson", "us-core-relatedperson", content)
}

fn race(origin: Origin) -> Value {
    let mut parts: Vec<Value> = origin
        .races
        .iter()
        .map(|(code, display)| part("ombCategory", code, display))
        .chain(origin.race_detail.map(|(code, display)| part("detailed", code, display)))
        .collect();
    let text: Vec<&str> = origin.races.iter().map(|(_, display)| *display).collect();
    parts.push(json!({ "url": "text", "valueString": text.join(", ") }));
    json!({ "url": format!("{US_CORE}us-core-race"), "extension": parts })
}

fn ethnicity(origin: Origin) -> Value {
    let (code, display) = match origin.is_hispanic {
        true => ("2135-2", "Hispanic or Latino"),
        false => ("2186-5", "Not Hispanic or Latino"),
    };
    let mut parts = vec![part("ombCategory", code, display)];
    if origin.is_hispanic {
        parts.push(part("detailed", "2148-5", "Mexican"));
    }
    parts.push(json!({ "url": "text", "valueString": display }));
    json!({ "url": format!("{US_CORE}us-core-ethnicity"), "extension": parts })
}

fn tribe() -> Value {
    let name = "Paiute-Shoshone Tribe of the Fallon Reservation and Colony, Nevada";
    let affiliation = hl7("v3-TribalEntityUS", "187", name);
    json!({
        "url": format!("{US_CORE}us-core-tribal-affiliation"),
        "extension": [
            { "url": "tribalAffiliation", "valueCodeableConcept": affiliation },
            { "url": "isEnrolled", "valueBoolean": false },
        ],
    })
}

fn part(url: &str, code: &str, display: &str) -> Value {
    json!({ "url": url, "valueCoding": { "system": RACE, "code": code, "display": display } })
}

fn identifier(kind: &str, display: &str, system: &str, value: &str) -> Value {
    json!({ "use": "usual", "type": hl7("v2-0203", kind, display), "system": system, "value": value })
}

fn set(values: &mut [Value], name: &str, value: Value) {
    if let Some(members) = values.first_mut().and_then(Value::as_object_mut) {
        members.insert(name.to_owned(), value);
    }
}

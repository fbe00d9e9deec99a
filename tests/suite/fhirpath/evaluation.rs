//! What the specification says and HL7's cases leave out.

use super::{PATIENT, json, shown};
use vesta::conformance::definitions::Definitions;
use vesta::fhir::json::{Json, Node};
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression, Surroundings};

#[test]
fn evaluates_what_the_cases_leave_out() {
    let definitions = Definitions::embedded().unwrap();
    let mut wrong = Vec::new();
    for (expression, expected) in [
        // Variables live in their chain, and nowhere else.
        ("defineVariable('n', name).select(%n.family)", "Chalmers"),
        ("name.first().defineVariable('n').given.select(%n.family & $this)", "ChalmersPeter, ChalmersJames"),
        ("(defineVariable('n', 1).active) and %n = 1", "! unknown variable"),
        ("defineVariable('resource', 1)", "! wrong argument"),
        // Sorting.
        ("name.given.sort(-$this)", "Peter, Jim, James"),
        ("name.sort(family).first().given", "Jim"),
        // Types.
        ("multipleBirth.is(integer)", "true"),
        ("multipleBirth as integer", "2"),
        ("name[0].type().baseType", "FHIR.Element"),
        ("contact.type().name", "BackboneElement"),
        ("gender is code and gender is string and gender is System.String = false", "true"),
        ("name is HumanName", "! a single item is expected"),
        ("name is Nothing", "! a single item is expected"),
        ("active is Nothing", "! unknown type"),
        // Extensions of primitives.
        ("birthDate.extension.value", "1974-12-25T14:35:45-05:00"),
        ("birthDate.hasValue() and name.hasValue().not()", "true"),
        ("contact.name.family.id", "f"),
        ("extension('http://example.org/a').value + 1", "4"),
        // References.
        ("managingOrganization.resolve().name", "Ward"),
        ("generalPractitioner.resolve() is Practitioner", "true"),
        // Dates.
        ("birthDate + 2 months", "1975-02-25"),
        ("@2020-02-29 + 1 year", "2021-02-28"),
        ("@2014 + 23 months", "2015"),
        ("@T23:30 + 2 hours", "01:30"),
        ("@T23:30 + 2 days", "! a value of another type is expected"),
        ("@9999-12-31 + 1 day", ""),
        ("@2020-01-01 < @2020-01-02T00:00:00+14:00", "true"),
        ("@2020-01-01T22:00:00 < @2020-01-02T10:00:00Z", ""),
        ("@2020-01-01T10:00:00 < @2020-01-03T10:00:00Z", "true"),
        ("birthDate.lowBoundary()", "1974-12-25"),
        ("contact.period.start.highBoundary()", "2012-12-31T23:59:59.999-12:00"),
        ("today() - 1 month", "2026-10-24"),
        ("@2026-11-24T10:20:30.5+01:30.timezoneOffsetOf()", "1.5"),
        ("birthDate.yearOf() + birthDate.dayOf()", "1999"),
        // Quantities.
        ("1 'm' + 50 'cm'", "1.5 'm'"),
        ("1 'm' + 1 'g'", "! a value of another type is expected"),
        ("2 'm' * 3 's'", "6 'm.s'"),
        ("100 'Cel' > 300 'K'", "true"),
        ("1 'm' = 1 'g'", "false"),
        ("1 'm' < 1 'g'", ""),
        ("12 months = 1 year", "true"),
        ("1 year ~ 1 'a'", "true"),
        ("'5 mg'.toQuantity()", ""),
        ("(1 'g').toQuantity('mg').exists()", "true"),
        // Numbers.
        ("9223372036854775807 + 1", ""),
        ("7 div 0", ""),
        ("2.power(0.5).round(3)", "1.414"),
        ("(1 | 2 | 3).avg()", "2"),
        ("(3 | 1 | 2).min() + (3 | 1 | 2).max()", "4"),
        ("1.50 ~ 1.5 and 1.50 = 1.5 and '1.50' != '1.5'", "true"),
        // Strings.
        ("'a,b'.split(',').join('|')", "a|b"),
        (
            "'x'.matches('[')",
            "! not a FHIRPath expression at byte 4: not a regular expression, or one too large",
        ),
        ("name.given.startsWith('P')", "! a single item is expected"),
        ("1.startsWith('1')", "! a value of another type is expected"),
        ("name.first().lower()", "! a value of another type is expected"),
        ("'ab'.unescape('nothing')", "! wrong argument"),
        // Narratives.
        ("text.div.htmlChecks()", "true"),
        ("'<div><script>1</script></div>'.htmlChecks()", "false"),
        ("'<div onclick=\"x\">a</div>'.htmlChecks()", "false"),
        ("'<div> </div>'.htmlChecks()", "false"),
        // Others.
        ("coalesce(name.suffix, gender)", "male"),
        ("%resource.id & %context.id & %rootResource.id", "ppp"),
        ("%nobody", "! unknown variable"),
        ("nobody()", "! not a FHIRPath expression at byte 0: there is no such function"),
        (
            "exists(1, 2)",
            "! not a FHIRPath expression at byte 0: the function takes another number of arguments",
        ),
        ("gender.memberOf('http://hl7.org/fhir/ValueSet/x')", "! unknown value set"),
        ("conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", "true"),
    ] {
        let found = shown(&definitions, expression);
        if found != expected {
            wrong.push(format!("{expression} gave {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A world with one practitioner, one value set and one profile.
struct World {
    practitioner: Json,
}

impl Surroundings for World {
    fn resolve(&self, reference: &str) -> Option<Node<'_>> {
        (reference == "Practitioner/1").then(|| self.practitioner.root())
    }

    fn is_member_of(&self, item: &Item<'_>, value_set: &str) -> Option<bool> {
        let is_code = matches!(item, Item::Element(it) if it.node.is_some_and(|it| it.is("male")));
        (value_set == "genders").then_some(is_code)
    }

    fn conforms_to(&self, _: &Item<'_>, profile: &str) -> Option<bool> {
        (profile == "strict").then_some(false)
    }
}

#[test]
fn asks_its_surroundings() {
    let definitions = Definitions::embedded().unwrap();
    let types = &definitions.types;
    let world = World { practitioner: json(r#"{"resourceType":"Practitioner","id":"1","gender":"female"}"#) };
    let patient = json(PATIENT);
    let focus = Item::of_resource(types, patient.root()).unwrap();
    let mut env = Environment::of(types, focus.clone());
    env.surroundings = Some(&world);
    env.constants.push(("ward".to_owned(), vec![focus.clone()]));
    for (expression, expected) in [
        ("generalPractitioner.resolve().gender = 'female'", Some(true)),
        ("gender.memberOf('genders')", Some(true)),
        ("id.memberOf('genders')", Some(false)),
        ("conformsTo('strict')", Some(false)),
        ("%ward.id = 'p'", Some(true)),
    ] {
        let found = Expression::parse(expression).unwrap().evaluate_to_bool(&env, focus.clone());
        assert_eq!(found, Ok(expected), "{expression}");
    }
}

#[test]
fn checks_strictly_what_it_can_know() {
    let definitions = Definitions::embedded().unwrap();
    for (expression, is_sound) in [
        ("Patient.name.given", true),
        ("name.where(use = 'official').given.first()", true),
        ("name.where(usage = 'official')", false),
        ("Observation.value", false),
        ("Patient.deceased.exists()", true),
        ("Patient.deceasedBoolean", false),
        ("contained.anything", true),
        ("children().anything", true),
        ("descendants()[0]", false),
        ("extension('x').value.code", true),
        ("contact.select(name | telecom).family", true),
    ] {
        let checked = Expression::parse(expression).unwrap().check(&definitions.types, "Patient");
        assert_eq!(checked.is_ok(), is_sound, "{expression}");
    }
}

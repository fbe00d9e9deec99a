use super::*;
use crate::fhir::json::Limits;
use crate::fhir::resource::Resource;
use crate::search::verify::Verifier;
use std::sync::{Arc, LazyLock};

const BASE: &str = "https://here/fhir";
static DEFINITIONS: LazyLock<Arc<Definitions>> = LazyLock::new(|| Arc::new(Definitions::embedded().unwrap()));

fn plan_for(types: &[&str], query: &str, handling: Handling) -> Result<(Query, Vec<Issue>), Outcome> {
    let setting = Setting {
        sets: None,
        definitions: &DEFINITIONS,
        base: BASE,
        now: 1_795_478_400_000_000, // 2026-11-24
        handling,
        default_count: 20,
        max_count: 1000,
    };
    let types: Vec<ResourceType> = types.iter().map(|it| ResourceType::parse(it).unwrap()).collect();
    let pairs = query.split('&').filter(|it| !it.is_empty()).map(|pair| pair.split_once('=').unwrap());
    let pairs: Vec<(String, String)> = pairs.map(|(name, value)| (name.into(), value.into())).collect();
    plan(&setting, &types, &pairs)
}

fn planned(types: &[&str], query: &str) -> Query {
    plan_for(types, query, Handling::Strict).unwrap_or_else(|outcome| panic!("{query}: {outcome:?}")).0
}

/// Whether the resource is found; what the index alone says must never be narrower.
fn finds(resource: &str, query: &str) -> bool {
    let resource = Resource::parse(resource, &Limits::default()).unwrap();
    let query = planned(&[resource.resource_type().name()], query);
    let verifier = Verifier::new(DEFINITIONS.clone(), BASE);
    let is_found = verifier.satisfies(&resource, &query.filter);
    let may_be_found = verifier.satisfies(&resource, &query.filter.superset());
    assert!(is_found <= may_be_found, "{:?}", query.filter);
    if query.filter.is_exact() {
        assert_eq!(is_found, may_be_found);
    }
    is_found
}

fn check(resource: &str, found: &[&str], not_found: &[&str]) {
    for query in found {
        assert!(finds(resource, query), "{query} must find it");
    }
    for query in not_found {
        assert!(!finds(resource, query), "{query} must not find it");
    }
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p1",
    "meta":{"versionId":"3","lastUpdated":"2026-11-20T10:00:00.123Z","source":"http://a.org/feed",
        "profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0"],
        "tag":[{"system":"http://t","code":"x"}],"security":[{"system":"http://s","code":"R"}]},
    "text":{"status":"generated","div":"<div>Peter <b>Chalmers</b></div>"},
    "identifier":[{"system":"urn:oid:1.2","value":"12345","type":{"text":"Medical Record",
        "coding":[{"system":"http://v2","code":"MR"}]}},{"value":"a,b|c"}],
    "active":true,"gender":"male","birthDate":"1974-12-25","deceasedDateTime":"2015-02-14T13:42:00+10:00",
    "name":[{"use":"official","family":"Chalmers-Müller","given":["Peter","James"]},{"text":"Jim the Great"}],
    "telecom":[{"system":"phone","value":"(03) 5555"},{"system":"email","value":"p@x.org"}],
    "address":[{"line":["534 Erewhon St"],"city":"PleasantVille","state":"Vic","postalCode":"3999"}],
    "generalPractitioner":[{"reference":"Practitioner/d1"}],
    "managingOrganization":{"reference":"https://here/fhir/Organization/o1/_history/4"},
    "link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}"#;

const OBSERVATION: &str = r##"{"resourceType":"Observation","id":"o1","status":"final",
    "category":[{"coding":[{"system":"http://cat","code":"vital-signs","display":"Vital Signs"}]}],
    "code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure"}],"text":"BP panel"},
    "subject":{"reference":"Patient/p1"},"encounter":{"reference":"https://there/fhir/Encounter/e1"},
    "performer":[{"reference":"Practitioner/d1"},{"identifier":{"system":"http://npi","value":"99"}}],
    "effectivePeriod":{"start":"2026-01-10T10:00:00Z"},
    "valueQuantity":{"value":5.4,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"},
    "component":[
        {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
         "valueQuantity":{"value":107,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
        {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},
         "valueQuantity":{"value":60,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"##;

#[test]
fn strings_are_found_by_their_beginnings() {
    check(
        PATIENT,
        &[
            "name=pet",
            "name=CHALMERSM",
            "name=Chalmers-Mül",
            "family=chalmers-mulle",
            "given=james",
            "name=jim the",
            "name:exact=Peter",
            "family:contains=ersmu",
            "name:contains=great",
            "name:contains=im",
            "address=3999",
            "address-city=pleasant",
            "address=534 erewhon",
            "address:contains=whon",
            "given=x,peter",
            "phonetic=peter",
            "name=Peter&name=Chalmers",
        ],
        &[
            "name=eter",
            "name:exact=peter",
            "family=peter",
            "name:contains=xyz",
            "given=chalmers",
            "family=chalmersmullerx",
            "address-city=534",
            "name=Peter&name=Paul",
        ],
    );
}

#[test]
fn tokens_are_found_by_system_and_code() {
    check(
        PATIENT,
        &[
            "gender=male",
            "gender=female,male",
            "gender=http://hl7.org/fhir/administrative-gender|male",
            "gender=|male",
            "gender:not=female",
            "active=true",
            "deceased=true",
            "identifier=12345",
            "identifier=urn:oid:1.2|12345",
            "identifier=urn:oid:1.2|",
            r"identifier=|a\,b\|c",
            "identifier:of-type=http://v2|MR|12345",
            "identifier:text=medical",
            "identifier:text=me",
            "email=p@x.org",
            "telecom=p@x.org",
            "phone=(03) 5555",
            "_tag=http://t|x",
            "_security=R",
            "_id=p1",
            "_id=a,p1",
            "_id:not=p2",
            "language:missing=true",
            "gender:missing=false",
        ],
        &[
            "gender=female",
            "gender:not=male",
            "gender:not=female,male",
            "active=false",
            "deceased=false",
            "identifier=|12345",
            "identifier=urn:oid:1.2|54321",
            "identifier:of-type=http://v2|SS|12345",
            "identifier:text=edical",
            "phone=p@x.org",
            "_tag=http://u|x",
            "_id=p2",
            "gender:missing=true",
            "language:missing=false",
        ],
    );
}

#[test]
fn dates_are_intervals() {
    check(
        PATIENT,
        &[
            "birthdate=1974-12-25",
            "birthdate=1974",
            "birthdate=ge1974-12-25",
            "birthdate=lt1975",
            "birthdate=gt1974-12-24",
            "birthdate=ne1975",
            "birthdate=le1974",
            "birthdate=sa1973",
            "birthdate=eb1975",
            "birthdate=gt1970&birthdate=lt1980",
            "death-date=2015-02-14",
            "death-date=gt2015-02-14T03:41:00Z",
            "death-date=lt2015-02-14T14:00:00 10:00",
            "_lastUpdated=2026-11-20",
            "_lastUpdated=gt2026-11-20T10:00:00.122Z",
            "birthdate=ap1975",
        ],
        &[
            "birthdate=1974-12-26",
            "birthdate=gt1974",
            "birthdate=ge1974-12-26",
            "birthdate=lt1974-12-25",
            "birthdate=ne1974",
            "birthdate=sa1974",
            "death-date=gt2015-02-14T03:42:00Z",
            "_lastUpdated=lt2026-11-20",
            "birthdate=ap2020",
        ],
    );
    check(
        OBSERVATION,
        &["date=gt2026", "date=ge2026-01-10", "date=sa2026-01-09", "date=ap2026-02", "date=ne2026"],
        &["date=2026", "date=lt2026", "date=eb2027", "date=sa2026-01-10", "date=le2026-01-09"],
    );
}

#[test]
fn numbers_have_digits_and_units() {
    check(
        OBSERVATION,
        &[
            "value-quantity=5.4",
            "value-quantity=5.4|http://unitsofmeasure.org|mg",
            "value-quantity=5400|http://unitsofmeasure.org|ug",
            "value-quantity=5.40e-3|http://unitsofmeasure.org|g",
            "value-quantity=5.4||mg",
            "value-quantity=5.4||milligram",
            "value-quantity=ge5.4",
            "value-quantity=gt5.3",
            "value-quantity=ap5",
            "value-quantity=5",
            "value-quantity=5.40",
            "combo-value-quantity=107",
            "component-value-quantity=lt61",
        ],
        &[
            "value-quantity=5.5",
            "value-quantity=5.4|http://unitsofmeasure.org|g",
            "value-quantity=gt5.4",
            "value-quantity=lt5.4",
            "value-quantity=5.4||ug",
            "value-quantity=5.4|http://other|mg",
            "value-quantity=ne5",
            "component-value-quantity=5.4",
        ],
    );
}

#[test]
fn references_are_found_by_id_url_and_type() {
    check(
        OBSERVATION,
        &[
            "subject=Patient/p1",
            "subject=p1",
            "patient=p1",
            "patient=Patient/p1",
            "subject:Patient=p1",
            "subject=https://here/fhir/Patient/p1",
            "encounter=https://there/fhir/Encounter/e1",
            "performer:identifier=99",
            "performer:identifier=http://npi|99",
            "performer=Practitioner/d1,Practitioner/d2",
            "focus:missing=true",
        ],
        &[
            "subject=Patient/p2",
            "subject=Group/p1",
            "patient=Group/p1",
            "encounter=Encounter/e1",
            "subject:Group=p1",
            "performer:identifier=|99",
            "subject:missing=true",
            "patient:missing=true",
        ],
    );
    check(
        PATIENT,
        &[
            "organization=Organization/o1",
            "organization=o1",
            "organization=Organization/o1/_history/4",
            "link=p2",
        ],
        &["organization=Organization/o1/_history/3", "organization=Practitioner/o1"],
    );
}

#[test]
fn uris_and_words_are_found() {
    check(
        PATIENT,
        &[
            "_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient",
            "_source=http://a.org/feed",
            "_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0",
            "_source:below=http://a.org",
            "_source:above=http://a.org/feed/1",
            "_text=chalmers peter",
            "_content=erewhon",
        ],
        &[
            "_profile=http://hl7.org/fhir/us/core",
            "_source=http://a.org",
            "_source:below=http://a.org/fe",
            "_text=erewhon",
        ],
    );
}

#[test]
fn composites_belong_together() {
    check(
        OBSERVATION,
        &[
            "code-value-quantity=85354-9$5.4",
            "component-code-value-quantity=8480-6$107",
            "component-code-value-quantity=http://loinc.org|8462-4$lt65",
            "combo-code-value-quantity=85354-9$gt5",
            "combo-code-value-quantity=8462-4$60,8462-4$61",
            "combo-code=8480-6",
            "combo-code=85354-9",
            "code=85354-9",
            "code:text=bp",
            "code:text=blood p",
            "category=http://cat|vital-signs",
        ],
        &[
            "component-code-value-quantity=8480-6$60",
            "combo-code-value-quantity=85354-9$107",
            "code=8480-6",
            "code-value-quantity=85354-9$6.4",
            "code:text=panel",
        ],
    );
}

#[test]
fn filters_combine() {
    check(
        PATIENT,
        &[
            r#"_filter=given eq "peter" and birthdate lt 1980"#,
            "_filter=given eq paul or family co müll",
            "_filter=not (gender eq female)",
            "_filter=(given sw pe or given sw x) and family ew ller",
            "_filter=active pr true",
            "_filter=given ne peter",
            "_filter=_id eq p1",
            "_filter=birthdate ge 1974-12-25 and not (deceased eq false)",
            "_filter=birthdate po 1974",
        ],
        &[
            "_filter=given eq pet",
            "_filter=not (given eq peter)",
            "_filter=active pr false",
            "_filter=gender eq female or _id eq p2",
        ],
    );
}

#[test]
fn chains_become_questions_about_others() {
    let show = |query: &str| format!("{:?}", planned(&["Observation"], query).filter);
    let named = show("patient.name=x");
    assert!(
        named.starts_with(r#"References { parameter: "subject", target: Patient, inner: Any("#),
        "{named}"
    );
    assert_eq!(named, show("subject:Patient.name=x"));
    let deep = show("encounter.service-provider.name=x");
    assert!(
        deep.contains(
            r#"target: Encounter, inner: References { parameter: "service-provider", target: Organization"#
        ),
        "{deep}"
    );
    let query = planned(&["Patient"], "_has:Observation:patient:_has:AuditEvent:entity:agent=x");
    let shown = format!("{:?}", query.filter);
    assert!(
        shown.starts_with(r#"ReferencedBy { source: Observation, parameter: "subject", inner: ReferencedBy"#),
        "{shown}"
    );
    let mixed = format!("{:?}", planned(&["Encounter"], "patient._has:Group:member:_id=g1").filter);
    assert!(mixed.contains(r#"ReferencedBy { source: Group, parameter: "member", inner: Id"#), "{mixed}");
    assert!(format!("{:?}", planned(&["Patient"], "_list=l1").filter).contains("source: List"));
}

#[test]
fn what_is_not_understood_is_refused() {
    for query in [
        "foo=1",
        "name:foo=1",
        "name=",
        "name=,",
        "birthdate=yesterday",
        "birthdate=1974-13",
        "birthdate=xx1974",
        "gender:in=http://vs",
        "active=maybe",
        "active=http://s|true",
        "identifier=a|b|c",
        "identifier=|",
        "identifier:of-type=a|b",
        "name:missing=maybe",
        "_id=a b",
        "organization=not an id",
        "organization:Patient=1",
        "organization:identifier=|",
        "_count=x",
        "_count=-1",
        "_total=some",
        "_summary=x",
        "_sort=foo",
        "_sort=",
        "_include=Patient",
        "_include=Patient:name",
        "_include=Foo:bar",
        "_include:foo=Patient:link",
        "_contained=true",
        "_list=$current-problems",
        "_has:Observation:patient=1",
        "_has:Observation:code:code=1",
        "general-practitioner.foo=1",
        "organization:Patient.name=x",
        "gender.name=x",
        "_filter=name",
        "_filter=name eq",
        "_filter=(name eq x",
        "_filter=name xx y",
        "_filter=name eq \"x",
        "_filter=name eq x y",
        "_filter=code ss x",
        "_query=x",
        "_text=--",
        "_source:below=urn:x",
        "_elements=",
        "link.link.link.link.link.link.link.link.link.link.name=x",
    ] {
        let outcome = plan_for(&["Patient"], query, Handling::Strict).err();
        let issue = outcome.unwrap_or_else(|| panic!("{query} must be refused")).issues()[0].clone();
        let name = query.split_once('=').unwrap().0;
        assert!(
            issue.expression[0].starts_with("http.") && issue.diagnostics.starts_with(name),
            "{query}: {issue:?}"
        );
    }
    let many = format!("name={}", "x,".repeat(1001));
    assert!(plan_for(&["Patient"], &many, Handling::Lenient).is_err());
    let nested = format!("_filter={}name eq x{}", "(".repeat(2000), ")".repeat(2000));
    assert!(plan_for(&["Patient"], &nested, Handling::Lenient).is_err());
}

#[test]
fn lenient_handling_leaves_out_only_what_is_unknown() {
    let (query, issues) = plan_for(&["Patient"], "foo=1&name=x&_sort=bar", Handling::Lenient).unwrap();
    assert_eq!(query.effective, [("name".to_owned(), "x".to_owned())]);
    assert_eq!(issues.len(), 2);
    assert_eq!(issues[0].diagnostics, "foo: not a search parameter of Patient; left out");
    assert!(plan_for(&["Patient"], "birthdate=x", Handling::Lenient).is_err());
    assert!(plan_for(&["Patient"], "name:foo=x", Handling::Lenient).is_err());
}

#[test]
fn control_parameters_shape_the_answer() {
    let query = planned(
        &["Observation"],
        "_sort=-date,code&_count=5000&_total=accurate&_summary=data&_elements=code,subject&_include=Observation:subject:Patient\
         &_revinclude:iterate=Provenance:target&_include=*&_include=Observation:*&_contained=false",
    );
    assert_eq!(query.sort.len(), 2);
    assert!(query.sort[0].is_descending && !query.sort[1].is_descending);
    assert_eq!((query.count, query.total), (1000, crate::search::query::Total::Accurate));
    assert_eq!(query.elements, ["code", "subject"]);
    assert_eq!(query.includes.len(), 4);
    assert!(query.includes[1].is_iterated);
    assert_eq!(query.includes[0].target, ResourceType::parse("Patient"));
    assert_eq!(planned(&["Patient"], "_count=0").count, 0);
    let query = planned(
        &["Patient", "Observation", "Encounter"],
        "_type=Patient,Observation&_lastUpdated=gt2026&_id=1",
    );
    assert_eq!(query.resource_types.len(), 2);
    assert!(!format!("{:?}", query.filter).contains("Type("));
    let query = planned(&["Condition", "Observation"], "patient=1");
    let shown = format!("{:?}", query.filter);
    let both = r#"All([Compartment(ResourceId("1")), Key(Key(subject reference))])"#;
    assert_eq!(shown, both, "both hold their patient under the same name");
    let query = planned(&["Observation"], "subject=Group/1");
    assert_eq!(format!("{:?}", query.filter), "Key(Key(subject reference))", "a group has no compartment");
    let query = planned(&["Observation"], "based-on=1");
    assert!(!format!("{:?}", query.filter).contains("Compartment"));
    assert!(plan_for(&["Patient", "Observation"], "birthdate=1974", Handling::Strict).is_err());
}

#[test]
fn common_questions_are_exact() {
    for (of, query) in [
        ("Patient", "name=pet"),
        ("Patient", "birthdate=ge1970"),
        ("Patient", "identifier=a|b"),
        ("Observation", "code-value-quantity=a$gt5"),
        ("Observation", "patient=1&category=a|b&date=ge2020&status=final"),
        ("Observation", "value-quantity=5|http://unitsofmeasure.org|mg"),
        ("Encounter", "patient:Patient=1&class=AMB"),
        ("MedicationRequest", "patient=1&intent=order&status=active"),
    ] {
        assert!(planned(&[of], query).filter.is_exact(), "{of}?{query}");
    }
    assert!(!planned(&["Patient"], "name=abcdefghi").filter.is_exact());
    assert!(!planned(&["Observation"], "component-code-value-quantity=a$1").filter.is_exact());
}

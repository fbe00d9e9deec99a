//! What is fuzzed: every parser that reads what strangers send, and what must hold of it besides not to panic.

use vesta::access::scope::Scopes;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Mode, Options, validate};
use vesta::crypto::jwks::KeySet;
use vesta::fhir::date_time::{DateTime, Time};
use vesta::fhir::id::ResourceType;
use vesta::fhir::json::{Json, Limits};
use vesta::fhir::reference::Reference;
use vesta::fhir::resource::Resource;
use vesta::fhir::{json_patch, xml};
use vesta::fhirpath::value::Item;
use vesta::fhirpath::{Environment, Expression, patch};
use vesta::search::extract;
use vesta::search::plan::{Setting, plan};
use vesta::search::query::Handling;

/// What the targets stand on.
pub struct Ground {
    pub definitions: Definitions,
    pub patient: Resource,
}

/// A parser, and inputs that it knows.
pub struct Target {
    pub name: &'static str,
    pub seeds: &'static [&'static str],
    pub run: fn(&Ground, &[u8]),
}

const PATIENT: &str = r##"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"2024-01-01T00:00:00.000Z"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Eve &amp; <b>Ann</b></p></div>"},"contained":[{"resourceType":"Organization","id":"o","name":"O"}],"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Ulm"}}],"identifier":[{"system":"urn:oid:1.2.36","value":"1"}],"active":true,"name":[{"family":"Everywoman","given":["Eve","\u00e9"],"_given":[null,{"id":"g"}],"period":{"start":"2001"}}],"birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1974-12-25T14:35:45-05:00"}]},"managingOrganization":{"reference":"#o"}}"##;
const OBSERVATION: &str = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}],"text":"x"},"subject":{"reference":"Patient/a"},"effectivePeriod":{"start":"2024-01-01","end":"2024-02"},"valueQuantity":{"value":1.00,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"},"component":[{"code":{"text":"c"},"valueRange":{"low":{"value":-1E-7}}}]}"#;
const BUNDLE: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a","resource":{"resourceType":"Patient","link":[{"other":{"reference":"Patient?identifier=a|b"},"type":"refer"}]},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=a|b"}},{"request":{"method":"GET","url":"Patient?name=x"}}]}"#;

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "json",
        seeds: &[PATIENT, OBSERVATION, BUNDLE, "[[1e5,-0.0,\"\\ud83d\\ude00\"]]"],
        run: json,
    },
    Target { name: "resource", seeds: &[PATIENT, OBSERVATION, BUNDLE], run: resource },
    Target {
        name: "xml",
        seeds: &[
            r#"<Patient xmlns="http://hl7.org/fhir"><id value="a"/><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml"><p>Eve &amp; &#233;</p></div></text><contained><Organization><id value="o"/></Organization></contained><active value="true"/><name id="n"><given value="Eve"><extension url="http://e"><valueCode value="x"/></extension></given></name><birthDate value="1974-12-25"/></Patient>"#,
            r#"<?xml version="1.0"?><!-- c --><Bundle xmlns="http://hl7.org/fhir"><type value="batch"/><entry><resource><Basic><code><text value="x"/></code></Basic></resource></entry></Bundle>"#,
        ],
        run: from_xml,
    },
    Target {
        name: "fhirpath",
        seeds: &[
            "name.where(use = 'official' and given.exists()).given.first() | name.family",
            "birthDate + 3 'months' > @2001-01-01T10:00:00.000+01:00",
            "(1.5 'mg' / 2).convertsToQuantity() or iif(active, {}, $this is Patient)",
            "name.select(family & ', ' & given.aggregate($this & $total, '')).repeat($this).matches('^(a|b)*$')",
            "descendants().ofType(Reference).resolve().where(%resource.id != 'a').trace('x').lowBoundary()",
        ],
        run: fhirpath,
    },
    Target {
        name: "search",
        seeds: &[
            "name:exact=a\\,b,c&birthdate=ge1970-01&_sort=-birthdate,name&_count=10&_total=accurate",
            "_has:Observation:patient:code=http://loinc.org|8867-4&general-practitioner:Practitioner.name=x&_include=Patient:organization",
            "_filter=(name co \"x\" and not (birthdate lt 1990)) or identifier eq a|b&_elements=name&_summary=false",
            "address-city:contains=x&near=42.1|-71.2|5|km&_lastUpdated=gt2020&_list=a&_text=word&_type=Patient,Group",
            "code-value-quantity=8867-4$gt5.40|http://unitsofmeasure.org|mg&value-quantity=ap5e-3&combo-code:of-type=a|b|c",
        ],
        run: search,
    },
    Target {
        name: "scope",
        seeds: &[
            "launch/patient openid fhirUser offline_access patient/*.read user/Observation.rs?category=http://a|laboratory",
            "system/Patient.cruds?_security=x&birthdate=gt2000 patient/Condition.d patient/.rs user/*.*",
        ],
        run: scope,
    },
    Target {
        name: "patch",
        seeds: &[
            r#"[{"op":"test","path":"/active","value":true},{"op":"add","path":"/name/-","value":{"given":["x"]}},{"op":"move","from":"/name/0","path":"/name/1"},{"op":"remove","path":"/identifier"}]"#,
            r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"insert"},{"name":"path","valueString":"Patient.name"},{"name":"index","valueInteger":0},{"name":"value","valueHumanName":{"family":"x"}}]}]}"#,
        ],
        run: patches,
    },
    Target {
        name: "words",
        seeds: &[
            "2024-02-29T23:59:59.999999+14:00",
            "@T14:30",
            "24:00",
            "http://a/fhir/Patient/a/_history/2",
            "Patient?identifier=a|b",
            "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a",
            "#o",
            "http://a|1.0",
        ],
        run: words,
    },
    Target {
        name: "keys",
        seeds: &[
            r#"{"keys":[{"kty":"EC","crv":"P-384","kid":"a","use":"sig","alg":"ES384","x":"AAAA","y":"AAAA"},{"kty":"RSA","n":"AQAB","e":"AQAB","alg":"RS384"}]}"#,
        ],
        run: keys,
    },
];

impl Ground {
    pub fn new() -> Ground {
        Ground {
            definitions: Definitions::embedded().unwrap(),
            patient: Resource::parse(PATIENT, &Limits::default()).unwrap(),
        }
    }
}

fn json(_: &Ground, input: &[u8]) {
    let Ok(json) = Json::parse(input, &Limits::default()) else { return };
    assert_eq!(json.text().as_bytes(), input, "what is accepted is kept as it came");
    // Whatever we take, the reference parser takes too: it must not be looser than JSON.
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok(), "looser than JSON");
    count(json.root());
}

fn count(node: vesta::fhir::json::Node<'_>) -> usize {
    let _ = (node.as_str(), node.as_number(), node.path());
    node.members().map(|(_, it)| count(it)).sum::<usize>() + node.items().map(count).sum::<usize>() + 1
}

fn resource(ground: &Ground, input: &[u8]) {
    let Ok(resource) = Resource::parse(input, &Limits::default()) else { return };
    let issues = validate(
        &ground.definitions,
        &resource,
        &Options { profiles: &[], mode: Mode::Full, ..Options::default() },
    );
    let _ = extract::index(&ground.definitions, "https://a/fhir", &resource);
    let is_valid = !issues.iter().any(|it| it.severity >= vesta::fhir::outcome::Severity::Error);
    if let (true, Ok(text)) = (is_valid, xml::from_json(&ground.definitions.types, resource.json())) {
        let back = xml::to_json(&ground.definitions.types, &text);
        assert!(back.is_ok(), "what is valid comes back from XML: {back:?}");
    }
}

fn from_xml(ground: &Ground, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(json) = xml::to_json(&ground.definitions.types, text) else { return };
    assert!(Json::parse(json.as_str(), &Limits::ACCEPTED).is_ok(), "XML becomes JSON");
}

fn fhirpath(ground: &Ground, input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(expression) = Expression::parse(text) else { return };
    let types = &ground.definitions.types;
    let _ = expression.check(types, "Patient");
    let Some(focus) = Item::of_resource(types, ground.patient.root()) else { return };
    let _ = expression.evaluate(&Environment::of(types, focus.clone()), focus);
}

fn search(ground: &Ground, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let parameters: Vec<(String, String)> =
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
    for handling in [Handling::Strict, Handling::Lenient] {
        let setting = Setting {
            sets: None,
            definitions: &ground.definitions,
            base: "https://a/fhir",
            now: 1_800_000_000_000_000,
            handling,
            default_count: 50,
            max_count: 1000,
        };
        for types in [vec!["Patient"], vec!["Observation"], vec![]] {
            let types: Vec<ResourceType> = types.into_iter().filter_map(ResourceType::parse).collect();
            let _ = plan(&setting, &types, &parameters);
        }
    }
}

fn scope(_: &Ground, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for scope in Scopes::parse(&text).resources() {
        assert!(text.contains(scope.name()), "no scope is granted that was not asked for");
    }
}

fn patches(ground: &Ground, input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(patched) = json_patch::apply(ground.patient.json(), text)
    {
        assert!(Json::parse(patched, &Limits::ACCEPTED).is_ok(), "what is patched is JSON");
    }
    if let Ok(parameters) = Resource::parse(input, &Limits::default())
        && let Ok(patched) = patch::apply(&ground.definitions.types, &ground.patient, &parameters)
    {
        assert!(Json::parse(patched, &Limits::ACCEPTED).is_ok(), "what is patched is JSON");
    }
}

fn words(_: &Ground, input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for read in
        [DateTime::parse_date, DateTime::parse_date_time, DateTime::parse_instant, DateTime::parse_search]
    {
        if let Some(it) = read(&text) {
            let interval = it.interval();
            assert!(interval.low <= interval.high, "an interval begins before it ends");
        }
    }
    let _ = (DateTime::parse_literal(&text), Time::parse(&text), Time::parse_literal(&text));
    let _ = Reference::parse(&text).is_some();
    let _ = (ResourceType::parse(&text), vesta::fhir::id::ResourceId::parse(&text));
}

fn keys(_: &Ground, input: &[u8]) {
    if let Ok(keys) = KeySet::parse(&String::from_utf8_lossy(input)) {
        assert!(KeySet::parse(&keys.to_json()).is_ok(), "a key set reads what it writes");
    }
}

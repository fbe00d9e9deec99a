//! Made-up patients are valid: a demo that the server itself refuses would be none.

use crate::support::server::TestServer;
use vesta::conformance::definitions::Definitions;
use vesta::conformance::validate::{Options, validate};
use vesta::demo::Demo;
use vesta::fhir::json::Limits;
use vesta::fhir::outcome::Severity;
use vesta::fhir::resource::Resource;

#[test]
fn made_up_patients_are_valid() {
    let definitions = Definitions::embedded().unwrap();
    for seed in [1, 77] {
        let demo = Demo { patients: 20, seed, today: jiff::civil::date(2026, 11, 24) };
        for resource in demo.resources() {
            let name = format!("{} {}", resource["resourceType"], resource["id"]);
            let resource = Resource::parse(resource.to_string(), &Limits::default()).unwrap();
            let issues = validate(&definitions, &resource, &Options::default());
            let errors: Vec<_> = issues.iter().filter(|it| it.severity >= Severity::Error).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_them_all() {
    let system = TestServer::start().await;
    let system = system.system();
    let demo = Demo { patients: 2, seed: 1, today: jiff::civil::date(2026, 11, 24) };
    let mut count = 0;
    for bundle in demo.bundles() {
        let answer = system.post("", &bundle).await.assert_status(200).json();
        count += answer["entry"].as_array().unwrap().len();
    }
    assert!(count > 100, "{count}");
    let answers = system.get("QuestionnaireResponse?_summary=count").await.json();
    assert!(answers["total"].as_u64().unwrap() > 0, "{answers}");
}

#[test]
fn every_profile_of_us_core_is_claimed() {
    let demo = Demo { patients: 20, seed: 1, today: jiff::civil::date(2026, 11, 24) };
    let text: String = demo.resources().map(|it| it.to_string()).collect();
    let base = "http://hl7.org/fhir/us/core/StructureDefinition/";
    let mut missing = Vec::new();
    let folder = crate::support::data::folder("us-core-plain").join("us-core/700/package");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_string_lossy().starts_with("StructureDefinition-") {
            continue;
        }
        let profile: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let id = profile["id"].as_str().unwrap().to_owned();
        // The base of all vital signs is claimed through those made from it.
        if profile["type"] != "Extension"
            && id != "us-core-vital-signs"
            && !text.contains(&format!("\"{base}{id}|7.0.0\""))
        {
            missing.push(id);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

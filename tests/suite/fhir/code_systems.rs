//! Big code systems: the command that imports them, and what is asked of them then.

use super::ids;
use super::terminology::value;
use crate::support::server::TestServer;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Release files of our own making.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("vesta-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The command, as an operator runs it beside the servers.
fn import(server: &TestServer, system: &str, files: &[&Path]) -> (bool, String) {
    let arguments = ["terminology", "import", system, "--release", "2026"].map(OsStr::new);
    server.command(arguments.into_iter().chain(files.iter().map(|it| it.as_os_str())))
}

#[tokio::test(flavor = "multi_thread")]
async fn snomed_is_imported_and_asked() {
    let server = TestServer::start().await;
    let folder = Folder::new("snomed");
    let file = |name: &str, text: &str| folder.file(name, text);
    let concepts = file(
        "concepts.txt",
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n1\t2026\t1\tm\td\n2\t2026\t1\tm\td\n3\t2026\t0\tm\td\n4\t2026\t1\tm\td\n",
    );
    let names = file(
        "names.txt",
        "id\tactive\tconceptId\ttypeId\tterm\n9\t1\t1\t900000000000003001\tFinding (finding)\n8\t1\t2\t900000000000003001\tPain (finding)\n",
    );
    let steps = file(
        "steps.txt",
        "id\tactive\tsourceId\tdestinationId\ttypeId\n5\t1\t2\t1\t116680003\n6\t1\t3\t2\t116680003\n",
    );
    let (is_done, printed) = import(&server, "snomed", &[&concepts, &names, &steps]);
    assert!(is_done && printed.contains("imported http://snomed.info/sct"), "{printed}");
    let (is_done, printed) = import(&server, "loinc", &[&concepts]);
    assert!(!is_done && printed.contains("first line"), "{printed}");

    let system = server.system();
    let sct = "http://snomed.info/sct";
    let pain = system.get(&format!("CodeSystem/$lookup?system={sct}&code=2")).await.assert_status(200).json();
    assert_eq!(
        (value(&pain, "display"), value(&pain, "version")),
        (&json!("Pain (finding)"), &json!("2026"))
    );
    let above = system.get(&format!("CodeSystem/$subsumes?system={sct}&codeA=1&codeB=3")).await.json();
    assert_eq!(value(&above, "outcome"), "subsumes");
    let inline = |filter: Value| {
        json!({"resourceType": "ValueSet", "status": "active", "id": "findings", "url": "http://example.org/findings",
        "compose": {"include": [{"system": sct, "filter": filter}]}})
    };
    let findings = inline(json!([{"property": "concept", "op": "is-a", "value": "1"}]));
    let all = system.post("ValueSet/$expand", &findings).await.assert_status(200).json();
    assert_eq!(all["expansion"]["total"], 3);
    assert_eq!(system.post("ValueSet/$expand", &inline(json!([]))).await.issue(), "too-costly");
    system.put("ValueSet/findings", &findings).await.assert_status(201);
    for (code, expected) in [("3", true), ("4", false), ("5", false)] {
        let url = format!("ValueSet/findings/$validate-code?system={sct}&code={code}");
        assert_eq!(value(&system.get(&url).await.json(), "result"), expected, "{code}");
    }
    for code in ["1", "2", "4"] {
        let seen = json!({"resourceType": "Observation", "id": code, "status": "final",
            "code": {"coding": [{"system": sct, "code": code}]}});
        system.put(&format!("Observation/{code}"), &seen).await.assert_status(201);
    }
    for query in [
        format!("code:below={sct}|1"),
        "code:in=http://example.org/findings".to_owned(),
        format!("code:above={sct}|2"),
    ] {
        let mut found = ids(&system.get(&format!("Observation?{query}")).await.assert_status(200).json());
        found.sort();
        assert_eq!(found, ["1", "2"], "{query}");
    }
    let loinc = "CodeSystem/$lookup?system=http://loinc.org&code=1-8";
    assert_eq!(system.get(loinc).await.assert_status(404).issue(), "not-found");
}

/// What is asked of each of the others, once it was imported: a code, its display, a code above it.
async fn ask(server: &TestServer, url: &str, (code, display, above): (&str, &str, &str)) {
    let system = server.system();
    let lookup = system.get(&format!("CodeSystem/$lookup?system={url}&code={code}")).await;
    let lookup = lookup.assert_status(200).json();
    assert_eq!(
        (value(&lookup, "display"), value(&lookup, "version")),
        (&json!(display), &json!("2026")),
        "{code}"
    );
    let asked = format!("CodeSystem/$subsumes?system={url}&codeA={above}&codeB={code}");
    let outcome = system.get(&asked).await.assert_status(200).json();
    assert_eq!(value(&outcome, "outcome"), "subsumes", "{above} {code}");
    let closure = |codes: &[&str]| {
        let codes = codes.iter();
        let concepts = codes.map(|it| json!({"name": "concept", "valueCoding": {"system": url, "code": it}}));
        let name = std::iter::once(json!({"name": "name", "valueString": url}));
        json!({"resourceType": "Parameters", "parameter": name.chain(concepts).collect::<Vec<Value>>()})
    };
    system.post("$closure", &closure(&[])).await.assert_status(200);
    system.post("$closure", &closure(&[code])).await.assert_status(200);
    let map = system.post("$closure", &closure(&[above])).await.assert_status(200).json();
    assert_eq!(map["group"][0]["element"][0]["target"][0]["code"], above, "{map}");
    let seen = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": url, "code": code}]}});
    system.post("Observation", &seen).await.assert_status(201);
    let found = system.get(&format!("Observation?code:below={url}|{above}")).await.assert_status(200).json();
    assert_eq!(ids(&found).len(), 1, "{above} {code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn loinc_rxnorm_and_icd_are_imported_and_asked() {
    let server = TestServer::start().await;
    let folder = Folder::new("releases");
    let names = folder.file(
        "Loinc.csv",
        "\"LOINC_NUM\",\"COMPONENT\",\"STATUS\",\"LONG_COMMON_NAME\"\n\"1-8\",\"X\",\"ACTIVE\",\"A \"\"measure\"\", here\"\n",
    );
    let parts = folder.file(
        "ComponentHierarchyBySystem.csv",
        "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n,1,,LP1-1,Root\nLP1-1,1,LP1-1,LP2-9,Part\nLP1-1.LP2-9,1,LP2-9,1-8,X\n",
    );
    let (is_done, printed) = import(&server, "loinc", &[&names, &parts]);
    assert!(is_done && printed.contains("imported http://loinc.org"), "{printed}");
    ask(&server, "http://loinc.org", ("1-8", "A \"measure\", here", "LP1-1")).await;

    let drugs = folder.file(
        "RXNCONSO.RRF",
        "161|ENG||||||||||RXNORM|IN|161|paracetamol||N|4096|\n209387|ENG||||||||||RXNORM|SCD|209387|paracetamol 325 MG Oral Tablet||N||\n",
    );
    let relations = folder.file("RXNREL.RRF", "161||CUI|RN|209387||CUI|isa|1||RXNORM||||||\n");
    let (is_done, printed) = import(&server, "rxnorm", &[&drugs, &relations]);
    assert!(is_done, "{printed}");
    let rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm";
    ask(&server, rxnorm, ("209387", "paracetamol 325 MG Oral Tablet", "161")).await;

    let line = |order: &str, code: &str, flag: &str, title: &str| {
        format!("{order} {code:<7} {flag} {title:<60} {title}\n")
    };
    let order = line("00001", "A00", "0", "Cholera") + &line("00002", "A000", "1", "Cholera due to Vibrio");
    let order = folder.file("icd10cm-order-2026.txt", &order);
    let (is_done, printed) = import(&server, "icd10cm", &[&order]);
    assert!(is_done, "{printed}");
    let icd = "http://hl7.org/fhir/sid/icd-10-cm";
    ask(&server, icd, ("A00.0", "Cholera due to Vibrio", "A00")).await;

    // The tabular list takes its place.
    let tabular = folder.file(
        "icd10cm-tabular-2026.xml",
        "<?xml version=\"1.0\"?><ICD10CM.tabular><chapter><section><diag><name>S52</name><desc>Fracture</desc>\
         <sevenChrDef><extension char=\"A\">first &amp; only</extension></sevenChrDef>\
         <diag><name>S52.5</name><desc>Lower end</desc></diag></diag></section></chapter></ICD10CM.tabular>",
    );
    let (is_done, printed) = import(&server, "icd10cm", &[&tabular]);
    assert!(is_done, "{printed}");
    ask(&server, icd, ("S52.5XXA", "Lower end, first & only", "S52")).await;
    let gone = format!("CodeSystem/$lookup?system={icd}&code=A00");
    assert_eq!(server.system().get(&gone).await.assert_status(404).issue(), "not-found");
    let broken = folder.file("broken.xml", "<ICD10CM.tabular><diag>");
    let (is_done, printed) = import(&server, "icd10cm", &[&broken]);
    assert!(!is_done && printed.contains("well-formed"), "{printed}");
}

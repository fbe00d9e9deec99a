//! Backups with the real program: made while it runs, restored into another, and drilled.

use crate::support::program::Program;
use crate::support::server::Caller;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("vesta-backup-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Folder(folder)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The names of the parcels of that kind, oldest first.
    fn names(&self, kind: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(kind)).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn holds(&self, secret: &str) -> bool {
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().flatten().map(|it| it.path()) {
                match path.is_dir() {
                    true => folders.push(path),
                    false if memchr::memmem::find(&fs::read(&path).unwrap(), secret.as_bytes()).is_some() => {
                        return true;
                    }
                    false => {}
                }
            }
        }
        false
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn fill(caller: &Caller) {
    for id in ["alice", "bob"] {
        let name = |family: &str| json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]});
        caller.put(&format!("Patient/{id}"), &name(&format!("Zanzibar{id}"))).await.assert_status(201);
        caller.put(&format!("Patient/{id}"), &name(&format!("Quokka{id}"))).await.assert_status(200);
        let note = json!({"resourceType": "Observation", "id": format!("o-{id}"), "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": {"reference": format!("Patient/{id}")}, "effectiveDateTime": "2026-11-24",
            "valueQuantity": {"value": 71, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}});
        caller.put(&format!("Observation/o-{id}"), &note).await.assert_status(201);
    }
    caller.delete("Observation/o-bob").await;
}

/// Another program with the keys of the first, and nothing else.
fn beside(program: &Program, name: &str) -> Program {
    let other = Program::new(name);
    fs::create_dir_all(other.data.join("keys")).unwrap();
    for key in fs::read_dir(program.data.join("keys")).unwrap().flatten() {
        fs::copy(key.path(), other.data.join("keys").join(key.file_name())).unwrap();
    }
    let set = "token-keys.json";
    fs::copy(program.data.join(set), other.data.join(set)).unwrap();
    other
}

async fn total(caller: &Caller, query: &str) -> Value {
    caller.get(&format!("{query}&_summary=count")).await.assert_status(200).json()["total"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_everything_back_but_who_was_destroyed() {
    let mut program = Program::new("backup");
    program.start();
    let caller = program.caller("demo-backend");
    fill(&caller).await;
    let bob = caller.get("Patient/bob").await.assert_status(200).body;
    let folder = Folder::new("whole");
    let (is_made, said) = program.run(&["backup", "make", folder.path()]);
    assert!(is_made && said.contains("1.resource.patient: 2 rows"), "{said}");
    for secret in ["Zanzibaralice", "Quokkabob", "8867-4"] {
        assert!(!folder.holds(secret), "{secret}");
    }

    // What is written later is not in it, and what was never stored is not either.
    caller.put("Basic/late", &json!({"resourceType": "Basic", "id": "late", "code": {"text": "late"}})).await;
    let mut other = beside(&program, "restored");
    let (is_restored, said) = other.run(&["backup", "restore", folder.path()]);
    assert!(is_restored && said.contains(" 0 of destroyed keys"), "{said}");
    let (is_refused, said) = other.run(&["backup", "restore", folder.path()]);
    assert!(!is_refused && said.contains("something in the database"), "{said}");
    other.start();
    let again = other.caller("demo-backend");
    assert_eq!(again.get("Patient/bob").await.assert_status(200).body, bob);
    again.get("Patient/bob/_history/1").await.assert_status(200);
    again.get("Observation/o-alice").await.assert_status(200);
    again.get("Observation/o-bob").await.assert_status(410);
    again.get("Basic/late").await.assert_status(404);
    assert_eq!(total(&again, "Patient?family=Quokkaalice").await, 1);
    assert_eq!(total(&again, "Observation?code=8867-4").await, 1);
    assert_eq!(total(&again, "Observation?value-quantity=gt70&subject=Patient/alice").await, 1);
    let everything = again.get("Observation/_history?_count=10").await.assert_status(200).json();
    assert_eq!(everything["total"].as_u64().unwrap_or(3), 3, "the feed came along");
    // It goes on as before: the next version, and the trail that goes on from where it was.
    let put = json!({"resourceType": "Patient", "id": "bob", "name": [{"family": "Numbat"}]});
    assert_eq!(again.put("Patient/bob", &put).await.assert_status(200).json()["meta"]["versionId"], "3");
    let (is_sound, said) = other.run(&["audit", "verify"]);
    assert!(is_sound, "{said}");
    other.stop();

    // Alice is destroyed: by now she is in the backup, and after the next one she is in none.
    destroy(&program, "alice").await;
    let (is_made, said) = program.run(&["backup", "make", folder.path()]);
    assert!(is_made && said.contains("1 destroyed keys were taken out"), "{said}");
    let first = folder.names("data").remove(0);
    let mut third = beside(&program, "restored-again");
    let (is_restored, said) = third.run(&["backup", "restore", folder.path(), "--backup", &first]);
    assert!(is_restored && said.contains("2 resources of who was destroyed since are removed"), "{said}");
    third.start();
    let again = third.caller("demo-backend");
    again.get("Patient/alice").await.assert_status(404);
    again.get("Observation/o-alice").await.assert_status(404);
    assert_eq!(total(&again, "Patient?family=Quokkaalice").await, 0);
    assert_eq!(again.get("Patient/bob").await.assert_status(200).body, bob);
}

/// Two officers ask the running server, each with a token of their own: nothing of the patient is left that opens,
/// or that could be opened.
async fn destroy(program: &Program, patient: &str) {
    let url = vesta::embedded_postgres::running(&program.data).expect("its database runs");
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "select encode(k.wrapped, 'hex'), encode(p.body, 'hex') from resource.patient p \
         join keys k on k.subject = p.patient where p.id_text = $1";
    let row = client.query_one(sql, &[&patient]).await.unwrap();
    let secrets: [String; 2] = [row.get(0), row.get(1)];
    let tables =
        "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'resource')";
    let tables = client.query(tables, &[]).await.unwrap();
    let holding = async |secret: &str| {
        let mut holding = Vec::new();
        for table in &tables {
            let table: String = table.get(0);
            let sql = format!("select exists (select from {table} as it where it::text like '%{secret}%')");
            if client.query_one(&sql, &[]).await.unwrap().get(0) {
                holding.push(table);
            }
        }
        holding
    };
    assert_eq!(holding(&secrets[0]).await, ["public.keys"]);
    for (name, said) in
        [("one", "another officer"), ("one", "another officer"), ("two", "keys are destroyed")]
    {
        let file = officer(program, name);
        let asked = ["keys", "shred", "--patient", patient, "--reason", "they asked", "--token-file", &file];
        let (is_done, told) = program.run(&asked);
        assert!(is_done && told.contains(said), "{told}");
    }
    for secret in secrets {
        assert_eq!(holding(&secret).await, Vec::<String>::new());
    }
    let (is_whole, said) = program.run(&["keys", "verify"]);
    assert!(is_whole && said.contains(" 0 of destroyed keys, 0 damaged"), "{said}");
    let (is_sound, said) = program.run(&["audit", "verify"]);
    assert!(is_sound, "{said}");
    let told = program.caller("demo-backend").get("AuditEvent?subtype=key-changed").await;
    assert!(told.assert_status(200).text().contains("Practitioner/two"), "the trail says who it was");
}

/// The file of a token of a privacy officer.
fn officer(program: &Program, name: &str) -> String {
    use base64::Engine as _;
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let (_, token) = program.run(&["token", "--client", "demo-clinician"]);
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let mut claims: Value = serde_json::from_slice(&claims).unwrap();
    (claims["sub"], claims["role"]) = (name.into(), "privacy-officer".into());
    claims["fhirUser"] = format!("Practitioner/{name}").into();
    claims["jti"] = format!("{}{name}", claims["jti"].as_str().unwrap()).into();
    let key = vesta::crypto::key_file::read(&program.data.join("keys/token-key.pem")).unwrap();
    let token = vesta::crypto::jws::TokenKey::from_pem(&key).unwrap().sign("at+jwt", &claims).unwrap();
    let file = program.data.join(format!("{name}.token"));
    let _ = fs::remove_file(&file);
    let mut options = fs::OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(&file).unwrap();
    std::io::Write::write_all(&mut out, token.expose_secret().as_bytes()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_proves_the_last_backup_and_is_evidence() {
    let mut program = Program::new("drill");
    program.start();
    fill(&program.caller("demo-backend")).await;
    let contingency = |program: &Program| {
        let (_, said) = program.run(&["compliance", "report", "--format", "json"]);
        let report: Value = serde_json::from_str(&said[..=said.rfind("\n}").unwrap() + 1]).unwrap();
        let rows = report["controls"].as_array().unwrap().clone();
        rows.into_iter().find(|it| it["control"] == "contingency").unwrap()
    };
    let folder = Folder::new("drill");
    assert!(program.run(&["backup", "make", folder.path()]).0);
    // What the key before signed is still good: the backup, and the trail.
    let (is_changed, said) = program.run(&["keys", "rotate", "checkpoint"]);
    assert!(is_changed && said.contains(".older"), "{said}");
    let (is_sound, said) = program.run(&["audit", "verify"]);
    assert!(is_sound, "{said}");
    let (is_proved, said) = program.run(&["backup", "drill", folder.path()]);
    assert!(is_proved && said.contains("the recovery time") && said.contains("proved "), "{said}");
    let row = contingency(&program);
    assert_eq!(row["status"], "enforced", "{row}");
    assert!(row.to_string().contains("s behind"), "{row}");

    // What was tampered with is told, and nothing of it is restored.
    let name = folder.names("data").remove(0);
    let file = folder.0.join("data").join(&name).join("1.resource.patient");
    let whole = fs::read(&file).unwrap();
    let mut wrong = whole.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 1;
    fs::write(&file, wrong).unwrap();
    let (is_proved, said) = program.run(&["backup", "drill", folder.path()]);
    assert!(!is_proved && said.contains("is not what was written"), "{said}");
    fs::write(&file, whole).unwrap();
    // Without its keys it is noise.
    fs::rename(folder.0.join("keys"), folder.0.join("elsewhere")).unwrap();
    let (is_proved, said) = program.run(&["backup", "drill", folder.path()]);
    assert!(!is_proved && said.contains("are not there"), "{said}");
}

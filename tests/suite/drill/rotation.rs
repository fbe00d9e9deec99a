//! kill -9 in the middle of a change of every patient's key: it goes on from where it was, and nothing is lost.

use crate::support::program::Program;
use crate::support::server::fhir;
use serde_json::json;
use std::time::{Duration, Instant};

const PATIENTS: u32 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_survives_being_killed() {
    let mut program = Program::new("rotation");
    program.start();
    let caller = program.caller("demo-backend");
    let put = |kind: &str, id: &str, resource: serde_json::Value| json!({"resource": resource, "request": {"method": "PUT", "url": format!("{kind}/{id}")}});
    for hundred in 0..PATIENTS / 100 {
        let entries = (0..100).flat_map(|at| {
            let id = format!("p{}", hundred * 100 + at);
            let patient = json!({"resourceType": "Patient", "id": id, "name": [{"family": format!("Family{id}")}]});
            let condition = json!({"resourceType": "Condition", "id": id, "subject": {"reference": format!("Patient/{id}")},
                "code": {"text": format!("Secret of {id}")}});
            [put("Patient", &id, patient), put("Condition", &id, condition)]
        });
        let bundle =
            json!({"resourceType": "Bundle", "type": "transaction", "entry": entries.collect::<Vec<_>>()});
        let answer = fhir(caller.request("POST", ""), &bundle).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let mut asking = program.spawn(&["keys", "rotate", "patients"]);
    let url = vesta::embedded_postgres::running(&program.data).expect("its database runs");
    let ask = async |sql: &str| -> Option<i64> {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        client.query_one(sql, &[]).await.ok()?.get(0)
    };
    let until = async |sql: &str, expected: i64| {
        let begun = Instant::now();
        while ask(sql).await != Some(expected) {
            assert!(begun.elapsed() < Duration::from_secs(40), "{sql}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // Some keys are new, and not everything is sealed with them yet.
    until("select (count(*) > 0)::int::bigint from keys where purpose = 4 and not is_active", 1).await;
    asking.kill().unwrap();
    asking.wait().unwrap();
    program.kill();
    program.start();
    let state = "select state::bigint from jobs where kind = 'key rotation'";
    assert!(ask(state).await.is_some_and(|it| it < 2), "it was killed before its end");
    // The lease of the dead is over, as it would be in half a minute.
    ask("with over as (update jobs set leased_until = 0 where kind = 'key rotation' returning 1) select count(*) from over").await;
    until(
        "select (state = 0 and progress is not null)::int::bigint from jobs where kind = 'key rotation'",
        1,
    )
    .await;
    ask("with due as (update jobs set due = 0 where kind = 'key rotation' returning 1) select count(*) from due").await;
    until(state, 2).await;
    let left = "select count(*) from keys where purpose = 4 and subject <> 0 and not is_active and wrapped is not null";
    assert_eq!(ask(left).await, Some(0), "older keys are destroyed");
    let (is_whole, said) = program.run(&["keys", "verify"]);
    assert!(is_whole && said.contains(" 0 of destroyed keys, 0 damaged"), "{said}");
    let caller = program.caller("demo-backend");
    for at in [0, 17, 150, PATIENTS - 1] {
        let found = caller.get(&format!("Patient?family=Familyp{at}")).await.assert_status(200).json();
        assert_eq!(found["entry"][0]["resource"]["id"], format!("p{at}"));
        assert!(
            caller.get(&format!("Condition/p{at}")).await.assert_status(200).text().contains("Secret of")
        );
    }
}

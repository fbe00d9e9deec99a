//! kill -9 of the server and of PostgreSQL while clients write: what was acknowledged is there, nothing is there
//! by half, and the trail verifies.
//!
//! `VESTA_DRILL_ROUNDS` says how often (2 by default: CI's time is short; 20 for the drill of a release).

use crate::support::program::Program;
use crate::support::server::Caller;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Both of one transaction, by the names of its resources.
type Pair = (String, String);

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive() {
    let rounds: u32 =
        std::env::var_os("VESTA_DRILL_ROUNDS").and_then(|it| it.to_str()?.parse().ok()).unwrap_or(2);
    let mut program = Program::new("kill");
    let mut acknowledged: Vec<Pair> = Vec::new();
    let mut tried = 0;
    program.start();
    for round in 0..rounds {
        let is_over = Arc::new(AtomicBool::new(false));
        let caller = program.caller("demo-backend");
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (caller, is_over) = (caller.clone(), Arc::clone(&is_over));
                tokio::spawn(async move { write(&caller, &format!("r{round}w{writer}"), &is_over).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(700 + u64::from(round) * 137 % 900)).await;
        if round % 2 == 0 {
            program.kill();
        } else {
            program.kill_postgres();
            tokio::time::sleep(Duration::from_millis(100)).await;
            program.kill();
        }
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            let (pairs, count) = writer.await.unwrap();
            acknowledged.extend(pairs);
            tried += count;
        }
        program.start();
    }
    let caller = program.caller("demo-backend");
    let expected = usize::try_from(rounds).unwrap();
    assert!(acknowledged.len() >= expected, "the writers wrote nothing");
    for (one, other) in &acknowledged {
        for name in [one, other] {
            assert_eq!(caller.get(name).await.status, 200, "{name} was acknowledged");
        }
    }
    // Whole, also where no answer came: of each pair both or neither.
    let count = async |query: &str| -> u64 {
        let found = caller.get(query).await.assert_status(200).json();
        found["total"].as_u64().unwrap()
    };
    let basics = count("Basic?_summary=count").await;
    let lists = count("List?_summary=count").await;
    assert_eq!(basics, lists);
    assert!(basics >= u64::try_from(acknowledged.len()).unwrap() && basics <= tried);
    let (is_clean, said) = program.run(&["audit", "verify"]);
    assert!(is_clean, "{said}");
}

/// Writes pairs until it is over: those that were acknowledged, and how many were tried.
async fn write(caller: &Caller, prefix: &str, is_over: &AtomicBool) -> (Vec<Pair>, u64) {
    let mut acknowledged = Vec::new();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) && count < 500 {
        count += 1;
        let id = format!("{prefix}n{count}");
        let put = |kind: &str, resource: Value| json!({"resource": resource, "request": {"method": "PUT", "url": format!("{kind}/{id}")}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            put("Basic", json!({"resourceType": "Basic", "id": id, "code": {"text": "drill"}})),
            put("List", json!({"resourceType": "List", "id": id, "status": "current", "mode": "working"})),
        ]});
        let request = crate::support::server::fhir(caller.request("POST", ""), &bundle);
        match request.send().await {
            Ok(answer) if answer.status() == 200 => {
                acknowledged.push((format!("Basic/{id}"), format!("List/{id}")));
            }
            _ => {}
        }
    }
    (acknowledged, count)
}

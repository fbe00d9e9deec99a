//! Whoever switches a control off sees its row turn red, and no other.

use super::{assert_red, row, told, told_unsealed};
use crate::support::server::TestServer;
use serde_json::json;
use vesta::compliance::html;
use vesta::compliance::report::Status;
use vesta::config::SealingLevel;
use vesta::fhir::id::TenantId;
use vesta::store::accounts::{Account, Private};

/// A server with limits, and a patient with a diagnosis in it.
async fn server() -> TestServer {
    let server = TestServer::start_with(|config| config.limits.user_requests_per_minute = 1000).await;
    fill(&server).await;
    server
}

async fn fill(server: &TestServer) {
    let patient = json!({"resourceType": "Patient", "id": "alice", "name": [{"family": "Quokkafamily"}]});
    server.system().put("Patient/alice", &patient).await;
    let condition = json!({"resourceType": "Condition", "subject": {"reference": "Patient/alice"},
        "code": {"text": "Narwhaldiagnosis"}});
    server.system().post("Condition", &condition).await.assert_status(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_is_as_it_must_be_is_not_red() {
    let server = server().await;
    let report = told(&server, &["Quokkafamily", "Narwhaldiagnosis"]).await;
    assert_red(&report, &[], "2 known values lie in no table");
    for id in ["access-control", "encryption-at-rest", "login-monitoring", "authentication"] {
        assert_eq!(row(&report, id).status, Status::Enforced, "{}", report.text());
    }
    assert_eq!(row(&report, "risk-analysis").status, Status::Procedure);
    assert_eq!(report.count(Status::Unproved), 0, "{}", report.summary());
    let json = report.json();
    assert_eq!(json["controls"].as_array().unwrap().len(), report.rows.len());
    let page = html::page(&report).unwrap();
    assert!(page.contains("164.312(b)") && !page.contains("http-equiv") && !page.contains("<script"));
    assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("url("), "self-contained");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_switched_off_in_the_database_turns_red() {
    let server = server().await;
    let client = server.database.superuser().await;
    for (off, on, red, reason) in [
        (
            "grant update on audit_events to vesta_app",
            "revoke update on audit_events from vesta_app",
            &["audit-controls"][..],
            "audit_events update",
        ),
        (
            "grant delete on audit_chain to vesta_app",
            "revoke delete on audit_chain from vesta_app",
            &["audit-controls"],
            "audit_chain delete",
        ),
        (
            "drop trigger audit_events_append_only on audit_events",
            "create trigger audit_events_append_only before update or delete on audit_events \
             for each row execute function refuse_change()",
            &["audit-controls"],
            "not so: audit_events",
        ),
        (
            "alter table audit_checkpoints disable trigger all",
            "alter table audit_checkpoints enable trigger all",
            &["audit-controls"],
            "not so: audit_checkpoints",
        ),
        (
            "alter table resource.patient no force row level security",
            "alter table resource.patient force row level security",
            &["access-control", "individual-access"],
            "not so: resource.patient",
        ),
        (
            "alter table accounts disable row level security",
            "alter table accounts enable row level security",
            &["access-control", "individual-access"],
            "not so: public.accounts",
        ),
        (
            "alter table tickets owner to vesta_app",
            "alter table tickets owner to vesta_owner; grant select, insert, update, delete on tickets to vesta_app",
            &["access-control", "workforce"],
            "not so: tickets",
        ),
        (
            "alter table accounts drop constraint accounts_name_unique",
            "alter table accounts add constraint accounts_name_unique unique (tenant, name)",
            &["unique-user"],
            "accounts_name_unique",
        ),
        (
            "insert into resource.patient (rid, updated, reference, id, tenant, version, deed, keys, body) \
             values (1, 1, 1, gen_random_uuid(), 1, 1, 1, '{}', '{\"resourceType\":\"Patient\"}')",
            "delete from resource.patient where rid = 1",
            &["encryption-at-rest", "integrity"],
            "1 of Patient",
        ),
        (
            "update accounts set role = role; insert into tickets (created, expires, tenant, kind, hash, document) \
             values (1, 1, 1, 99, 'x', 'Quokkafamily')",
            "delete from tickets where kind = 99",
            &["encryption-at-rest", "integrity"],
            "lie in the clear in public.tickets",
        ),
        (
            "set session_replication_role = replica; \
             update audit_events set agent = 'nobody' where id = (select min(id) from audit_events)",
            "select 1",
            &["audit-controls"],
            "was altered",
        ),
    ] {
        client.batch_execute(off).await.unwrap();
        let report = told(&server, &["Quokkafamily"]).await;
        assert_red(&report, red, reason);
        client.batch_execute(on).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_weaken_turn_red() {
    let server = TestServer::start_with(|config| config.keys.sealing_level = SealingLevel::Identity).await;
    fill(&server).await;
    let report = told(&server, &[]).await;
    // Nothing limits users in these tests but where it is asked for.
    assert_red(&report, &["encryption-at-rest", "integrity", "login-monitoring"], "level identity");
    assert!(report.text().contains("lie in the clear: 1 of Condition"), "{}", report.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_second_factor_turns_red() {
    let server = server().await;
    let account = |role: &str, name: &str| Account {
        id: server.app.new_id(),
        fhir_user: None,
        role: role.into(),
        password: "x".into(),
        disabled: None,
        totp_step: 0,
        private: Private { username: name.into(), ..Private::default() },
    };
    let store = &server.app.store;
    store.put_account(TenantId::FIRST, &account("patient", "alice")).await.unwrap();
    let mut nurse = account("nurse", "nurse");
    nurse.private.totp = Some("JBSWY3DPEHPK3PXP".into());
    store.put_account(TenantId::FIRST, &nurse).await.unwrap();
    assert_red(&told(&server, &[]).await, &[], "each of 1 accounts");
    let mut admin = account("admin", "admin");
    store.put_account(TenantId::FIRST, &admin).await.unwrap();
    assert_red(&told(&server, &[]).await, &["authentication"], "1 accounts have no second factor yet");
    admin.disabled = Some(1);
    store.put_account(TenantId::FIRST, &admin).await.unwrap();
    assert_red(&told(&server, &[]).await, &[], "each of 1 accounts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealer_that_stands_still_turns_red() {
    let server = TestServer::start_at("2026-11-24T12:00:00Z").await;
    fill(&server).await;
    server.clock.step(120 * 1_000_000);
    let report = told_unsealed(&server, &[]).await;
    assert_red(&report, &["audit-controls", "login-monitoring"], "events wait for the sealer");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_knocks_at_the_door() {
    let server = TestServer::start_with_tls_and(|config| {
        let folder = config.keys.root_key_file.as_ref().unwrap().parent().unwrap().to_owned();
        config.listener.tls_certificate = Some(folder.join("server.pem"));
        config.listener.tls_key = Some(folder.join("server-key.pem"));
        config.limits.user_requests_per_minute = 1000;
    })
    .await;
    let report = told(&server, &[]).await;
    assert_red(&report, &[], "shakes hands with TLS 1.3 and refuses TLS 1.2");
    assert_eq!(row(&report, "transmission").status, Status::Enforced, "{}", report.text());
}

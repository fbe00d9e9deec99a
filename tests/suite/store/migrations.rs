//! The schema goes up, down, and up again; and what it promises, it holds without the server's help.

use crate::support::database::Database;
use vesta::store::migrate::{migrate, revert_all};

const NOW: i64 = 1_795_000_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_step_goes_up_and_down() {
    let database = Database::empty().await;
    let applied = migrate(&database.settings, NOW).await.unwrap();
    assert!(applied >= 5);
    assert_eq!(migrate(&database.settings, NOW).await.unwrap(), 0);
    let client = database.superuser().await;
    client.batch_execute("select create_resource_table('Group', true, true, true, true)").await.unwrap();
    assert_eq!(revert_all(&database.settings).await.unwrap(), applied);
    let left = client
        .query("select tablename from pg_tables where schemaname in ('public', 'resource')", &[])
        .await
        .unwrap();
    let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, ["__diesel_schema_migrations"]);
    assert_eq!(migrate(&database.settings, NOW).await.unwrap(), applied);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_start_together_migrate_once() {
    let database = Database::empty().await;
    let (one, other) = tokio::join!(migrate(&database.settings, NOW), migrate(&database.settings, NOW));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.min(other) == 0 && one.max(other) >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_may_not_touch_the_trail_nor_alter_tables() {
    let database = Database::migrated().await;
    let client = database.superuser().await;
    client.batch_execute("set vesta.tenant = 1; set role vesta_app").await.unwrap();
    for forbidden in [
        "update audit_events set kind = 1",
        "delete from audit_events",
        "truncate audit_events",
        "delete from audit_chain",
        "update audit_checkpoints set count = 0",
        "delete from versions",
        "update versions set deed = 1",
        "delete from changes",
        "alter table audit_events disable trigger all",
        "alter table versions disable row level security",
        "drop table changes",
        "create table mine (id int)",
        "create table resource.mine (id int)",
        "delete from keys",
        "update tenants set slug = 'x'",
    ] {
        let error = client.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(error.code().unwrap().code(), "42501", "{forbidden}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_the_owner_changes_the_trail() {
    let database = Database::migrated().await;
    let client = database.superuser().await;
    client
        .batch_execute(
            "set vesta.tenant = 1; set role vesta_owner; \
             insert into audit_events (id, recorded, tenant, kind, outcome, action, agent, patients, entities) \
             values (904520112537600001, 1, 1, 1, 0, 'R', 'somebody', '{}', '')",
        )
        .await
        .unwrap();
    for forbidden in [
        "update audit_events set kind = 2",
        "delete from audit_events",
        "truncate audit_events",
        "delete from audit_chain",
    ] {
        let error = client.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(error.code().unwrap().code(), "23001", "{forbidden}");
    }
}

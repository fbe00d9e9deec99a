//! The drill: the owner of the database takes the triggers away and changes the trail, in every way and
//! place, some hundred times. Each time the check must find it, and where it can, name the event.

use super::{MINUTE, TENANT, Trail};
use std::io::BufReader;
use tokio_postgres::Client;
use vesta::audit::chain::hash;
use vesta::audit::export;
use vesta::audit::verify::{Fault, Report};
use vesta::store::audit_chain::Checkpoint;

/// How often each attack is made, where VESTA_TEST_ATTACKS does not say how many there are in all.
const ROUNDS: u64 = 4;

/// What is done to the trail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Attack {
    EditEvent,
    DeleteEvent,
    InsertEvent,
    ExchangeContents,
    ExchangePlaces,
    DeleteLink,
    EditHash,
    CutOffEnd,
    CutOffEndWithCheckpoints,
    EditCheckpoint,
    DeleteAndChainAnew,
    EditAndChainAnew,
    InsertAndChainAnew,
}

const ATTACKS: [Attack; 13] = [
    Attack::EditEvent,
    Attack::DeleteEvent,
    Attack::InsertEvent,
    Attack::ExchangeContents,
    Attack::ExchangePlaces,
    Attack::DeleteLink,
    Attack::EditHash,
    Attack::CutOffEnd,
    Attack::CutOffEndWithCheckpoints,
    Attack::EditCheckpoint,
    Attack::DeleteAndChainAnew,
    Attack::EditAndChainAnew,
    Attack::InsertAndChainAnew,
];

/// Always the same numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

const EDITS: [&str; 13] = [
    "outcome = outcome + 4",
    "kind = kind + 1",
    "action = 'E'",
    "recorded = recorded + 1",
    "agent = agent || 'x'",
    "client = null",
    "purpose = 'HPAYMT'",
    "rule = 'role'",
    "network = '10.0.0.1'",
    "request = null",
    "patients = '{}'",
    "entities = ''",
    "detail = '\\x00'",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found() {
    let mut trail = Trail::new().await;
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        trail.record(1 + numbers.below(5)).await;
        trail.seal().await;
        trail.clock.step(MINUTE + 1);
    }
    let report = trail.verify(vec![]).await;
    assert!(report.is_sound() && report.signed == report.head.count, "{report:?}");
    let witnesses = trail.store.checkpoints(TENANT).await.unwrap();
    let client = trail.database.superuser().await;
    let keep = "set session_replication_role = replica; \
                create table kept_events as table audit_events; \
                create table kept_chain as table audit_chain; \
                create table kept_checkpoints as table audit_checkpoints";
    client.batch_execute(keep).await.unwrap();
    let asked = std::env::var_os("VESTA_TEST_ATTACKS").map(|it| it.into_string().unwrap());
    let rounds = asked.map_or(ROUNDS, |it| it.parse::<u64>().unwrap().div_ceil(13));
    println!("{} attacks", rounds * u64::try_from(ATTACKS.len()).unwrap());
    for round in 0..rounds {
        for attack in ATTACKS {
            let victim = attack_now(&trail, &client, &mut numbers, attack).await;
            let live = trail.verify(vec![]).await;
            let from_file = offline(&trail, vec![]).await;
            let with_witnesses = match attack {
                Attack::CutOffEndWithCheckpoints => offline(&trail, witnesses.clone()).await,
                _ => Report::default(),
            };
            for (report, place) in [(live, "live"), (from_file, "offline")] {
                let named = format!("{attack:?} on {victim} in round {round}, {place}");
                check(attack, &named, victim, &report, &with_witnesses);
            }
            let restore = "truncate audit_events, audit_chain, audit_checkpoints; \
                           insert into audit_events select * from kept_events; \
                           insert into audit_chain select * from kept_chain; \
                           insert into audit_checkpoints select * from kept_checkpoints";
            client.batch_execute(restore).await.unwrap();
        }
    }
    assert!(trail.verify(vec![]).await.is_sound());
}

/// What an export says, without the database.
async fn offline(trail: &Trail, witnesses: Vec<Checkpoint>) -> Report {
    let mut file = Vec::new();
    export::export(&trail.store, TENANT, trail.clock.now_microseconds(), &mut file).await.unwrap();
    export::verify(|| Ok(BufReader::new(&file[..])), &trail.keys(), witnesses).unwrap()
}

fn check(attack: Attack, named: &str, victim: i64, report: &Report, with_witnesses: &Report) {
    let mut report = report;
    if attack == Attack::CutOffEndWithCheckpoints {
        // This is what a copy in the same database cannot prove, and why checkpoints leave the machine.
        assert!(report.is_sound(), "{named}: {report:?}");
        report = with_witnesses;
    }
    let first = report.faults.first();
    let is_named = match (attack, first) {
        (Attack::EditEvent, Some(Fault::Altered { id, .. }))
        | (Attack::DeleteEvent, Some(Fault::Missing { id, .. }))
        | (Attack::InsertEvent, Some(Fault::Inserted { id })) => *id == victim && report.fault_count == 1,
        (Attack::EditEvent | Attack::DeleteEvent | Attack::InsertEvent, _) => false,
        (Attack::CutOffEnd | Attack::CutOffEndWithCheckpoints, it) => {
            matches!(it, Some(Fault::Truncated { .. }))
        }
        (Attack::EditCheckpoint, it) => matches!(it, Some(Fault::Forged { .. })),
        (Attack::DeleteLink, it) => matches!(it, Some(Fault::Broken { .. })),
        (Attack::DeleteAndChainAnew | Attack::EditAndChainAnew | Attack::InsertAndChainAnew, it) => {
            matches!(it, Some(Fault::Rewritten { .. }))
        }
        (_, it) => it.is_some(),
    };
    assert!(is_named, "{named}: {report:?}");
}

/// Does it, and says to which event.
async fn attack_now(trail: &Trail, client: &Client, numbers: &mut Numbers, attack: Attack) -> i64 {
    let ids: Vec<i64> = client
        .query("select id from audit_events order by id", &[])
        .await
        .unwrap()
        .iter()
        .map(|it| it.get(0))
        .collect();
    // Not among the last: those that are not old enough may still be chained.
    let settled = ids.len() - 40;
    let (one, two) = (ids[numbers.below(settled)], ids[numbers.below(settled)]);
    let victim = if attack == Attack::InsertEvent || attack == Attack::InsertAndChainAnew {
        one + 1_000_001
    } else {
        one
    };
    let links = trail.store.chain_links(TENANT, 0).await.unwrap();
    let cut = &links[1 + numbers.below(links.len() - 1)];
    let sql = match attack {
        Attack::EditEvent | Attack::EditAndChainAnew => {
            let edit = match EDITS[numbers.below(EDITS.len())] {
                // Some have no purpose to take, and a null is as good as the other.
                it if it.starts_with("detail") => "detail = coalesce(detail, '') || '\\x01'",
                it => it,
            };
            format!("update audit_events set {edit} where id = {one}")
        }
        Attack::DeleteEvent | Attack::DeleteAndChainAnew => {
            format!("delete from audit_events where id = {one}")
        }
        Attack::InsertEvent | Attack::InsertAndChainAnew => format!(
            "insert into audit_events select {victim}, recorded, tenant, kind, outcome, action, request, agent, \
             client, purpose, rule, network, patients, entities, detail from audit_events where id = {one}"
        ),
        Attack::ExchangeContents => {
            let two = if one == two { ids[settled] } else { two };
            format!(
                "update audit_events set id = 1 where id = {one}; update audit_events set id = {one} where id = \
                 {two}; update audit_events set id = {two} where id = 1"
            )
        }
        Attack::ExchangePlaces => {
            let two = if one == two { ids[settled] } else { two };
            format!(
                "update audit_chain set events = array_replace(array_replace(array_replace(events, {one}, 0::bigint), \
                 {two}, {one}), 0::bigint, {two})"
            )
        }
        Attack::DeleteLink => {
            format!("delete from audit_chain where first = {}", links[numbers.below(links.len() - 1)].first)
        }
        Attack::EditHash => format!(
            "update audit_chain set hashes = set_byte(hashes, 7, get_byte(hashes, 7) # 1) where first = {}",
            cut.first
        ),
        Attack::CutOffEnd | Attack::CutOffEndWithCheckpoints => {
            let (first, youngest) = (cut.first, cut.events[0].id);
            let checkpoints = match attack {
                Attack::CutOffEnd => String::new(),
                _ => format!("delete from audit_checkpoints where count >= {first}"),
            };
            format!(
                "delete from audit_events where id >= {youngest}; delete from audit_chain where first >= {first}; \
                 {checkpoints}"
            )
        }
        Attack::EditCheckpoint => {
            let edit = [
                "count = count + 1000",
                "signed = signed + 1",
                "head = set_byte(head, 3, get_byte(head, 3) # 1)",
                "signature = set_byte(signature, 9, get_byte(signature, 9) # 1)",
                "key_id = 'nobody'",
            ][numbers.below(5)];
            format!(
                "update audit_checkpoints set {edit} where count = (select count from audit_checkpoints \
                     order by md5(count::text || '{one}') limit 1)"
            )
        }
    };
    client.batch_execute(&sql).await.unwrap();
    if matches!(attack, Attack::DeleteAndChainAnew | Attack::EditAndChainAnew | Attack::InsertAndChainAnew) {
        chain_anew(trail, client, attack, victim, one).await;
    }
    if attack == Attack::CutOffEndWithCheckpoints {
        // Nothing younger than the last that is left gives it away, either.
        assert!(trail.store.audit_head(TENANT).await.unwrap().count < cut.first);
    }
    victim
}

/// Computes every hash again, as somebody would who can read this code, but has not the key.
async fn chain_anew(trail: &Trail, client: &Client, attack: Attack, victim: i64, beside: i64) {
    let mut before = [0; 32];
    let mut first = 1_i64;
    for link in trail.store.chain_links(TENANT, 0).await.unwrap() {
        let mut ids: Vec<i64> = link.events.iter().map(|it| it.id).collect();
        match attack {
            Attack::DeleteAndChainAnew => ids.retain(|id| *id != victim),
            Attack::InsertAndChainAnew => {
                if let Some(at) = ids.iter().position(|id| *id == beside) {
                    ids.insert(at + 1, victim);
                }
            }
            _ => {}
        }
        client.execute("delete from audit_chain where first = $1", &[&link.first]).await.unwrap();
        if ids.is_empty() {
            continue;
        }
        // A link of its own with these ids, so that the store tells the bytes that are hashed.
        let length = i64::try_from(ids.len()).unwrap();
        let place = -1_000_000_i64;
        let blank = vec![0_u8; ids.len() * 32];
        let insert = "insert into audit_chain (first, youngest, sealed, tenant, events, hashes) values ($1, $2, 0, 1, $3, $4)";
        client.execute(insert, &[&place, &ids[0], &ids, &blank]).await.unwrap();
        let told = trail.store.chain_links(TENANT, i64::MIN).await.unwrap().remove(0);
        assert_eq!(told.first, place);
        let mut hashes = Vec::new();
        for event in &told.events {
            before = hash(&before, event.canonical.as_ref().unwrap());
            hashes.extend_from_slice(&before);
        }
        client.execute("delete from audit_chain where first = $1", &[&place]).await.unwrap();
        client
            .execute(insert, &[&(first + 10_000_000), &ids.iter().max().unwrap(), &ids, &hashes])
            .await
            .unwrap();
        first += length;
    }
    client.batch_execute("update audit_chain set first = first - 10000000").await.unwrap();
}

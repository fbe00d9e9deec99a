//! The bare database: the same rows written and read by pgbench, with no server and nothing else.

use crate::closed_loop::{Limit, Measured, percentile};
use crate::server::{Database, Server};
use std::fs;
use std::process::Command;
use std::time::Instant;

/// What the bare database does.
#[derive(Clone, Debug)]
pub struct Floor {
    pub name: &'static str,
    pub measured: Measured,
}

/// The observations as they are stored, in a table with nothing but what finds them.
const PREPARE: &str = "
    drop schema if exists floor cascade; create schema floor;
    create table floor.observation (n bigserial primary key, patient bigint, date_low bigint, body bytea not null);
    alter table floor.observation alter body set storage external;
    insert into floor.observation (patient, date_low, body) select patient, date_low, body from resource.observation;
    create index on floor.observation (patient, date_low);
    analyze floor.observation";

/// Name, and the script of one transaction; `:last` is the number of rows, `:length` that of a body.
const SCRIPTS: [(&str, &str); 5] = [
    (
        "create",
        "insert into floor.observation (patient, date_low, body) values (:n, :n, convert_to(repeat('x', :length), 'UTF8'));",
    ),
    ("read", "select body from floor.observation where n = :n;"),
    ("update", "update floor.observation set body = convert_to(repeat('y', :length), 'UTF8') where n = :n;"),
    (
        "transaction",
        "insert into floor.observation (patient, date_low, body) select :n, it, convert_to(repeat('x', :length), 'UTF8') from generate_series(1, 100) it;",
    ),
    (
        "search",
        "select body from floor.observation where patient = (select patient from floor.observation where n = :n) order by date_low desc limit 20;",
    ),
];

/// Measures each; nothing where the database is not ours.
pub fn measure(server: &Server, limit: &Limit, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Floor> {
    let Some(database) = server.own_database() else { return Vec::new() };
    database.psql("vesta", PREPARE);
    let about = database.psql("vesta", "select count(*), round(avg(length(body))) from floor.observation");
    let (last, length) = about.trim().split_once('|').expect("two numbers");
    println!("floor: {last} observations, {length} bytes each as stored\n");
    let floors = SCRIPTS.iter().filter(|(name, _)| is_wanted(name));
    let floors: Vec<Floor> = floors
        .map(|(name, script)| Floor {
            name,
            measured: pgbench(server, &database, limit, (script, last, length)),
        })
        .collect();
    database.psql("vesta", "drop schema floor cascade");
    floors
}

fn pgbench(
    server: &Server,
    database: &Database,
    limit: &Limit,
    (script, last, length): (&str, &str, &str),
) -> Measured {
    let folder = database.scratch.join(format!("vesta-floor-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("script.sql");
    fs::write(&file, format!("\\set n random(1, :last)\n{script}\n")).unwrap();
    let before = server.database.cpu_seconds();
    let begun = Instant::now();
    let output = Command::new(database.programs.join("pgbench"))
        .current_dir(&folder)
        .args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=log", "--jobs=1"])
        .args(["-U", "vesta_owner", "-h", &database.socket])
        .args(["--client", &limit.clients.to_string(), "--time", &limit.time.as_secs().to_string()])
        .args(["-D", &format!("last={last}"), "-D", &format!("length={length}")])
        .arg("--file")
        .arg(&file)
        .arg("vesta")
        .output()
        .expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = server.database.cpu_seconds() - before;
    let mut times = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|it| it.to_string_lossy().starts_with("log")) {
            // client, transaction, microseconds …
            let text = fs::read_to_string(path).unwrap();
            times.extend(
                text.lines()
                    .filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok())
                    .map(|it| it / 1000.0),
            );
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    times.sort_by(f64::total_cmp);
    Measured {
        count: times.len(),
        per_second: times.len() as f64 / seconds,
        p50_milliseconds: percentile(&times, 50),
        p99_milliseconds: percentile(&times, 99),
        database_cpu: 1000.0 * cpu / times.len().max(1) as f64,
        ..Measured::default()
    }
}

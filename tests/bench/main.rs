//! The benchmark: Vesta beside the bare database, in one run on one machine. `cargo bench`.
//!
//! See `README.md` in this folder for how to read what it prints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a benchmark fails by panicking, and prints"
)]

mod accounting;
mod closed_loop;
mod cost;
mod decision;
mod floor;
mod operation;
mod server;
mod table;

use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Loads synthetic patients, then asks and writes as fast as some clients can.
#[derive(Parser, Debug)]
pub struct Arguments {
    /// How many files of patients are loaded
    #[arg(long, default_value_t = 10)]
    patients: usize,
    /// The folder of patients: bundles or NDJSON. Default: Synthea's of the test data
    #[arg(long)]
    folder: Option<PathBuf>,
    /// How many clients ask at once
    #[arg(long, default_value_t = 8)]
    clients: usize,
    /// How long each operation is repeated at most, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each operation is repeated at most
    #[arg(long, default_value_t = 5000)]
    count: usize,
    /// Only operations whose name holds this
    #[arg(long)]
    only: Option<String>,
    /// Only what a decision about access costs, without a server
    #[arg(long)]
    decisions: bool,
    /// The FHIR base of a server that runs already and is filled; without it, one is started and filled
    #[arg(long)]
    url: Option<String>,
    /// The token for it
    #[arg(long, requires = "url")]
    token: Option<String>,
    /// The authorities that may have signed its certificate
    #[arg(long, requires = "url")]
    authorities: Option<PathBuf>,
    /// The process of that server, to count its CPU time
    #[arg(long, requires = "url")]
    server_process: Option<u32>,
    /// The first process of its database
    #[arg(long, requires = "url")]
    database_process: Option<u32>,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    vesta::http::tls::install_cryptography();
    let arguments = Arguments::parse();
    if arguments.decisions {
        return decision::run();
    }
    if arguments.only.as_ref().is_none_or(|only| "cost".contains(only.as_str())) {
        println!("{}", cost::measure());
    }
    if arguments.only.as_deref() == Some("cost") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(&arguments));
}

async fn run(arguments: &Arguments) {
    let server = match &arguments.url {
        Some(url) => server::Server::given(url, arguments),
        None => server::Server::start(),
    };
    if arguments.url.is_none() {
        let loaded = server.fill(arguments);
        println!("{loaded}\n");
    }
    let subjects = operation::Subjects::find(&server).await;
    let limit = closed_loop::Limit {
        clients: arguments.clients,
        count: arguments.count,
        time: Duration::from_secs(arguments.seconds),
    };
    let is_wanted = |name: &str| arguments.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let floors = floor::measure(&server, &limit, &is_wanted);
    let mut rows = Vec::new();
    for operation in operation::all() {
        if is_wanted(operation.name) {
            let measured = closed_loop::run(&server, &operation, &subjects, &limit).await;
            let floor = operation.floor.and_then(|name| floors.iter().find(|it| it.name == name));
            rows.push(table::Row { name: operation.name, measured, floor: floor.cloned() });
        }
    }
    println!("{}", table::render(&rows));
    println!("{}", server.memory());
    server.stop();
}

//! The server that is measured: one of our own with its own database, or one that is given.

use crate::Arguments;
use crate::accounting::Account;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A server, and how to reach it.
pub struct Server {
    /// The FHIR base.
    pub base: String,
    pub client: reqwest::Client,
    /// The server's process.
    pub process: Account,
    /// The database's processes.
    pub database: Account,
    given_token: Option<String>,
    own: Option<Own>,
}

/// What we started.
struct Own {
    child: Child,
    data: PathBuf,
    port: u16,
}

/// Where a database is: its socket and the folder of PostgreSQL's programs.
pub struct Database {
    pub socket: String,
    pub programs: PathBuf,
    pub scratch: PathBuf,
}

impl Server {
    pub fn given(url: &str, arguments: &Arguments) -> Server {
        let account = |pid: Option<u32>, make: fn(u32) -> Account| pid.map_or(Account::None, make);
        Server {
            base: url.trim_end_matches('/').to_owned(),
            client: client(arguments.authorities.as_deref()),
            process: account(arguments.server_process, Account::Process),
            database: account(arguments.database_process, Account::Tree),
            given_token: arguments.token.clone(),
            own: None,
        }
    }

    /// Dev mode on a folder and a port of its own, until it is ready.
    pub fn start() -> Server {
        let data = std::env::temp_dir().join(format!("vesta-bench-{}", std::process::id()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let begun = Instant::now();
        let log = fs::File::create(data.with_extension("log")).unwrap();
        let mut child = vesta(&data, port).stdout(Stdio::piped()).stderr(log).spawn().expect("vesta starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let base = loop {
            let line = lines.next().expect("vesta gets ready").unwrap();
            if let Some(base) = line.strip_prefix("ready ") {
                break base.to_owned();
            }
        };
        println!("ready after {:.1} s on an empty folder", begun.elapsed().as_secs_f64());
        // Whoever writes more must not be stopped by a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let postmaster = fs::read_to_string(data.join("postgres/postmaster.pid")).unwrap();
        let database = Account::Tree(postmaster.lines().next().unwrap().trim().parse().unwrap());
        Server {
            base,
            client: client(Some(&data.join("ca.pem"))),
            process: Account::Process(child.id()),
            database,
            given_token: None,
            own: Some(Own { child, data, port }),
        }
    }

    /// A token that has its life before it.
    pub fn token(&self) -> String {
        let Some(own) = &self.own else { return self.given_token.clone().unwrap_or_default() };
        let output = vesta(&own.data, own.port).args(["token", "--client", "demo-backend"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Loads patients with `vesta load`; says what that took.
    pub fn fill(&self, arguments: &Arguments) -> String {
        let own = self.own.as_ref().unwrap();
        let folder = arguments.folder.clone().unwrap_or_else(|| {
            let data = std::env::var_os("VESTA_TEST_DATA").map(PathBuf::from);
            let data =
                data.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/test-data"));
            data.join("synthea-dev/dev/synthea-2021-uscore")
        });
        let mut files: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap_or_else(|_| panic!("{} is missing: unpack the public data", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let (mut first, rest): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|path| path.to_string_lossy().contains("Information"));
        first.extend(rest.into_iter().take(arguments.patients));
        let before = (self.process.cpu_seconds(), self.database.cpu_seconds(), self.disk_bytes());
        let mut load = vesta(&own.data, own.port);
        let output = load.arg("load").args(["--parallel", "4"]).args(&first).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let resources: f64 = said
            .split_whitespace()
            .nth(1)
            .and_then(|it| it.parse().ok())
            .unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
        let per = |after: f64, before: f64| 1000.0 * (after - before) / resources;
        format!(
            "{}\nload: CPU {:.3} ms a resource in the server, {:.3} in the database; {:.0} bytes a resource on disk",
            said.trim(),
            per(self.process.cpu_seconds(), before.0),
            per(self.database.cpu_seconds(), before.1),
            (self.disk_bytes() - before.2) / resources
        )
    }

    /// The size of the database.
    fn disk_bytes(&self) -> f64 {
        let Some(database) = self.own_database() else { return 0.0 };
        let size = database.psql("vesta", "checkpoint; select pg_database_size('vesta')");
        size.trim().parse().unwrap_or(0.0)
    }

    /// The database of the server that we started.
    pub fn own_database(&self) -> Option<Database> {
        let own = self.own.as_ref()?;
        let said = fs::read_to_string(own.data.join("postgres/postmaster.pid")).ok()?;
        let socket = said.lines().nth(4)?.to_owned();
        let Account::Tree(pid) = self.database else { return None };
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        let scratch = std::env::temp_dir();
        Some(Database { socket, programs: program.parent()?.to_owned(), scratch })
    }

    pub fn memory(&self) -> String {
        format!(
            "memory in use: server {:.0} MB, database {:.0} MB",
            self.process.memory_megabytes(),
            self.database.memory_megabytes()
        )
    }

    /// Stops what was started, and takes its folder away.
    pub fn stop(self) {
        let Some(mut own) = self.own else { return };
        let _ = Command::new("kill").args(["-TERM", &own.child.id().to_string()]).status();
        let _ = own.child.wait();
        let _ = fs::remove_dir_all(&own.data);
        let _ = fs::remove_file(own.data.with_extension("log"));
    }
}

impl Database {
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args([
            "-qtAX",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "vesta_owner",
            "-h",
            &self.socket,
            "-d",
            database,
        ]);
        let output = psql.args(["-c", sql]).output().expect("psql runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn vesta(data: &Path, port: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.env("VESTA_DATA", data).env("VESTA_LISTEN", format!("127.0.0.1:{port}"));
    command.env("VESTA_LOG", "warn").env_remove("VESTA_DATABASE_URL");
    command
}

fn client(authorities: Option<&Path>) -> reqwest::Client {
    let mut builder = reqwest::Client::builder().timeout(std::time::Duration::from_secs(60));
    if let Some(path) = authorities {
        let pem = fs::read(path).unwrap();
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem).unwrap());
    }
    builder.build().unwrap()
}

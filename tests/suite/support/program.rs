//! The program itself, as a newcomer starts it: dev mode in a process of its own, to be killed.

use super::server::Caller;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Dev mode with a data folder and a port of its own.
pub struct Program {
    pub data: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Program {
    /// A folder and a port; nothing runs yet.
    pub fn new(name: &str) -> Program {
        let data = std::env::temp_dir().join(format!("vesta-program-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Program { data, port, child: None }
    }

    /// Starts it, and returns when it says that it is ready: how long that took.
    pub fn start(&mut self) -> Duration {
        let begun = Instant::now();
        std::fs::create_dir_all(&self.data).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let mut child = self
            .command(&["dev"])
            .stdout(Stdio::piped())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = lines.map_while(Result::ok).any(|line| line.starts_with("ready "));
        self.child = Some(child);
        assert!(is_ready, "{}", std::fs::read_to_string(self.log()).unwrap_or_default());
        begun.elapsed()
    }

    /// What it logs.
    pub fn log(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Ends it as a power loss would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Kills its PostgreSQL, every process of it.
    pub fn kill_postgres(&self) {
        let Some(pid) = postmaster(&self.data) else { return };
        let children =
            std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let pids = std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned));
        let _ = Command::new("kill").arg("-9").args(pids).stderr(Stdio::null()).status();
    }

    /// Ends it in order.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            child.wait().unwrap();
        }
    }

    /// Runs another command of the program on the same folder: whether it succeeded, and what it printed.
    pub fn run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().expect("the command runs");
        let printed = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// The same, to be killed.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts")
    }

    /// A caller with a fresh token of that client.
    pub fn caller(&self, client: &str) -> Caller {
        let output = self.command(&["token", "--client", client]).output().expect("the command runs");
        let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let authority = std::fs::read(self.data.join("ca.pem")).unwrap();
        let http = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Caller::new(http, format!("https://127.0.0.1:{}/fhir/", self.port), Some(token))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.args(arguments).env("VESTA_DATA", &self.data);
        command.env("VESTA_LISTEN", format!("127.0.0.1:{}", self.port)).env_remove("VESTA_DATABASE_URL");
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.data);
        let _ = std::fs::remove_file(self.log());
    }
}

/// The first process of the PostgreSQL under a data folder.
fn postmaster(data: &Path) -> Option<u32> {
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()?.flatten() {
            let path = entry.path();
            if path.file_name().is_some_and(|it| it == "postmaster.pid") {
                return std::fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok();
            }
            if path.is_dir() && path.file_name().is_none_or(|it| it != "base" && it != "pg_wal") {
                folders.push(path);
            }
        }
    }
    None
}

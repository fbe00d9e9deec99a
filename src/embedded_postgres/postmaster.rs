//! The running PostgreSQL: started or adopted, watched, stopped.

use super::cluster::Cluster;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// How often we look whether something has happened.
const LOOK: Duration = Duration::from_millis(10);
/// Crash recovery replays at most `max_wal_size`.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long the last processes of a killed postmaster may need to notice.
const LEFTOVERS_LIMIT: Duration = Duration::from_secs(60);
/// How long a clean stop may take before we insist.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// PostgreSQL's first process.
pub(super) enum Postmaster {
    /// One that we started.
    Ours(Child),
    /// One that a killed server left behind.
    Adopted(Pid),
}

/// What `postmaster.pid` says: <https://www.postgresql.org/docs/current/storage-file-layout.html>
struct PidFile {
    pid: Pid,
    /// `starting`, `ready`, `stopping` or `standby`.
    status: String,
}

impl PidFile {
    fn read(cluster: &Path) -> Option<PidFile> {
        let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = Pid::from_raw(lines.next()?.trim().parse().ok()?)?;
        let status = lines.nth(6).unwrap_or_default().trim().to_owned();
        Some(PidFile { pid, status })
    }
}

/// Takes over a postmaster that already runs on the cluster, or starts one.
pub(super) async fn adopt_or_start(cluster: &Cluster) -> Result<Postmaster> {
    let deadline = Instant::now() + START_LIMIT;
    while let Some(found) = PidFile::read(&cluster.folder) {
        if !is_postmaster_of(cluster, found.pid) || Instant::now() > deadline {
            break;
        }
        if found.status == "ready" && can_connect(cluster).await {
            info!("taking over the PostgreSQL that a killed server left behind");
            return Ok(Postmaster::Adopted(found.pid));
        }
        sleep(LOOK).await;
    }
    start(cluster).await
}

async fn start(cluster: &Cluster) -> Result<Postmaster> {
    let deadline = Instant::now() + LEFTOVERS_LIMIT;
    let mut has_said = false;
    loop {
        match try_start(cluster).await {
            // A killed postmaster's children hold its shared memory until they notice.
            Err(error) if Instant::now() < deadline && said_leftovers(cluster) => {
                if !has_said {
                    info!("waiting for the processes of a killed PostgreSQL to end: {error}");
                    has_said = true;
                }
                sleep(Duration::from_millis(200)).await;
            }
            other => return other.map(Postmaster::Ours),
        }
    }
}

async fn try_start(cluster: &Cluster) -> Result<Child> {
    let log =
        fs::File::create(&cluster.log).with_context(|| format!("cannot write {}", cluster.log.display()))?;
    let mut child = cluster
        .owner
        .command(&cluster.binaries.folder.join("postgres"))
        .arg("-D")
        .arg(&cluster.folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("cannot share the log")?)
        .stderr(log)
        // A group of its own: Ctrl-C in the terminal is for the server, which then stops it in order.
        .process_group(0)
        .spawn()
        .context("cannot run postgres")?;
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("PostgreSQL ended with {status}: {}", last_words(cluster));
        }
        let is_ready = PidFile::read(&cluster.folder).is_some_and(|it| it.status == "ready");
        if is_ready && can_connect(cluster).await {
            return Ok(child);
        }
        if Instant::now() > deadline {
            bail!("PostgreSQL was not ready after {} seconds", START_LIMIT.as_secs());
        }
        sleep(LOOK).await;
    }
}

/// Restarts PostgreSQL whenever it ends by itself, until it is told to stop.
pub(super) async fn watch(cluster: Cluster, mut postmaster: Postmaster, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stop => return postmaster.stop(&cluster).await,
            () = postmaster.ended(&cluster) => warn!("PostgreSQL ended unexpectedly: starting it again"),
        }
        loop {
            match adopt_or_start(&cluster).await {
                Ok(started) => {
                    postmaster = started;
                    break;
                }
                Err(error) => warn!("PostgreSQL does not start, trying again: {error:#}"),
            }
            tokio::select! {
                _ = &mut stop => return,
                () = sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

impl Postmaster {
    fn pid(&self) -> Option<Pid> {
        match self {
            Postmaster::Ours(child) => Pid::from_raw(i32::try_from(child.id()?).ok()?),
            Postmaster::Adopted(pid) => Some(*pid),
        }
    }

    async fn ended(&mut self, cluster: &Cluster) {
        match self {
            Postmaster::Ours(child) => drop(child.wait().await),
            Postmaster::Adopted(pid) => {
                // Not only gone: one that nobody has buried yet has no command line any more.
                while is_postmaster_of(cluster, *pid) {
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    /// A fast shutdown: sessions are ended, then everything goes to disk. Where that takes too long,
    /// an immediate one: nothing is lost, the next start replays the log.
    async fn stop(mut self, cluster: &Cluster) {
        for signal in [Signal::INT, Signal::QUIT] {
            let Some(pid) = self.pid() else { return };
            if kill_process(pid, signal).is_err() {
                return;
            }
            if timeout(STOP_LIMIT, self.ended(cluster)).await.is_ok() {
                return;
            }
            warn!("PostgreSQL did not stop within {} seconds", STOP_LIMIT.as_secs());
        }
    }
}

/// Whether the process lives and is the postmaster of this cluster, not some other that got its number.
fn is_postmaster_of(cluster: &Cluster, pid: Pid) -> bool {
    if test_kill_process(pid).is_err() {
        return false;
    }
    let Ok(command) = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())) else {
        // No such file system here: PostgreSQL's own check decides.
        return !Path::new("/proc/self").exists();
    };
    command.split(|byte| *byte == 0).any(|word| word == cluster.folder.as_os_str().as_encoded_bytes())
}

async fn can_connect(cluster: &Cluster) -> bool {
    tokio::net::UnixStream::connect(cluster.socket.join(".s.PGSQL.5432")).await.is_ok()
}

fn said_leftovers(cluster: &Cluster) -> bool {
    let log = fs::read_to_string(&cluster.log).unwrap_or_default();
    log.contains("shared memory block") || log.contains("lock file")
}

/// The end of PostgreSQL's log.
fn last_words(cluster: &Cluster) -> String {
    let log = fs::read_to_string(&cluster.log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

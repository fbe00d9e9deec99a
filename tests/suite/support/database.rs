//! A real PostgreSQL for tests: one private cluster per run of the tests, one migrated template, and for
//! each test a database of its own, copied from it.
//!
//! The cluster does not sync to disk and ends with the process: a shell holds the other end of a pipe, and
//! stops PostgreSQL when the pipe closes, however we ended.

use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};
use vesta::clock::Clock;
use vesta::crypto::key_ring::new_root_key;
use vesta::store::connection::Settings;
use vesta::store::migrate::migrate;

/// A database of its own for one test.
pub struct Database {
    pub settings: Settings,
    /// Every server on this database has the same.
    pub root_key: SecretString,
}

/// Started by the first test that asks.
struct Cluster {
    socket: PathBuf,
    programs: PathBuf,
    /// Its end of the pipe is open as long as this process lives.
    _shell: Child,
}

/// What the folder of a cluster is called, before the number of its process.
const PREFIX: &str = "vesta-test-";

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static TEMPLATE: OnceCell<()> = OnceCell::const_new();
/// PostgreSQL copies a template for one at a time.
static CREATING: Mutex<()> = Mutex::const_new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// With the schema of today, and nothing in it.
    pub async fn migrated() -> Database {
        let cluster = CLUSTER.get_or_init(Cluster::start);
        TEMPLATE
            .get_or_init(|| async {
                cluster.create_database("template", "template0").await;
                migrate(&cluster.settings("template"), Clock::system().now_microseconds())
                    .await
                    .expect("the migrations run");
            })
            .await;
        Database::copy_of("template").await
    }

    /// Without a schema.
    pub async fn empty() -> Database {
        Database::copy_of("template0").await
    }

    async fn copy_of(template: &str) -> Database {
        let cluster = CLUSTER.get_or_init(Cluster::start);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        cluster.create_database(&name, template).await;
        Database { settings: cluster.settings(&name), root_key: new_root_key() }
    }

    /// A connection with every right, to look behind the walls.
    pub async fn superuser(&self) -> tokio_postgres::Client {
        connect(self.settings.url.expose_secret()).await
    }

    /// The same on another database, and the name of this one.
    pub async fn superuser_elsewhere(&self) -> (tokio_postgres::Client, String) {
        let (server, name) = self.settings.url.expose_secret().rsplit_once('/').expect("a URL has slashes");
        (connect(&format!("{server}/postgres")).await, name.to_owned())
    }
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the test database is there");
    tokio::spawn(connection);
    client
}

impl Cluster {
    fn start() -> Cluster {
        let programs = programs();
        // Not under target/: a socket's path is short, and the user that PostgreSQL runs as must get there.
        let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        remove_leftovers(&std::env::temp_dir());
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let user = unprivileged_user(&folder);
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root may give folders away");
        }
        let data = folder.join("data");
        let run = |mut command: Command| {
            if let Some((uid, gid)) = user {
                command.uid(uid).gid(gid);
            }
            command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
            command
        };
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--no-instructions"]).stdout(Stdio::null());
        assert!(run(initdb).status().expect("initdb runs").success(), "initdb failed");
        let mut shell = Command::new("sh");
        let log = fs::File::create(folder.join("log")).expect("the folder is writable");
        shell
            .arg("-c")
            .arg(
                "postgres=\"$1\"; shift; \"$postgres\" \"$@\" & pid=$!; while read -r _; do :; done; \
                 kill -QUIT $pid; wait $pid; rm -rf \"$FOLDER\"",
            )
            .arg("sh")
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data);
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
            "max_connections=400",
            "shared_buffers=128MB",
            "autovacuum=off",
            &format!("unix_socket_directories={}", folder.display()),
        ] {
            shell.arg("-c").arg(setting);
        }
        let mut shell = run(shell);
        shell.env("FOLDER", &folder).process_group(0);
        let shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log).spawn().expect("sh runs");
        let is_ready = || {
            let said = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            said.lines().nth(7).is_some_and(|status| status.trim() == "ready")
        };
        for _ in 0..2000 {
            if is_ready() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Cluster { socket: folder, programs, _shell: shell }
    }

    fn settings(&self, database: &str) -> Settings {
        let socket = self.socket.display().to_string().replace('/', "%2F");
        let mut settings = Settings::new(format!("postgresql://postgres@{socket}/{database}").into());
        settings.max_connections = 8;
        settings
    }

    async fn create_database(&self, name: &str, template: &str) {
        let _turn = CREATING.lock().await;
        let created = tokio::process::Command::new(self.programs.join("psql"))
            .env_clear()
            .args(["-q", "-X", "-U", "postgres", "-h"])
            .arg(&self.socket)
            .args([
                "-c",
                &format!("create database {name} template {template} strategy file_copy"),
                "postgres",
            ])
            .status()
            .await
            .expect("psql runs");
        assert!(created.success(), "the test database was not created");
    }
}

/// The newest PostgreSQL of this machine.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let folder = folders.into_iter().rfind(|folder| folder.join("initdb").exists());
    folder.expect("install PostgreSQL: apt-get install postgresql")
}

/// Whom PostgreSQL should run as, where we are root: it refuses to be.
fn unprivileged_user(folder: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata(folder).expect("the folder was made").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("there are users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres:").or_else(|| find("nobody:"))
}

/// Folders of earlier runs that were killed.
fn remove_leftovers(parent: &Path) {
    for folder in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

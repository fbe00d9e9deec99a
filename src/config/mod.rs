//! Every setting: its variable, its default and what it means. The comments are the manual.
//!
//! Read once, checked as a whole (all complaints at once), passed as a value. There is no settings
//! file, nothing global, and no reloading. A combination that would be unsafe refuses to start.
//!
//! Two modes. *Dev mode* (`vesta` alone, or `vesta dev`) brings its own database, keys and
//! certificate, all under one folder. *Serving* (`vesta serve`, or `vesta` alone with
//! `VESTA_DATABASE_URL` set) is told about each, and invents none.

pub mod bulk;
pub mod forwarding;
pub mod limits;
pub mod review;
pub mod root_key;

use clap::{Args, ValueEnum};
use forwarding::Forwarding;
use limits::Limits;
use review::Review;
use root_key::RootKeyPlace;
use secrecy::{ExposeSecret as _, SecretString};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Access tokens live this long at most (`security.md`: 15 minutes).
pub const MAX_TOKEN_LIFETIME_SECONDS: u32 = 900;

/// All settings.
#[derive(Args, Clone, Debug, Default)]
pub struct Config {
    /// Where Vesta keeps its files.
    #[command(flatten)]
    pub data: Data,
    /// Where and how Vesta listens.
    #[command(flatten)]
    pub listener: Listener,
    /// The database.
    #[command(flatten)]
    pub database: Database,
    /// The keys that seal and sign.
    #[command(flatten)]
    pub keys: Keys,
    /// Access tokens.
    #[command(flatten)]
    pub tokens: Tokens,
    /// What one request, or one client, may take.
    #[command(flatten)]
    pub limits: Limits,
    /// Bulk export and import.
    #[command(flatten)]
    pub bulk: bulk::Bulk,
    /// Where the trail goes besides the database.
    #[command(flatten)]
    pub forwarding: Forwarding,
    /// The review of the trail.
    #[command(flatten)]
    pub review: Review,
    /// What is logged.
    #[command(flatten)]
    pub log: Log,
}

/// Where Vesta keeps its files.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Files")]
pub struct Data {
    /// The folder of dev mode: database, keys, certificates. Default: the user's data folder, or
    /// /var/lib/vesta for root
    #[arg(id = "data_folder", long = "data", env = "VESTA_DATA", value_name = "FOLDER", global = true)]
    pub folder: Option<PathBuf>,

    /// The tenant that a command is for, by the name in its URLs. Default: the first
    #[arg(long, env = "VESTA_TENANT", value_name = "SLUG", global = true)]
    pub tenant: Option<String>,
}

/// Where and how Vesta listens.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Listener")]
pub struct Listener {
    /// The address to listen on
    #[arg(long, env = "VESTA_LISTEN", default_value = "127.0.0.1:8443", global = true)]
    pub listen: SocketAddr,

    /// The address by which clients know this server, without the path: `https://fhir.example.org`.
    /// Default in dev mode: https:// and the address listened on
    #[arg(long, env = "VESTA_PUBLIC_URL", value_name = "URL", global = true)]
    pub public_url: Option<String>,

    /// The certificate chain, PEM
    #[arg(long, env = "VESTA_TLS_CERTIFICATE", value_name = "FILE", global = true)]
    pub tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, PEM, readable by nobody else
    #[arg(long, env = "VESTA_TLS_KEY", value_name = "FILE", global = true)]
    pub tls_key: Option<PathBuf>,

    /// The authorities of clients' certificates, PEM: with it, connections are mutual TLS
    #[arg(long, env = "VESTA_CLIENT_CA", value_name = "FILE", global = true)]
    pub client_authorities: Option<PathBuf>,

    /// Whether clients must show a certificate of those authorities
    #[arg(long, env = "VESTA_CLIENT_CERTIFICATES", value_enum, default_value_t, global = true)]
    pub client_certificates: ClientCertificates,

    /// Speak plain HTTP, for a proxy on the same machine that speaks TLS: on loopback only
    #[arg(long, env = "VESTA_PLAIN_HTTP", global = true)]
    pub plain_http: bool,

    /// Web origins whose pages may call this server, separated by commas; * for any. Tokens travel
    /// in a header and never in a cookie, so any origin may ask, and none gets in without a token
    #[arg(long, env = "VESTA_CORS_ORIGINS", default_value = "*", value_delimiter = ',', global = true)]
    pub cors_origins: Vec<String>,

    /// A bearer token with which /metrics may be read from other machines; without it, from
    /// loopback only
    #[arg(long, env = "VESTA_METRICS_TOKEN", value_parser = secret, hide_env_values = true, global = true)]
    pub metrics_token: Option<SecretString>,
}

/// Whether clients must show a certificate, where `VESTA_CLIENT_CA` is set. A bad one is never taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ClientCertificates {
    /// No connection without one
    #[default]
    Required,
    /// One that is shown is checked: for browsers beside systems
    Optional,
}

/// The database.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Database")]
pub struct Database {
    /// The PostgreSQL database, as the application's role: postgresql://user:password@host/name.
    /// Dev mode brings its own
    #[arg(
        long = "database-url",
        env = "VESTA_DATABASE_URL",
        value_parser = secret,
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub url: Option<SecretString>,

    /// The same database as the role that owns the schema, for `vesta migrate`
    #[arg(
        long = "database-migration-url",
        env = "VESTA_DATABASE_MIGRATION_URL",
        value_parser = secret,
        hide_env_values = true,
        value_name = "URL",
        global = true
    )]
    pub migration_url: Option<SecretString>,

    /// The authorities that may have signed the database's certificate, PEM; with sslmode=require in
    /// the URL
    #[arg(
        long = "database-authorities",
        env = "VESTA_DATABASE_AUTHORITIES",
        value_name = "FILE",
        global = true
    )]
    pub certificate_authorities: Option<PathBuf>,

    /// How many connections to hold at most
    #[arg(
        long = "database-connections",
        env = "VESTA_DATABASE_CONNECTIONS",
        default_value_t = 16,
        value_name = "N",
        global = true
    )]
    pub connections: u32,

    /// How long a request waits for a connection, and a connection for the database
    #[arg(
        long = "database-timeout-seconds",
        env = "VESTA_DATABASE_TIMEOUT_SECONDS",
        default_value_t = 10,
        value_name = "N",
        global = true
    )]
    pub timeout_seconds: u32,
}

/// The keys that seal and sign.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Keys")]
pub struct Keys {
    /// The root key that wraps all others: a file made by `vesta keys create`, readable by nobody
    /// else. Whoever loses it loses every sealed element
    #[arg(long = "root-key", env = "VESTA_ROOT_KEY_FILE", value_name = "FILE", global = true)]
    pub root_key_file: Option<PathBuf>,

    /// Where it is, if not in a file.
    #[command(flatten)]
    pub root: RootKeyPlace,

    /// The key that signs the checkpoints of the trail
    #[arg(long = "checkpoint-key", env = "VESTA_CHECKPOINT_KEY_FILE", value_name = "FILE", global = true)]
    pub checkpoint_key_file: Option<PathBuf>,

    /// How much is sealed in the database
    #[arg(long, env = "VESTA_SEALING_LEVEL", value_enum, default_value_t, global = true)]
    pub sealing_level: SealingLevel,
}

/// How much is sealed in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SealingLevel {
    /// Names, identifiers, addresses, birth dates: what says who somebody is
    Identity,
    /// Identity, and narratives, free text, diagnoses, treatments and labelled classes
    #[default]
    Clinical,
    /// Whole resources
    Everything,
}

/// Access tokens.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access tokens")]
pub struct Tokens {
    /// The key set that access tokens are checked against: a JWKS file
    #[arg(long = "token-key-set", env = "VESTA_TOKEN_KEY_SET", value_name = "FILE", global = true)]
    pub key_set_file: Option<PathBuf>,

    /// Who issues the tokens: their `iss`. Default: the public URL
    #[arg(long = "token-issuer", env = "VESTA_TOKEN_ISSUER", value_name = "URL", global = true)]
    pub issuer: Option<String>,

    /// Whom the tokens are for: their `aud`. Default: the FHIR base
    #[arg(long = "token-audience", env = "VESTA_TOKEN_AUDIENCE", value_name = "URL", global = true)]
    pub audience: Option<String>,

    /// How long a token lives at most; tokens made to live longer are refused
    #[arg(
        long = "token-lifetime-seconds",
        env = "VESTA_TOKEN_LIFETIME_SECONDS",
        default_value_t = MAX_TOKEN_LIFETIME_SECONDS,
        value_name = "N",
        global = true
    )]
    pub lifetime_seconds: u32,

    /// Clients may register without leave; each waits for an officer who approves it
    #[arg(long = "open-registration", env = "VESTA_OPEN_REGISTRATION", global = true)]
    pub open_registration: bool,
}

/// What is logged.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// What is logged: error, warn, info, debug, or a filter such as info,vesta::http=debug
    #[arg(long = "log", env = "VESTA_LOG", default_value = "info", value_name = "FILTER", global = true)]
    pub filter: String,

    /// How it is logged
    #[arg(
        id = "log_format",
        long = "log-format",
        env = "VESTA_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true
    )]
    pub format: LogFormat,
}

/// How it is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line for people
    #[default]
    Text,
    /// One JSON object in a line
    Json,
}

impl Default for Listener {
    fn default() -> Listener {
        Listener {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            public_url: None,
            tls_certificate: None,
            tls_key: None,
            client_authorities: None,
            client_certificates: ClientCertificates::default(),
            plain_http: false,
            cors_origins: vec!["*".to_owned()],
            metrics_token: None,
        }
    }
}

impl Default for Database {
    fn default() -> Database {
        Database {
            url: None,
            migration_url: None,
            certificate_authorities: None,
            connections: 16,
            timeout_seconds: 10,
        }
    }
}

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            key_set_file: None,
            issuer: None,
            audience: None,
            lifetime_seconds: MAX_TOKEN_LIFETIME_SECONDS,
            open_registration: false,
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Config {
    /// The address by which clients know this server, without a closing slash.
    #[must_use]
    pub fn public_url(&self) -> String {
        let scheme = if self.listener.plain_http { "http" } else { "https" };
        match &self.listener.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("{scheme}://{}", self.listener.listen),
        }
    }

    /// The FHIR base: <https://hl7.org/fhir/R4/http.html#root>
    #[must_use]
    pub fn fhir_base(&self) -> String {
        format!("{}/fhir", self.public_url())
    }

    /// An endpoint of the authorization server, such as `authorize` or `token`.
    #[must_use]
    pub fn authorization_endpoint(&self, name: &str) -> String {
        format!("{}/auth/{name}", self.public_url())
    }

    /// Who issues the access tokens.
    #[must_use]
    pub fn token_issuer(&self) -> String {
        self.tokens.issuer.clone().unwrap_or_else(|| self.public_url())
    }

    /// Whom the access tokens are for.
    #[must_use]
    pub fn token_audience(&self) -> String {
        self.tokens.audience.clone().unwrap_or_else(|| self.fhir_base())
    }

    /// Everything that forbids to serve with these settings; empty when nothing does.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.dev_complaints();
        if self.database.url.is_none() {
            complaints.push("VESTA_DATABASE_URL is missing: the PostgreSQL database to use".to_owned());
        }
        match &self.listener.public_url {
            None => complaints.push("VESTA_PUBLIC_URL is missing: the address clients use".to_owned()),
            Some(url) if !is_public_url(url) => complaints.push(
                "VESTA_PUBLIC_URL must be https://host without a path (http://localhost for plain HTTP)"
                    .to_owned(),
            ),
            Some(_) => {}
        }
        complaints.extend(self.keys.root.complaints(self.keys.root_key_file.as_ref()));
        let is_tls = !self.listener.plain_http;
        for (variable, file, is_needed, is_secret) in [
            ("VESTA_TLS_CERTIFICATE", &self.listener.tls_certificate, is_tls, false),
            ("VESTA_TLS_KEY", &self.listener.tls_key, is_tls, true),
            ("VESTA_CLIENT_CA", &self.listener.client_authorities, false, false),
            ("VESTA_DATABASE_AUTHORITIES", &self.database.certificate_authorities, false, false),
            ("VESTA_ROOT_KEY_FILE", &self.keys.root_key_file, false, true),
            ("VESTA_CHECKPOINT_KEY_FILE", &self.keys.checkpoint_key_file, true, true),
            ("VESTA_TOKEN_KEY_SET", &self.tokens.key_set_file, true, false),
        ] {
            match file {
                None if is_needed => complaints.push(format!("{variable} is missing")),
                None => {}
                Some(path) => complaints.extend(file_complaint(variable, path, is_secret)),
            }
        }
        complaints
    }

    /// What forbids even dev mode.
    #[must_use]
    pub fn dev_complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.listener.plain_http && !self.listener.listen.ip().is_loopback() {
            complaints.push("VESTA_PLAIN_HTTP is for loopback only: VESTA_LISTEN is not".to_owned());
        }
        if self.listener.plain_http && self.listener.client_authorities.is_some() {
            complaints.push("VESTA_CLIENT_CA needs TLS, and VESTA_PLAIN_HTTP forbids it".to_owned());
        }
        if !(1..=MAX_TOKEN_LIFETIME_SECONDS).contains(&self.tokens.lifetime_seconds) {
            complaints
                .push(format!("VESTA_TOKEN_LIFETIME_SECONDS must be from 1 to {MAX_TOKEN_LIFETIME_SECONDS}"));
        }
        complaints.extend(self.forwarding.complaints());
        complaints.extend(self.review.complaints());
        if self.database.connections < 2 {
            complaints.push("VESTA_DATABASE_CONNECTIONS must be at least 2".to_owned());
        }
        for (variable, value) in [
            ("VESTA_LIMIT_BODY_BYTES", self.limits.body_bytes),
            ("VESTA_LIMIT_BODIES_BYTES", self.limits.bodies_bytes),
            ("VESTA_LIMIT_URI_BYTES", self.limits.uri_bytes),
            ("VESTA_LIMIT_CONNECTIONS", self.limits.open_connections),
        ] {
            if value == 0 {
                complaints.push(format!("{variable} must not be 0"));
            }
        }
        complaints.extend(self.bulk.complaints());
        if self.listener.metrics_token.as_ref().is_some_and(|it| it.expose_secret().len() < 16) {
            complaints.push("VESTA_METRICS_TOKEN must have at least 16 characters".to_owned());
        }
        complaints
    }

    /// The data folder: the one that was set, or the user's own.
    ///
    /// # Errors
    /// None was set, and the user has no home folder.
    pub fn data_folder(&self) -> Result<PathBuf, String> {
        if let Some(folder) = &self.data.folder {
            return std::path::absolute(folder).map_err(|error| format!("VESTA_DATA: {error}"));
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/vesta"));
        }
        // https://specifications.freedesktop.org/basedir-spec/latest/
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|folder| folder.join("vesta"))
            .ok_or_else(|| "VESTA_DATA is missing, and the user has no home folder".to_owned())
    }
}

/// The folders that programs are looked for in.
#[must_use]
pub fn search_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// HTTPS, or HTTP to this very machine; a host; no path, query or fragment.
fn is_public_url(url: &str) -> bool {
    let url = url.strip_suffix('/').unwrap_or(url);
    let host = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(host), _) => host,
        (None, Some(host)) if host.starts_with("localhost") || host.starts_with("127.0.0.1") => host,
        _ => return false,
    };
    !host.is_empty() && !host.contains(['/', '?', '#', '@', ' '])
}

/// What is wrong with a file: it cannot be read or, holding a secret, can be read by others.
fn file_complaint(variable: &str, path: &Path, is_secret: bool) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = match std::fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("{variable}: {} cannot be read: {error}", path.display())),
    };
    let is_open = is_secret && metadata.mode() & 0o077 != 0;
    is_open.then(|| format!("{variable}: {} can be read by others: chmod 600 it", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_without_anything_names_everything_that_is_missing() {
        let complaints = Config::default().complaints().join("\n");
        for variable in [
            "VESTA_DATABASE_URL",
            "VESTA_PUBLIC_URL",
            "VESTA_TLS_CERTIFICATE",
            "VESTA_TLS_KEY",
            "VESTA_ROOT_KEY_FILE",
            "VESTA_CHECKPOINT_KEY_FILE",
            "VESTA_TOKEN_KEY_SET",
        ] {
            assert!(complaints.contains(variable), "{variable} in\n{complaints}");
        }
        assert!(Config::default().dev_complaints().is_empty());
    }

    #[test]
    fn unsafe_settings_are_refused() {
        let mut config = Config::default();
        config.listener.plain_http = true;
        assert!(config.dev_complaints().is_empty());
        config.listener.listen = SocketAddr::from(([0, 0, 0, 0], 80));
        config.tokens.lifetime_seconds = MAX_TOKEN_LIFETIME_SECONDS + 1;
        config.listener.metrics_token = Some(SecretString::from("short"));
        assert_eq!(config.dev_complaints().len(), 3, "{:?}", config.dev_complaints());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = std::env::temp_dir().join(format!("vesta-config-{}", std::process::id()));
        std::fs::write(&file, "key").unwrap();
        let set = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        set(0o640);
        assert!(file_complaint("KEY", &file, true).unwrap().contains("chmod 600"));
        assert!(file_complaint("KEY", &file, false).is_none());
        set(0o600);
        assert!(file_complaint("KEY", &file, true).is_none());
        std::fs::remove_file(&file).unwrap();
        assert!(file_complaint("KEY", &file, true).unwrap().contains("cannot be read"));
    }

    #[test]
    fn public_urls_are_checked() {
        for good in ["https://fhir.example.org", "https://fhir.example.org/", "http://localhost:8080"] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in
            ["http://fhir.example.org", "https://", "fhir.example.org", "https://a/fhir", "https://u@a"]
        {
            assert!(!is_public_url(bad), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let mut config = Config::default();
        config.database.url = Some(SecretString::from("postgresql://u:hunter2@h/d"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}

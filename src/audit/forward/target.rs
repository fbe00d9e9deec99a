//! The receivers that are set, and what goes to them.

use crate::audit::export;
use crate::audit::forward::{otlp, syslog, webhook};
use crate::config::Config;
use crate::fhir::id::TenantId;
use crate::store::audit_chain::{Checkpoint, Hash};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Somebody outside who takes the trail.
pub(super) struct Target {
    /// The name under which its cursor is kept.
    pub(super) name: &'static str,
    /// It takes events; otherwise checkpoints alone.
    pub(super) takes_events: bool,
    way: Way,
}

enum Way {
    Syslog(syslog::Receiver),
    Webhook(Post),
    Otlp(Post),
    File(PathBuf),
}

/// An address that takes JSON.
pub(super) struct Post {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) token: Option<SecretString>,
}

/// What goes at once.
pub(super) struct Batch {
    /// Whose trail.
    pub(super) tenant: TenantId,
    /// The name of this server.
    pub(super) host: String,
    /// Events in the order of the chain.
    pub(super) events: Vec<Sent>,
    /// Checkpoints in their order.
    pub(super) checkpoints: Vec<Checkpoint>,
}

/// An event as it leaves.
pub(super) struct Sent {
    pub(super) place: i64,
    pub(super) hash: Hash,
    pub(super) kind: i16,
    pub(super) outcome: i16,
    pub(super) recorded: i64,
    /// The AuditEvent.
    pub(super) text: String,
}

/// How long a receiver may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every receiver that the settings name.
///
/// # Errors
/// A file cannot be read, or an address cannot be used.
pub(super) fn of(config: &Config, tenant: TenantId) -> Result<Vec<Target>, String> {
    let forwarding = &config.forwarding;
    let authorities = match &forwarding.authorities {
        None => None,
        Some(file) => {
            Some(std::fs::read(file).map_err(|error| format!("VESTA_FORWARD_AUTHORITIES: {error}"))?)
        }
    };
    let mut targets = Vec::new();
    let mut add = |name, takes_events, way| targets.push(Target { name, takes_events, way });
    for (name, takes_events, address) in
        [("syslog", true, &forwarding.syslog), ("checkpoint-syslog", false, &forwarding.checkpoint_syslog)]
    {
        if let Some(address) = address {
            let receiver = syslog::Receiver::new(address, authorities.as_deref())?;
            add(name, takes_events, Way::Syslog(receiver));
        }
    }
    if let Some(url) = &forwarding.webhook {
        let post = post(url, forwarding.webhook_token.as_ref(), authorities.as_deref())?;
        add("webhook", true, Way::Webhook(post));
    }
    if let Some(url) = &forwarding.otlp {
        let post = post(url, forwarding.otlp_token.as_ref(), authorities.as_deref())?;
        add("otlp", true, Way::Otlp(post));
    }
    if let Some(file) = &forwarding.checkpoint_file {
        add("checkpoint-file", false, Way::File(of_tenant(file, tenant)));
    }
    Ok(targets)
}

/// A file of its own for each tenant but the first: checkpoints of several in one would be nobody's witness.
fn of_tenant(file: &Path, tenant: TenantId) -> PathBuf {
    match tenant {
        TenantId::FIRST => file.to_owned(),
        TenantId(number) => {
            let mut name = file.as_os_str().to_owned();
            name.push(format!(".tenant-{number}"));
            PathBuf::from(name)
        }
    }
}

fn post(url: &str, token: Option<&SecretString>, authorities: Option<&[u8]>) -> Result<Post, String> {
    let mut builder =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE);
    if let Some(pem) = authorities {
        let certificates = reqwest::Certificate::from_pem_bundle(pem);
        let certificates = certificates.map_err(|_| "VESTA_FORWARD_AUTHORITIES is not PEM".to_owned())?;
        builder = builder.tls_certs_only(certificates);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    Ok(Post { client, url: url.to_owned(), token: token.cloned() })
}

impl Target {
    /// Sends a batch, and returns when the receiver has it.
    pub(super) async fn send(&self, batch: &Batch) -> Result<(), String> {
        match &self.way {
            Way::Syslog(receiver) => receiver.send(batch).await,
            Way::Webhook(post) => post.send(&webhook::body(batch)).await,
            Way::Otlp(post) => post.send(&otlp::body(batch)).await,
            Way::File(file) => append(file, &batch.checkpoints).await.map_err(|error| error.to_string()),
        }
    }
}

impl Post {
    /// Any 2xx says that the receiver has it; nothing else does.
    async fn send(&self, body: &serde_json::Value) -> Result<(), String> {
        use secrecy::ExposeSecret as _;
        let mut request = self.client.post(&self.url).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = request.body(body.to_string()).send().await;
        let answer = answer.map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("it answered {status}")),
        }
    }
}

async fn append(file: &PathBuf, checkpoints: &[Checkpoint]) -> std::io::Result<()> {
    let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(file).await?;
    let lines: String = checkpoints.iter().map(|it| export::checkpoint_line(it) + "\n").collect();
    file.write_all(lines.as_bytes()).await?;
    file.sync_all().await
}

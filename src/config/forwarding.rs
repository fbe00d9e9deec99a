//! Who outside takes the trail.

use clap::Args;
use secrecy::SecretString;
use std::path::PathBuf;

/// Where the trail goes besides the database. What leaves holds no query and no name, but the ids of resources.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The trail outside")]
pub struct Forwarding {
    /// A syslog receiver, host:port: RFC 5424 over TLS, with VESTA_FORWARD_AUTHORITIES
    #[arg(long = "forward-syslog", env = "VESTA_FORWARD_SYSLOG", value_name = "HOST:PORT", global = true)]
    pub syslog: Option<String>,

    /// An HTTPS address that takes batches of AuditEvents as JSON
    #[arg(
        id = "forward_webhook",
        long = "forward-webhook",
        env = "VESTA_FORWARD_WEBHOOK",
        value_name = "URL",
        global = true
    )]
    pub webhook: Option<String>,

    /// The bearer token for it
    #[arg(
        id = "forward_webhook_token",
        long = "forward-webhook-token",
        env = "VESTA_FORWARD_WEBHOOK_TOKEN",
        value_parser = super::secret,
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub webhook_token: Option<SecretString>,

    /// An OpenTelemetry collector that takes logs: https://host:4318/v1/logs
    #[arg(long = "forward-otlp", env = "VESTA_FORWARD_OTLP", value_name = "URL", global = true)]
    pub otlp: Option<String>,

    /// The bearer token for it
    #[arg(
        long = "forward-otlp-token",
        env = "VESTA_FORWARD_OTLP_TOKEN",
        value_parser = super::secret,
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub otlp_token: Option<SecretString>,

    /// The authorities that may have signed the receivers' certificates, PEM
    #[arg(
        id = "forward_authorities",
        long = "forward-authorities",
        env = "VESTA_FORWARD_AUTHORITIES",
        value_name = "FILE",
        global = true
    )]
    pub authorities: Option<PathBuf>,

    /// A file that each signed checkpoint is appended to, best on another machine's disk; other tenants than the
    /// first have .tenant-N after its name
    #[arg(long = "checkpoint-file", env = "VESTA_CHECKPOINT_FILE", value_name = "FILE", global = true)]
    pub checkpoint_file: Option<PathBuf>,

    /// A syslog receiver for the checkpoints alone
    #[arg(
        long = "checkpoint-syslog",
        env = "VESTA_CHECKPOINT_SYSLOG",
        value_name = "HOST:PORT",
        global = true
    )]
    pub checkpoint_syslog: Option<String>,
}

impl Forwarding {
    /// What is not safe about it.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (variable, url) in [("VESTA_FORWARD_WEBHOOK", &self.webhook), ("VESTA_FORWARD_OTLP", &self.otlp)]
        {
            let is_safe = |url: &String| {
                url.starts_with("https://")
                    || ["http://localhost:", "http://127.0.0.1:"].iter().any(|it| url.starts_with(it))
            };
            if url.as_ref().is_some_and(|it| !is_safe(it)) {
                complaints.push(format!("{variable} must be https://, or http:// on this machine"));
            }
        }
        let is_syslog = self.syslog.is_some() || self.checkpoint_syslog.is_some();
        if is_syslog && self.authorities.is_none() {
            complaints.push("VESTA_FORWARD_AUTHORITIES is missing: syslog goes over TLS".to_owned());
        }
        complaints
    }
}

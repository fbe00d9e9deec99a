//! The review of the trail: who is told, and what detectors must know.

use clap::Args;
use secrecy::SecretString;
use std::path::PathBuf;

/// The review of the trail. Each day is reviewed and each week reported; those who are named here are told.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Review of the trail")]
pub struct Review {
    /// An HTTPS address that takes findings and reports as JSON
    #[arg(
        id = "review_webhook",
        long = "review-webhook",
        env = "VESTA_REVIEW_WEBHOOK",
        value_name = "URL",
        global = true
    )]
    pub webhook: Option<String>,

    /// The bearer token for it
    #[arg(
        id = "review_webhook_token",
        long = "review-webhook-token",
        env = "VESTA_REVIEW_WEBHOOK_TOKEN",
        value_parser = super::secret,
        hide_env_values = true,
        value_name = "TOKEN",
        global = true
    )]
    pub webhook_token: Option<SecretString>,

    /// Who is told by mail, separated by commas
    #[arg(
        long = "review-mail-to",
        env = "VESTA_REVIEW_MAIL_TO",
        value_delimiter = ',',
        value_name = "ADDRESS",
        global = true
    )]
    pub mail_to: Vec<String>,

    /// Whom mails are from
    #[arg(long = "review-mail-from", env = "VESTA_REVIEW_MAIL_FROM", value_name = "ADDRESS", global = true)]
    pub mail_from: Option<String>,

    /// The mail server: smtps://host, or smtp://host, which must go over to TLS unless it is this machine
    #[arg(long = "review-mail-server", env = "VESTA_REVIEW_MAIL_SERVER", value_name = "URL", global = true)]
    pub mail_server: Option<String>,

    /// The user at the mail server
    #[arg(long = "review-mail-user", env = "VESTA_REVIEW_MAIL_USER", value_name = "NAME", global = true)]
    pub mail_user: Option<String>,

    /// The password at the mail server
    #[arg(
        long = "review-mail-password",
        env = "VESTA_REVIEW_MAIL_PASSWORD",
        value_parser = super::secret,
        hide_env_values = true,
        value_name = "PASSWORD",
        global = true
    )]
    pub mail_password: Option<SecretString>,

    /// The authorities that may have signed the certificates of webhook and mail server, PEM
    #[arg(
        id = "review_authorities",
        long = "review-authorities",
        env = "VESTA_REVIEW_AUTHORITIES",
        value_name = "FILE",
        global = true
    )]
    pub authorities: Option<PathBuf>,

    /// The time zone in which day and night are told, such as Europe/Berlin. Default: UTC
    #[arg(long = "review-time-zone", env = "VESTA_REVIEW_TIME_ZONE", value_name = "NAME", global = true)]
    pub time_zone: Option<String>,

    /// Where addresses are, for impossible travel: lines of NETWORK LATITUDE LONGITUDE
    #[arg(long = "review-places", env = "VESTA_REVIEW_PLACES", value_name = "FILE", global = true)]
    pub places: Option<PathBuf>,
}

impl Review {
    /// What is not safe about it.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let is_safe = |url: &String| {
            url.starts_with("https://")
                || ["http://localhost:", "http://127.0.0.1:"].iter().any(|it| url.starts_with(it))
        };
        if self.webhook.as_ref().is_some_and(|it| !is_safe(it)) {
            complaints.push("VESTA_REVIEW_WEBHOOK must be https://, or http:// on this machine".to_owned());
        }
        if !self.mail_to.is_empty() && (self.mail_from.is_none() || self.mail_server.is_none()) {
            complaints.push(
                "VESTA_REVIEW_MAIL_FROM and VESTA_REVIEW_MAIL_SERVER go with VESTA_REVIEW_MAIL_TO".to_owned(),
            );
        }
        complaints
    }
}

//! `vesta keys shred`, `hold` and `lift-hold`: what a privacy officer asks of a running server, with a token of their
//! own. The server decides, and the trail tells who it was: whoever has the machine alone may destroy nobody here.

use super::load::{self, Target};
use crate::config::Config;
use crate::crypto::key_file;
use crate::fhir::id::ResourceId;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Who is meant, why, and who asks.
#[derive(Args, Debug)]
pub(super) struct Asking {
    /// The id of the patient
    #[arg(long, value_name = "ID", value_parser = resource_id, required_unless_present = "everybody")]
    patient: Option<ResourceId>,
    /// The whole tenant
    #[arg(long, conflicts_with = "patient")]
    everybody: bool,
    /// Why: it is kept, sealed, in the trail
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The file of the officer's access token, readable by nobody else
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The FHIR base of the server. Default: that of dev mode
    #[arg(long = "url", value_name = "BASE")]
    base: Option<String>,
    /// The authorities that may have signed the server's certificate. Default: dev mode's own
    #[arg(long = "authorities", value_name = "FILE")]
    authorities: Option<PathBuf>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Shred,
    Hold,
    LiftHold,
}

impl Deed {
    fn operation(self) -> &'static str {
        match self {
            Deed::Shred => "$purge",
            Deed::Hold => "$legal-hold",
            Deed::LiftHold => "$lift-legal-hold",
        }
    }
}

pub(super) async fn run(config: &Config, deed: Deed, asking: &Asking) -> Result<()> {
    let token = key_file::read(&asking.token_file);
    let token = token.with_context(|| format!("cannot read {}", asking.token_file.display()))?;
    let server = load::server(config, &Target::of(asking.base.clone(), token, asking.authorities.clone()))?;
    let place = match &asking.patient {
        Some(id) => format!("{}/Patient/{id}/{}", server.base(), deed.operation()),
        None => format!("{}/{}", server.base(), deed.operation()),
    };
    let body = json!({
        "resourceType": "Parameters",
        "parameter": [{"name": "reason", "valueString": asking.reason}],
    });
    let body = body.to_string();
    let answer = server
        .send(|client| client.post(&place).header("content-type", "application/fhir+json").body(body.clone()))
        .await?;
    let status = answer.status();
    let outcome: Value = answer.json().await.unwrap_or_default();
    let said = outcome.pointer("/issue/0/diagnostics").and_then(Value::as_str);
    let said = said.unwrap_or("the server said nothing about it");
    match status.is_success() {
        true => println!("{said}"),
        false => bail!("{}: {said}", status.as_u16()),
    }
    Ok(())
}

fn resource_id(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).ok_or_else(|| "this is not an id".to_owned())
}

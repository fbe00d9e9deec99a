//! `vesta launch`: opens an app for a user, as an EHR would.

use super::operator::{self, told};
use crate::config::Config;
use crate::fhir::id::ResourceId;
use crate::smart::client;
use crate::smart::launch::{self, Launch};
use anyhow::{Context as _, Result};
use clap::Args;
use secrecy::ExposeSecret as _;

/// Who opens what, with what.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The app
    #[arg(long)]
    client: String,
    /// The user, by the name to sign in with; without one, whoever signs in
    #[arg(long)]
    user: Option<String>,
    /// The patient in context
    #[arg(long, value_name = "ID", value_parser = resource_id)]
    patient: Option<ResourceId>,
    /// The encounter in context
    #[arg(long, value_name = "ID", value_parser = resource_id)]
    encounter: Option<ResourceId>,
    /// What the app shall do
    #[arg(long)]
    intent: Option<String>,
}

pub(super) async fn run(config: &Config, arguments: Arguments) -> Result<()> {
    let request = operator::request(config).await?;
    let app = client::find(&request, &arguments.client).await.map_err(told)?;
    let app = app.context("there is no such client")?;
    let account = match &arguments.user {
        None => None,
        Some(user) => {
            let account = request.app.store.account_named(request.tenant, user).await?;
            Some(account.context("there is no such user")?.id.to_string())
        }
    };
    let launch = Launch {
        client: app.id.clone(),
        account,
        patient: arguments.patient.map(|it| it.as_str().to_owned()),
        encounter: arguments.encounter.map(|it| it.as_str().to_owned()),
        intent: arguments.intent,
        ..Launch::default()
    };
    let name = launch::begin(&request, &launch).await.map_err(told)?;
    println!("launch {}", name.expose_secret());
    if let Some(url) = launch::launch_url(&request, &app, name.expose_secret()) {
        println!("open {url}");
    }
    Ok(())
}

fn resource_id(text: &str) -> Result<ResourceId, String> {
    ResourceId::parse(text).ok_or_else(|| "this is not an id".to_owned())
}

//! `vesta fhirpath`: evaluates an expression on a resource, for people who write them.

use crate::clock::Clock;
use crate::conformance::definitions::Definitions;
use crate::conformance::validate::surroundings::Known;
use crate::fhir::json::{Json, Limits, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::xml;
use crate::fhirpath::value::{Element, Item, Value};
use crate::fhirpath::{Environment, Expression, Surroundings};
use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use std::io::Read as _;
use std::path::PathBuf;

/// The expression, and what it is evaluated on.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The expression
    #[arg(value_name = "EXPR")]
    expression: String,
    /// The resource, as JSON or XML; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also refuse names that no type has
    #[arg(long)]
    strict: bool,
}

/// Prints each item on a line: its type, and its JSON.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let expression = Expression::parse(&arguments.expression)?;
    let mut text = String::new();
    if arguments.file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(&arguments.file)
            .with_context(|| format!("{} cannot be read", arguments.file.display()))?;
    }
    let definitions = Definitions::embedded()?;
    let types = &definitions.types;
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
        text = xml::to_json(types, &text).map_err(|outcome| said(&outcome))?;
    }
    let json = Json::parse(text, &Limits::default())?;
    let focus =
        Item::of_resource(types, json.root()).ok_or_else(|| anyhow!("this is not a resource of R4"))?;
    if arguments.strict {
        expression.check(types, &json.root().string("resourceType").unwrap_or_default())?;
    }
    let now = Some(Clock::system().now());
    let known = Known::of(&definitions);
    let surroundings: Option<&dyn Surroundings> = Some(&known);
    let env = Environment { now, surroundings, ..Environment::of(types, focus.clone()) };
    for item in expression.evaluate(&env, focus)? {
        println!("{}\t{}", item.type_name(types), as_json(&item));
    }
    Ok(())
}

fn as_json(item: &Item<'_>) -> String {
    match item {
        Item::Element(Element { node: Some(node), .. }) => node.raw().to_owned(),
        Item::Element(Element { companion: Some(companion), .. }) => companion.raw().to_owned(),
        Item::Element(_) => "null".to_owned(),
        Item::Value(value @ (Value::Boolean(_) | Value::Integer(_) | Value::Decimal(_))) => value.to_text(),
        Item::Value(value) => quote(&value.to_text()),
    }
}

fn said(outcome: &Outcome) -> anyhow::Error {
    let issues = outcome.issues().iter().map(|it| format!("{} {}", it.expression.join(" "), it.diagnostics));
    anyhow!(issues.collect::<Vec<_>>().join("; "))
}

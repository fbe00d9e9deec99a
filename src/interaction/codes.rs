//! Validation with what the tenant knows of codes: its own value sets and code systems count like those of guides.
//!
//! Looked up only where a profile names a value set that no loaded guide has, or an invariant asks for one. Whether a
//! resource is legal does not depend on who sends it, so they are looked up for the server itself.

use super::context::Context;
use super::facts;
use super::request::Interaction;
use super::terminology::Shelf;
use crate::conformance::validate::answers::{self, Answers, Question};
use crate::conformance::validate::{Options, validate_asking};
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::terminology::expand::{Answer, Ready};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The types that say which codes there are.
const DEFINITIONS: [&str; 2] = ["CodeSystem", "ValueSet"];

/// Whether resources of that type say which codes there are.
pub(super) fn is_definition(resource_type: ResourceType) -> bool {
    DEFINITIONS.contains(&resource_type.name())
}

/// Whether an interaction may write what says which codes there are.
pub(super) fn may_define(interaction: &Interaction) -> bool {
    let is_named = |entry: Node<'_>| {
        let url = entry.get("request").and_then(|it| it.string("url").map(Cow::into_owned));
        url.is_some_and(|url| DEFINITIONS.iter().any(|name| url.contains(name)))
    };
    match interaction {
        Interaction::Bundle { bundle } => {
            bundle.root().get("entry").into_iter().flat_map(Node::items).any(is_named)
        }
        other => facts::written_type(other).is_some_and(is_definition),
    }
}

/// So often what was found may lead to further questions.
const ROUNDS: u32 = 4;

/// Everything that is wrong with a resource, and what is worth a warning.
pub(super) async fn validate(
    ctx: &Context,
    resource: &Resource,
    options: &Options<'_>,
) -> Result<Vec<Issue>, Outcome> {
    let mut answers = Answers::default();
    for _ in 0..ROUNDS {
        let issues = validate_asking(ctx.definitions(), resource, options, &answers);
        let asked = answers.take_asked();
        let is_all = asked.len() < answers::MOST;
        let is_told = find(ctx, asked, &mut answers).await?;
        // An answer that nobody can give is no other than none.
        if is_all && !is_told {
            return Ok(issues);
        }
    }
    Ok(validate_asking(ctx.definitions(), resource, options, &answers))
}

/// Looks these up: whether anything could be told of any of them.
async fn find(ctx: &Context, asked: BTreeSet<Question>, answers: &mut Answers) -> Result<bool, Outcome> {
    let mut is_told = false;
    let mut of_set: BTreeMap<String, Vec<(Option<String>, String)>> = BTreeMap::new();
    for question in asked {
        match question {
            Question::IsMember { value_set, system, code } => {
                of_set.entry(value_set).or_default().push((system, code));
            }
            Question::Subsumes { system, general, special } => {
                let found = known(subsumes(ctx, &system, (&general, &special)).await)?;
                is_told |= found.flatten().is_some();
                answers.learn(Question::Subsumes { system, general, special }, found.flatten());
            }
        }
    }
    for (value_set, codes) in of_set {
        let mut found = told_members(ctx, &value_set, &codes).await?.into_iter();
        for (system, code) in codes {
            let question = Question::IsMember { value_set: value_set.clone(), system, code };
            let answer = found.next().flatten();
            is_told |= answer.is_some();
            answers.learn(question, answer);
        }
    }
    Ok(is_told)
}

/// The same as [`members`]; nothing where there is no such value set, which is not looked for at every write.
async fn told_members(
    ctx: &Context,
    value_set: &str,
    codes: &[(Option<String>, String)],
) -> Result<Vec<Option<bool>>, Outcome> {
    let untold = &ctx.app.untold_sets;
    if untold.holds(ctx.tenant(), value_set) {
        return Ok(Vec::new());
    }
    let age = untold.age();
    let found = members(ctx, value_set, codes).await;
    if found.as_ref().is_err_and(|it| it.worst().is_some_and(|it| it.code == IssueType::NotFound)) {
        untold.keep(age, ctx.tenant(), value_set);
    }
    Ok(known(found)?.unwrap_or_default())
}

/// Whether each of these is in the value set.
async fn members(
    ctx: &Context,
    canonical: &str,
    codes: &[(Option<String>, String)],
) -> Result<Vec<Option<bool>>, Outcome> {
    let mut shelf = Shelf::of_server(ctx);
    shelf.asked = codes.iter().map(|(_, code)| code.clone()).collect();
    let value_set = shelf.value_set(canonical).await?;
    let ready = Ready::new(&shelf.library, &value_set)?;
    let in_system = |system: &str, code: &str| match ready.coding(system, None, code) {
        Answer::In(_) => Some(true),
        Answer::Out => Some(false),
        Answer::Unknown(_) => None,
    };
    let answer = |(system, code): &(Option<String>, String)| match system {
        Some(system) => in_system(system, code),
        None => {
            let found: Vec<Option<bool>> = ready.systems().iter().map(|it| in_system(it, code)).collect();
            match () {
                () if found.contains(&Some(true)) => Some(true),
                () if found.contains(&None) => None,
                () => Some(false),
            }
        }
    };
    Ok(codes.iter().map(answer).collect())
}

async fn subsumes(
    ctx: &Context,
    system: &str,
    (general, special): (&str, &str),
) -> Result<Option<bool>, Outcome> {
    let mut shelf = Shelf::of_server(ctx);
    shelf.asked = vec![general.to_owned(), special.to_owned()];
    let Some(system) = shelf.code_system(system).await? else { return Ok(None) };
    let (Some(general), Some(special)) = (system.place(general), system.place(special)) else {
        return Ok(None);
    };
    Ok(Some(general == special || system.above(special).contains(&general)))
}

/// What is not there, or cannot be told with what is there, refuses nothing.
fn known<T>(found: Result<T, Outcome>) -> Result<Option<T>, Outcome> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(outcome) => match outcome.worst().map(|it| it.code) {
            Some(
                IssueType::NotFound
                | IssueType::NotSupported
                | IssueType::TooCostly
                | IssueType::Invalid
                | IssueType::BusinessRule,
            ) => Ok(None),
            _ => Err(outcome),
        },
    }
}

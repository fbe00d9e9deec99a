//! Validation with what the tenant knows of codes: its own value sets and code systems count like those of guides.
//!
//! Looked up only where a profile names a value set that no loaded guide has, or an invariant asks for one. Whether a
//! resource is legal does not depend on who sends it, so they are looked up for the server itself.

use super::context::Context;
use super::terminology::Shelf;
use crate::conformance::validate::answers::{Answers, Question};
use crate::conformance::validate::{Options, validate_asking};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::resource::Resource;
use crate::terminology::expand::{Answer, Ready};
use std::collections::{BTreeMap, BTreeSet};

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
        if asked.is_empty() {
            return Ok(issues);
        }
        find(ctx, asked, &mut answers).await?;
    }
    Ok(validate_asking(ctx.definitions(), resource, options, &answers))
}

async fn find(ctx: &Context, asked: BTreeSet<Question>, answers: &mut Answers) -> Result<(), Outcome> {
    let mut of_set: BTreeMap<String, Vec<(Option<String>, String)>> = BTreeMap::new();
    for question in asked {
        match question {
            Question::IsMember { value_set, system, code } => {
                of_set.entry(value_set).or_default().push((system, code));
            }
            Question::Subsumes { system, general, special } => {
                let found = known(subsumes(ctx, &system, (&general, &special)).await)?;
                answers.learn(Question::Subsumes { system, general, special }, found.flatten());
            }
        }
    }
    for (value_set, codes) in of_set {
        let found = known(members(ctx, &value_set, &codes).await)?.unwrap_or_default();
        let mut found = found.into_iter();
        for (system, code) in codes {
            let question = Question::IsMember { value_set: value_set.clone(), system, code };
            answers.learn(question, found.next().flatten());
        }
    }
    Ok(())
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

//! `$subsumes`: which of two codes stands above the other.
//!
//! <https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>

use super::given::{self, Given, coding, part};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::{Shelf, instance};
use crate::terminology::code_system::CodeSystem;
use crate::terminology::expand::unknown_system;
use crate::terminology::library::canonical;
use crate::terminology::validate_code::Coding;
use std::sync::Arc;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$subsumes is asked on CodeSystem"));
    };
    let mut shelf = Shelf::open(ctx, resource_type)?;
    let given = Given::of(operation);
    let (first, second) = (side(&given, "A")?, side(&given, "B")?);
    shelf.asked = vec![first.code.clone(), second.code.clone()];
    let system = match &operation.id {
        Some(id) => {
            CodeSystem::read(instance(ctx, &mut shelf.trail, (resource_type, id)).await?.root()).map(Arc::new)
        }
        None => {
            let url = given.text("system").or_else(|| first.system.clone());
            let url = url.ok_or_else(|| Outcome::required("the system is required").at("system"))?;
            let wanted = canonical(&url, given.text("version").or_else(|| first.version.clone()).as_deref());
            Some(shelf.code_system(&wanted).await?.ok_or_else(|| unknown_system(&wanted))?)
        }
    };
    let system = system.ok_or_else(|| Outcome::business_rule("the code system has no url"))?;
    if [&first, &second].iter().any(|it| it.system.as_ref().is_some_and(|it| *it != system.url)) {
        return Err(Outcome::invalid("both codes must be of the code system"));
    }
    let place = |coding: &Coding, name: &str| {
        system.place(&coding.code).ok_or_else(|| {
            let message = format!("there is no code {} in {}", coding.code, system.url);
            Outcome::from(Issue::error(IssueType::NotFound, message).at(name))
        })
    };
    let (one, other) = (place(&first, "codeA")?, place(&second, "codeB")?);
    let outcome = match () {
        () if one == other => "equivalent",
        () if system.below(one).contains(&other) => "subsumes",
        () if system.above(one).contains(&other) => "subsumed-by",
        () => "not-subsumed",
    };
    let body = given::parameters(&[part("outcome", "Code", outcome)]);
    Ok(Done { response: Response::ok(body), trail: Some(shelf.trail) })
}

fn side(given: &Given<'_>, name: &str) -> Result<Coding, Outcome> {
    match given.object(&format!("coding{name}")) {
        Some(it) => Ok(coding(it)),
        None => Ok(Coding { code: given.required(&format!("code{name}"))?, ..Coding::default() }),
    }
}

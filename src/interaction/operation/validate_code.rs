//! `$validate-code` on CodeSystem and ValueSet: whether a code is one of theirs.
//!
//! <https://hl7.org/fhir/R4/valueset-operation-validate-code.html>,
//! <https://hl7.org/fhir/R4/codesystem-operation-validate-code.html>

use super::given::{self, Given, part};
use crate::fhir::outcome::Outcome;
use crate::interaction::context::Context;
use crate::interaction::record::Done;
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::terminology::{Shelf, instance};
use crate::terminology::code_system::CodeSystem;
use crate::terminology::expand::{Ready, unknown_system};
use crate::terminology::is_code_of;
use crate::terminology::library::canonical;
use crate::terminology::validate_code::{Coding, Verdict, in_code_system, in_value_set};
use crate::terminology::value_set::ValueSet;
use std::sync::Arc;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let Some(resource_type) = operation.resource_type else {
        return Err(Outcome::not_supported("$validate-code is asked on CodeSystem or ValueSet"));
    };
    let mut shelf = Shelf::open(ctx, resource_type)?;
    let given = Given::of(operation);
    shelf.asked = given.codings("system")?.into_iter().map(|it| it.code).collect();
    let verdict = match resource_type.name() {
        "CodeSystem" => of_code_system(&mut shelf, ctx, operation, &given).await?,
        _ => of_value_set(&mut shelf, ctx, operation, &given).await?,
    };
    Ok(Done { response: Response::ok(answer(&verdict)), trail: Some(shelf.trail) })
}

async fn of_code_system(
    shelf: &mut Shelf<'_>,
    ctx: &Context,
    operation: &Operation,
    given: &Given<'_>,
) -> Result<Verdict, Outcome> {
    let language = given.text("displayLanguage");
    let own = match (operation.resource_type, &operation.id) {
        (Some(it), Some(id)) => CodeSystem::read(instance(ctx, &mut shelf.trail, (it, id)).await?.root()),
        _ => given.resource("codeSystem", "CodeSystem").and_then(CodeSystem::read),
    };
    let codings = given.codings("url")?;
    let url = given.text("url").or_else(|| given.text("system"));
    let mut verdicts = Vec::new();
    for coding in &codings {
        let system = match (&own, coding.system.as_ref().or(url.as_ref())) {
            (Some(own), _) => Arc::new(own.clone()),
            (None, None) => return Err(Outcome::required("the url of a code system is required").at("url")),
            (None, Some(url)) => {
                let version = coding.version.clone().or_else(|| given.text("version"));
                let wanted = canonical(url, version.as_deref());
                match (shelf.code_system(&wanted).await?, is_code_of(url, &coding.code)) {
                    (Some(system), _) => system,
                    (None, None) => return Err(unknown_system(&wanted)),
                    (None, Some(is_valid)) => {
                        let message =
                            (!is_valid).then(|| format!("there is no code {} in {url}", coding.code));
                        verdicts.push(Verdict { is_valid, message, ..Verdict::default() });
                        continue;
                    }
                }
            }
        };
        if coding.system.as_ref().is_some_and(|it| *it != system.url) {
            let message = Some(format!("the coding is not of {}", system.url));
            verdicts.push(Verdict { message, ..Verdict::default() });
            continue;
        }
        verdicts.push(in_code_system(&system, coding, language.as_deref()));
    }
    Ok(best(verdicts))
}

async fn of_value_set(
    shelf: &mut Shelf<'_>,
    ctx: &Context,
    operation: &Operation,
    given: &Given<'_>,
) -> Result<Verdict, Outcome> {
    let value_set = value_set(shelf, ctx, operation, given).await?;
    let language = given.text("displayLanguage");
    let codings: Vec<Coding> = given.codings("system")?;
    for system in codings.iter().filter_map(|it| it.system.as_deref()) {
        // To say of a code that is not in the set whether it is one at all.
        shelf.code_system(system).await?;
    }
    let ready = Ready::new(&shelf.library, &value_set)?;
    let name = value_set.canonical();
    let verdicts =
        codings.iter().map(|it| in_value_set(&shelf.library, &ready, (&name, it), language.as_deref()));
    Ok(best(verdicts.collect()))
}

/// The value set that an operation is about, with everything that it is made of.
pub(super) async fn value_set(
    shelf: &mut Shelf<'_>,
    ctx: &Context,
    operation: &Operation,
    given: &Given<'_>,
) -> Result<Arc<ValueSet>, Outcome> {
    let inline = match (operation.resource_type, &operation.id) {
        (Some(it), Some(id)) => Some(ValueSet::read(instance(ctx, &mut shelf.trail, (it, id)).await?.root())),
        _ => given.resource("valueSet", "ValueSet").map(ValueSet::read),
    };
    if let Some(value_set) = inline {
        shelf.complete(&value_set).await?;
        return Ok(Arc::new(value_set));
    }
    let Some(url) = given.text("url") else {
        return Err(
            Outcome::required("the url of a value set, or the value set itself, is required").at("url")
        );
    };
    let version = given.text("valueSetVersion").filter(|_| !url.contains('|'));
    shelf.value_set(&canonical(&url, version.as_deref())).await
}

/// Of the codings of a concept one must be right: <https://hl7.org/fhir/R4/terminologies.html#codeableconcept>
fn best(verdicts: Vec<Verdict>) -> Verdict {
    let right = verdicts.iter().position(|it| it.is_valid);
    verdicts.into_iter().nth(right.unwrap_or(0)).unwrap_or_default()
}

fn answer(verdict: &Verdict) -> String {
    let mut out = vec![part("result", "Boolean", verdict.is_valid)];
    let mut put = |name: &str, kind: &str, value: &Option<String>| {
        out.extend(value.as_deref().map(|it| part(name, kind, it)));
    };
    put("message", "String", &verdict.message);
    put("display", "String", &verdict.display);
    put("code", "Code", &verdict.code);
    put("system", "Uri", &verdict.system);
    put("version", "String", &verdict.version);
    if verdict.is_inactive {
        out.push(part("inactive", "Boolean", true));
    }
    given::parameters(&out)
}

//! `Patient/$member-match`: the one patient here who is another payer's member.
//!
//! <https://hl7.org/fhir/us/davinci-hrex/STU1/OperationDefinition-member-match.html>
//!
//! Names and birth date must agree, and the coverage to match must be one of the patient's. Who matches nobody, or
//! more than one, learns no more than that.

use crate::access::scope::Permission;
use crate::fhir::id::ResourceType;
use crate::fhir::json::{Json, Limits, Node, quote};
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::Response;
use crate::interaction::{permission, redact};
use crate::search::plan::plan;
use crate::store::resources::Stored;

/// So many who have the same name and birthday are looked at.
const MOST: u32 = 20;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let (Some(patients), Some(coverages)) = (ResourceType::parse("Patient"), ResourceType::parse("Coverage"))
    else {
        return Err(Outcome::exception("R4 has both types"));
    };
    let permit = permission::ask(ctx, Permission::Search, &[patients, coverages])?;
    let body = operation.body.as_ref().ok_or_else(|| required("MemberPatient"))?;
    let member = resource(body, "MemberPatient", "Patient")?;
    let coverage = resource(body, "CoverageToMatch", "Coverage")?;
    let name = member.get("name").into_iter().flat_map(Node::items).next();
    let family =
        name.and_then(|it| it.string("family")).ok_or_else(|| required("MemberPatient.name.family"))?;
    let born = member.string("birthDate").ok_or_else(|| required("MemberPatient.birthDate"))?;
    let mut criteria =
        vec![("family:exact".to_owned(), escaped(&family)), ("birthdate".to_owned(), born.into_owned())];
    let given = name.and_then(|it| it.get("given")).into_iter().flat_map(Node::items).next();
    if let Some(given) = given.and_then(|it| it.as_str().map(|it| escaped(&it))) {
        criteria.push(("given".to_owned(), given));
    }
    if let Some(gender) = member.string("gender") {
        criteria.push(("gender".to_owned(), escaped(&gender)));
    }
    let wanted = identities(coverage);
    if wanted.is_empty() {
        return Err(required("CoverageToMatch.identifier or subscriberId"));
    }
    let mut trail = Trail::under(&permit);
    let mut matching = Vec::new();
    for candidate in search(ctx, &permit, patients, &criteria).await? {
        let of_patient = [("beneficiary".to_owned(), format!("Patient/{}", candidate.id))];
        let theirs = search(ctx, &permit, coverages, &of_patient).await?;
        let has = theirs.iter().any(|it| {
            let json = Json::parse(it.text.clone(), &Limits::ACCEPTED);
            json.is_ok_and(|it| identities(it.root()).iter().any(|it| wanted.contains(it)))
        });
        trail.add(ctx, &candidate);
        if has {
            matching.push(candidate);
        }
    }
    let mut matching = matching.into_iter();
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(Done { response: Response::ok(answer(&only)?), trail: Some(trail) }),
        _ => Err(Outcome::business_rule("no member, or more than one, matches")),
    }
}

async fn search(
    ctx: &Context,
    permit: &crate::access::permit::Permit,
    of: ResourceType,
    criteria: &[(String, String)],
) -> Result<Vec<Stored>, Outcome> {
    let base = ctx.app.fhir_base();
    let (mut query, _) = plan(&ctx.setting(&base), &[of], criteria)?;
    query.count = MOST;
    let page =
        ctx.app.store.search(ctx.tenant(), &redact::asked(ctx, permit, &query)?, ctx.verifier()).await?;
    page.matches.into_iter().map(|it| redact::shown(ctx, permit, it)).collect()
}

/// A resource among the parameters.
fn resource<'a>(body: &'a Resource, name: &str, of: &str) -> Result<Node<'a>, Outcome> {
    let mut parameters = body.root().get("parameter").into_iter().flat_map(Node::items);
    let found =
        parameters.find(|it| it.string("name").as_deref() == Some(name)).and_then(|it| it.get("resource"));
    found.filter(|it| it.string("resourceType").as_deref() == Some(of)).ok_or_else(|| required(name))
}

/// What a coverage is known by.
fn identities(coverage: Node<'_>) -> Vec<(String, String)> {
    let identifiers = coverage.get("identifier").into_iter().flat_map(Node::items).filter_map(|it| {
        let system = it.string("system").unwrap_or_default().into_owned();
        Some((system, it.string("value")?.into_owned()))
    });
    let subscriber = coverage.string("subscriberId").map(|it| ("subscriber".to_owned(), it.into_owned()));
    identifiers.chain(subscriber).collect()
}

fn answer(patient: &Stored) -> Result<String, Outcome> {
    let json = Json::parse(patient.text.clone(), &Limits::ACCEPTED)?;
    let is_member = |it: &Node<'_>| {
        let codings = it.get("type").and_then(|it| it.get("coding")).into_iter().flat_map(Node::items);
        codings.into_iter().any(|it| it.string("code").as_deref() == Some("MB"))
    };
    let identifiers: Vec<Node<'_>> =
        json.root().get("identifier").into_iter().flat_map(Node::items).collect();
    let identifier = identifiers.iter().find(|it| is_member(it)).or(identifiers.first());
    let identifier =
        identifier.map(|it| format!("{{\"name\":\"MemberIdentifier\",\"valueIdentifier\":{}}},", it.raw()));
    let reference = quote(&format!("Patient/{}", patient.id));
    Ok(format!(
        "{{\"resourceType\":\"Parameters\",\"parameter\":[{}{{\"name\":\"MemberId\",\
         \"valueReference\":{{\"reference\":{reference}}}}}]}}",
        identifier.unwrap_or_default()
    ))
}

/// A value as a search takes it.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        if matches!(letter, ',' | '|' | '$' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn required(what: &str) -> Outcome {
    Outcome::required(format!("{what} is required")).at(what)
}

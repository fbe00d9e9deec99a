//! `$reindex`: makes the index rows of what is stored anew, and tells how that stands.
//!
//! Of one resource it is done at once. Of a type, or of everything, it is a job that goes on after the answer
//! and survives the server; asked again with the parameter `job` it tells how far that is. While a search
//! parameter is being built the answer names it. Nothing of any resource is told.

use super::inputs;
use crate::access::scope::Permission;
use crate::fhir::id::{ResourceId, ResourceType};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use crate::interaction::context::Context;
use crate::interaction::permission;
use crate::interaction::record::{Done, Trail};
use crate::interaction::request::Operation;
use crate::interaction::response::{Response, Status};
use crate::search::extract;
use crate::store::jobs::{JobState, NewJob};
use crate::store::reindex::{KIND, Reindexed, Walk, Walked};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) async fn run(ctx: &Context, operation: &Operation) -> Result<Done, Outcome> {
    let types: Vec<ResourceType> = operation.resource_type.into_iter().collect();
    let permit = permission::ask_operator(ctx, Permission::Update, &types)?;
    let mut trail = Trail::under(&permit);
    let job = inputs(operation).into_iter().find(|(name, _)| name == "job").map(|(_, value)| value);
    let (status, answer) = match (job, operation.resource_type, &operation.id) {
        (Some(job), ..) => (Status::Ok, told(ctx, &job).await?),
        (None, Some(of), Some(id)) => {
            let narrowing = permit.narrowing().of(of);
            let stored = ctx.app.store.read(ctx.tenant(), of, id, narrowing, permit.classes()).await?;
            let Some(stored) = stored.filter(|it| !it.is_deleted()) else { return Err(Outcome::not_found()) };
            trail.add(ctx, &stored);
            (Status::Ok, one(ctx, of, id).await?)
        }
        (None, ..) => {
            let types: Vec<String> = types.iter().map(ToString::to_string).collect();
            (Status::Accepted, begin(ctx, types).await?)
        }
    };
    let body = json!({"resourceType": "Parameters", "parameter": answer}).to_string();
    Ok(Done { response: Response { status, ..Response::ok(body) }, trail: Some(trail) })
}

/// One resource, at once; again where somebody changed it meanwhile.
async fn one(ctx: &Context, of: ResourceType, id: &ResourceId) -> Result<Vec<Value>, Outcome> {
    for _ in 0..3 {
        let row = ctx.app.store.row_of(ctx.tenant(), of, id).await?;
        let Some((row, stored)) = row else { return Err(Outcome::not_found()) };
        let resource = Resource::parse(stored.text, &Limits::ACCEPTED)?;
        let index = extract::index(ctx.definitions(), &ctx.app.fhir_base(), &resource);
        let reindexed = Reindexed { row, id: stored.id, version: stored.version, index };
        if ctx.app.store.replace_index(ctx.tenant(), of, &[reindexed]).await? == 1 {
            return Ok(vec![
                json!({"name": "state", "valueCode": "done"}),
                json!({"name": "done", "valueInteger": 1}),
            ]);
        }
    }
    Err(Outcome::conflict("others keep changing the resource, try again"))
}

async fn begin(ctx: &Context, types: Vec<String>) -> Result<Vec<Value>, Outcome> {
    let lock = format!("types {}", types.join(" "));
    let walk = Walk { types, ..Walk::default() };
    let parameters = serde_json::to_vec(&walk).map_err(Outcome::exception)?;
    let job = NewJob { kind: KIND, lock: Some(&lock), parameters: &parameters, due: ctx.deed_time() };
    match ctx.app.store.enqueue(ctx.tenant(), job).await? {
        Some(id) => told(ctx, &id.to_string()).await,
        None => Err(Outcome::conflict("this is being reindexed already")),
    }
}

async fn told(ctx: &Context, job: &str) -> Result<Vec<Value>, Outcome> {
    let id = Uuid::try_parse(job).map_err(|_| Outcome::value("job is the id of a job").at("job"))?;
    let job = ctx.app.store.job(ctx.tenant(), id).await?.filter(|it| it.kind == KIND);
    let job = job.ok_or_else(Outcome::not_found)?;
    let walked: Walked = serde_json::from_slice(&job.progress).unwrap_or_default();
    let state = match job.state {
        JobState::Waiting => "waiting",
        JobState::Running => "running",
        JobState::Done => "done",
        JobState::Failed => "failed",
        JobState::Cancelled => "cancelled",
    };
    let mut answer = vec![
        json!({"name": "job", "valueString": id.to_string()}),
        json!({"name": "state", "valueCode": state}),
        json!({"name": "done", "valueDecimal": walked.done}),
        json!({"name": "skipped", "valueDecimal": walked.skipped}),
    ];
    answer.extend(walked.types.get(walked.place).map(|it| json!({"name": "type", "valueCode": it})));
    answer.extend(job.problem.map(|it| json!({"name": "problem", "valueString": it})));
    let building = ctx.definitions().added_parameters().into_iter().filter(|it| it.is_building);
    answer.extend(
        building.map(
            |it| json!({"name": "building", "valueString": format!("{}.{}", it.resource_type, it.code)}),
        ),
    );
    Ok(answer)
}

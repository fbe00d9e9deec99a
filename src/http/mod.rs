//! The edge: bytes in, bytes out. actix-web lives here and nowhere else.

pub mod routes;
pub mod server;
pub mod tls;

mod health;

//! The edge, over a real connection.

mod body;
mod exchange;
mod limits;
mod malformed;
mod tls;
mod unauthorized;

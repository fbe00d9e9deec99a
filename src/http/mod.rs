//! The edge: bytes in, bytes out. actix-web lives here and nowhere else.
//!
//! [`routes`] lists every endpoint. [`exchange`] is the way that every request takes: its id, the guard of
//! its endpoint, the endpoint itself, then the headers, the measure and the log line of the answer. `extract`
//! turns what was sent into parsed values, `respond` turns results into answers, and the files named for a
//! surface (`fhir`, `binary`, `health`) stand between: each function there is one endpoint, and does no more
//! than to build an [`Interaction`](crate::interaction::request::Interaction) and to pass it to the door.

mod route_table;
pub mod routes;
pub mod server;
pub mod tls;

mod edge;
mod exchange;

mod admin;
mod binary;
mod bulk;
mod fhir;
mod health;
mod import;
mod pages;
mod smart;
mod views;

mod extract;
mod middleware;
mod respond;

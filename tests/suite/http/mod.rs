//! The edge, over a real connection.

mod body;
mod exchange;
mod limits;
mod malformed;
mod rest;
mod tenants;
mod tls;
mod trail;
mod unauthorized;
mod xml;

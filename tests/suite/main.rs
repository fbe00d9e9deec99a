//! The integration tests: one binary, one module per room.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "clippy does not see helpers of tests as tests, and a test fails by panicking"
)]

mod acceptance;
mod access;
mod architecture;
mod audit;
mod bulk;
mod clients;
mod compliance;
mod deidentify;
mod demo;
mod drill;
mod fhir;
mod fhirpath;
mod http;
mod jobs;
mod keys;
mod leak;
mod load;
mod mutation;
mod official;
mod packages;
mod search;
mod smart;
mod store;
mod support;
mod views;

//! Vesta: a FHIR R4 data server and SMART authorization server in one program on PostgreSQL.

pub mod access;
pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod conformance;
pub mod crypto;
pub mod demo;
pub mod embedded_postgres;
pub mod fhir;
pub mod fhirpath;
pub mod http;
pub mod interaction;
pub mod load;
pub mod search;
pub mod smart;
pub mod store;
pub mod telemetry;
pub mod terminology;

//! Vesta: a FHIR R4 data server and SMART authorization server in one program on PostgreSQL.

pub mod cli;
pub mod clock;
pub mod config;
pub mod telemetry;

pub mod access;
pub mod fhir;
pub mod interaction;

pub mod embedded_postgres;
pub mod http;

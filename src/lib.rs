//! Vesta: a FHIR R4 data server and SMART authorization server in one program on PostgreSQL.

pub mod access;
pub mod fhir;
pub mod interaction;

//! Analysts' views: a ViewDefinition makes rows of resources.
//!
//! <https://sql-on-fhir.org/ig/latest/StructureDefinition-ViewDefinition.html>
//!
//! [`definition`] compiles one, [`rows`] runs it over a resource, [`writing`] writes the rows as JSON, NDJSON, CSV or
//! Parquet. Nothing here reads a resource from anywhere: whoever runs a view brings what may be seen.

pub mod cell;
pub mod definition;
pub mod rows;
pub mod standard;
pub mod writing;

mod parquet;

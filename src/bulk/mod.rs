//! Bulk data: the workers that make the files of an export, and take them away again; and those that
//! read the lines of an import.
//!
//! <https://hl7.org/fhir/uv/bulkdata/export.html>
//!
//! A worker is just another caller of the door: it reads through `interaction::export::read`, page by page, on
//! behalf of whoever asked. What it reads goes through [`transform`] and into sealed files. A file that is whole is
//! reported; after that it is not made again, and what was not reported is: so an export that was interrupted is
//! complete in the end, and holds nothing twice.

pub mod expiry;
pub mod export;
pub mod import;

mod part;
mod plan;
mod records;
mod transform;
mod view_rows;

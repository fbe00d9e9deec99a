//! The question: from a query string to a predicate, from a resource to what it can be found by.
//!
//! <https://hl7.org/fhir/R4/search.html>
//!
//! Pure functions. The store compiles a [`query::Query`] to SQL and an [`index::Index`] to rows;
//! both meet in the vocabulary of [`predicate`] and [`index`].

pub mod criterion;
pub mod custom;
pub mod extract;
pub mod include;
pub mod index;
mod normal;
mod number;
pub mod page;
mod parameters;
pub mod plan;
pub mod predicate;
pub mod query;
pub mod range;
pub mod references;
mod sealed_date;
pub mod sort;
pub mod verify;
mod walk;

//! Who may do what: a pure decision with its reason.
//!
//! Reading order: who asks (`principal`) and what they were granted (`scope`), how far a grant reaches
//! (`reach`, `granular`), what it comes to (`narrowing`), the decision, and what it lets through (`permit`).

pub mod principal;
pub mod scope;

mod granular;
mod narrowing;
mod reach;

pub mod decide;
pub mod explain;
pub mod permit;

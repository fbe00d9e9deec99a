//! Who may do what: a pure decision with its reason.
//!
//! Reading order: who asks (`principal`) and what they were granted (`scope`), how far a grant reaches
//! (`reach`, `granular`); what is known of them (`facts`): their position (`role`), why they ask (`purpose`), what
//! patients say (`consent`), what is sensitive (`labels`); what it all comes to (`restriction`, `narrowing`), the
//! decision, and what it lets through (`permit`). Beside it, who may administer accounts (`administration`).

pub mod principal;
pub mod scope;

mod granular;
pub mod reach;

pub mod consent;
pub mod facts;
pub mod labels;
pub mod purpose;
pub mod role;

mod narrowing;
mod restriction;

pub mod administration;
pub mod decide;
pub mod explain;
pub mod permit;

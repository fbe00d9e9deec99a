//! Who may do what: a pure decision with its reason.

pub mod principal;
pub mod scope;

//! Who may do what: a pure decision with its reason.

pub mod decide;
pub mod permit;
pub mod principal;
pub mod scope;

//! What the tests stand on.

pub mod data;
pub mod database;
pub mod program;
pub mod server;

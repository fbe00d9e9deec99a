//! The `vesta` program.

fn main() {}

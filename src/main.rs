//! The `vesta` program.

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    vesta::cli::run(vesta::cli::Arguments::parse())
}

//! Fuzzing: every parser, for a while. See `README.md` beside this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs,
    reason = "it is a test, and a test fails by panicking"
)]

mod mutation;
mod targets;

use mutation::{Random, input};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use targets::{Ground, TARGETS, Target};

/// No input may take longer than this, in a debug build.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let setting = |name: &str| std::env::var(name).ok().and_then(|it| it.parse::<u64>().ok());
    let time = Duration::from_millis(setting("VESTA_FUZZ_SECONDS").map_or(1500, |it| it * 1000));
    let seed = setting("VESTA_FUZZ_SEED");
    let only = std::env::args().nth(1).filter(|it| !it.starts_with('-'));
    let chosen = TARGETS.iter().filter(|it| only.as_deref().is_none_or(|only| it.name.contains(only)));
    let ground = Ground::new();
    let found = Mutex::new(0);
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for target in chosen {
            let (ground, found) = (&ground, &found);
            // A deep input must be refused by a limit, not by the end of a large stack.
            let thread = std::thread::Builder::new().stack_size(2 << 20);
            let run = move || *found.lock().unwrap() += fuzz(ground, target, time, seed);
            thread.spawn_scoped(scope, run).unwrap().join().unwrap();
        }
    });
    if *found.lock().unwrap() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Feeds one parser, and says how many inputs broke it.
fn fuzz(ground: &Ground, target: &Target, time: Duration, seed: Option<u64>) -> usize {
    let seeds: Vec<Vec<u8>> = target.seeds.iter().map(|it| it.as_bytes().to_vec()).collect();
    let seed = seed.unwrap_or_else(|| {
        std::time::UNIX_EPOCH.elapsed().map_or(1, |it| u64::try_from(it.as_nanos()).unwrap_or(1))
    });
    let mut random = Random::new(seed);
    let (begun, mut inputs, mut broken) = (Instant::now(), 0_u64, 0);
    let mut slowest = Duration::ZERO;
    for known in &seeds {
        broken += usize::from(!survives(ground, target, known));
    }
    while begun.elapsed() < time && broken < 5 {
        let bytes = input(&mut random, &seeds);
        let start = Instant::now();
        broken += usize::from(!survives(ground, target, &bytes));
        let took = start.elapsed();
        slowest = slowest.max(took);
        if took > PATIENCE {
            println!("{}: {} ms for {:?}", target.name, took.as_millis(), String::from_utf8_lossy(&bytes));
            broken += 1;
        }
        inputs += 1;
    }
    println!(
        "fuzz {:<9} {inputs:>8} inputs, seed {seed}, slowest {} ms, {broken} broke it",
        target.name,
        slowest.as_millis()
    );
    broken
}

fn survives(ground: &Ground, target: &Target, bytes: &[u8]) -> bool {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(ground, bytes))) else { return true };
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default();
    println!("{}: {said}\n  input {:?}", target.name, String::from_utf8_lossy(bytes));
    false
}

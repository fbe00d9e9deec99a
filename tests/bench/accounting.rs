//! What processes took, by the system's own accounting: `/proc`.

use std::collections::HashMap;
use std::fs;

/// The ticks of a second in `/proc`: fixed in Linux's interface.
const TICKS: f64 = 100.0;

/// A process, or a process and all that it started.
#[derive(Clone, Copy, Debug)]
pub enum Account {
    /// Nobody: everything is nothing.
    None,
    /// That process alone.
    Process(u32),
    /// That process, its children and theirs.
    Tree(u32),
}

impl Account {
    /// CPU seconds since it began; of children that ended, too.
    pub fn cpu_seconds(self) -> f64 {
        self.processes().iter().filter_map(|pid| ticks(*pid, matches!(self, Account::Tree(_)))).sum::<f64>()
            / TICKS
    }

    /// Memory in use, in MB: what several share is divided among them.
    pub fn memory_megabytes(self) -> f64 {
        let proportional = |pid: &u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find(|line| line.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        };
        self.processes().iter().filter_map(proportional).sum::<f64>() / 1024.0
    }

    fn processes(self) -> Vec<u32> {
        let (Account::Process(first) | Account::Tree(first)) = self else { return Vec::new() };
        let mut found = vec![first];
        if let Account::Tree(_) = self {
            let parents = parents();
            let mut at = 0;
            while let Some(parent) = found.get(at).copied() {
                found.extend(parents.iter().filter(|(_, it)| **it == parent).map(|(pid, _)| *pid));
                at += 1;
            }
        }
        found
    }
}

/// User and system time; with that of children that were waited for, if asked.
fn ticks(pid: u32, with_ended: bool) -> Option<f64> {
    let fields = stat(pid)?;
    let last = if with_ended { 15 } else { 13 };
    // Counted after the name: field 14 of proc(5) is the twelfth here.
    Some((11..last).filter_map(|at| fields.get(at)?.parse::<f64>().ok()).sum())
}

fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?))).collect()
}

/// The fields of `/proc/…/stat` after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

//! What is printed.

use crate::closed_loop::Measured;
use crate::floor::Floor;
use std::fmt::Write;

/// One operation, measured.
pub struct Row {
    pub name: &'static str,
    pub measured: Measured,
    pub floor: Option<Floor>,
}

/// The table: an operation in a line, CPU in milliseconds an operation.
pub fn render(rows: &[Row]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<32} {:>7} {:>9} {:>8} {:>8} | {:>8} {:>8} | {:>9} {:>8} | {:>6} {:>6}",
        "operation",
        "count",
        "a second",
        "p50 ms",
        "p99 ms",
        "server",
        "database",
        "floor/s",
        "floor",
        "speed",
        "CPU"
    );
    for Row { name, measured, floor } in rows {
        let Measured {
            count, per_second, p50_milliseconds, p99_milliseconds, server_cpu, database_cpu, ..
        } = measured;
        let _ = write!(
            out,
            "{name:<32} {count:>7} {per_second:>9.0} {p50_milliseconds:>8.2} {p99_milliseconds:>8.2} | {server_cpu:>8.3} {database_cpu:>8.3} |"
        );
        match floor {
            None => {
                let _ = writeln!(out, " {:>9} {:>8} | {:>6} {:>6}", "-", "-", "-", "-");
            }
            Some(Floor { measured: floor, .. }) => {
                let slower = floor.per_second / per_second.max(f64::MIN_POSITIVE);
                let dearer = (server_cpu + database_cpu) / floor.database_cpu.max(f64::MIN_POSITIVE);
                let _ = writeln!(
                    out,
                    " {:>9.0} {:>8.3} | {slower:>5.1}x {dearer:>5.1}x",
                    floor.per_second, floor.database_cpu
                );
            }
        }
        if measured.resources > 1 {
            let each = |it: f64| it / measured.resources as f64;
            let _ = writeln!(
                out,
                "{:<32} {:>7} {:>9.0} {:>8} {:>8} | {:>8.3} {:>8.3} |",
                "  a resource of it",
                count * measured.resources,
                per_second * measured.resources as f64,
                "",
                "",
                each(*server_cpu),
                each(*database_cpu)
            );
        }
        if measured.failed > 0 {
            let _ = writeln!(out, "  {} failed: {}", measured.failed, measured.failure);
        }
    }
    out
}

//! Whether there are backups, and whether one of them was restored.

use super::{DAY, Judgement, fails, holds, known, manual};
use crate::compliance::facts::Facts;
use crate::fhir::date_time::instant;

/// A restore is proved every quarter.
const DRILL: i64 = 92 * DAY;
/// A backup is made every day, or nearly.
const BACKUP: i64 = 2 * DAY;

pub(super) fn restore_drill(facts: &Facts) -> Judgement {
    let next = "restore one where nobody needs it: vesta backup drill";
    known(&facts.drilled, |drilled| {
        let Some(drilled) = drilled else { return fails("no backup was ever restored", next) };
        let evidence = format!(
            "a backup of {} was restored {}: {} rows in {} s, {} s behind",
            minute(drilled.taken),
            minute(drilled.at),
            drilled.rows,
            drilled.took / 1_000_000,
            drilled.behind / 1_000_000
        );
        if !drilled.is_whole {
            return fails(format!("{evidence}, and was not whole"), next);
        }
        if facts.now - drilled.at > DRILL {
            return fails(evidence, next);
        }
        known(&facts.backed_up, |last| match last {
            Some(last) if facts.now - last.at <= BACKUP => {
                holds(format!("{evidence}; the last backup was made {}", minute(last.at)))
            }
            _ => manual(
                format!("{evidence}; no backup was made with this program for two days"),
                "make one every day (vesta backup make), or point to what else backs the database up",
            ),
        })
    })
}

fn minute(microseconds: i64) -> String {
    instant(microseconds).chars().take(16).collect()
}

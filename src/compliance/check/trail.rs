//! The checks of the trail: its chain, its sealer, its receivers, its months.

use super::{Facts, Judgement, MINUTE, fails, holds, known, listed, manual};
use crate::audit::health::Health;
use crate::fhir::date_time::instant;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) fn trail_chain(facts: &Facts) -> Judgement {
    known(&facts.chain, |report| match report.faults.first() {
        Some(first) => fails(
            format!("the trail is not whole: {} faults, the first: {first}", report.fault_count),
            "keep a copy of the database as it is, compare with checkpoints kept elsewhere (vesta audit verify --witness)",
        ),
        None => holds(format!(
            "the chain is whole up to event {}, {} checkpoints agree and cover {} events; {} wait for the chain",
            report.head.count, report.checkpoints, report.signed, report.waiting
        )),
    })
}

pub(super) fn trail_sealer(facts: &Facts) -> Judgement {
    let next = "look at the log of the servers: one must run, with VESTA_CHECKPOINT_KEY_FILE";
    match facts.health {
        Health::Unwritable => {
            fails("the trail takes no events: nothing that needs a record is released", next)
        }
        Health::Tampered => fails("what was signed of the trail is not there any more", next),
        Health::Unchained => fails("events wait for the sealer", next),
        Health::Well => known(&facts.checkpoint, |last| match (last, &facts.chain) {
            (Some(last), Ok(report))
                if report.head.count > last.head.count && facts.now - last.signed > 10 * MINUTE =>
            {
                fails(format!("the head of the chain was last signed {}", instant(last.signed)), next)
            }
            (Some(last), _) => holds(format!(
                "events are chained as they come; {} were signed {} with the key {}",
                last.head.count,
                instant(last.signed),
                last.key_id
            )),
            (None, Ok(report)) if report.head.count == 0 => holds("nothing was recorded yet"),
            (None, _) => fails("the head of the chain was never signed", next),
        }),
    }
}

/// Receivers that are set must have taken what was signed a while ago.
pub(super) fn witnesses(facts: &Facts) -> Judgement {
    let set = &facts.config.forwarding;
    let names: Vec<&str> = [
        ("syslog", set.syslog.is_some()),
        ("webhook", set.webhook.is_some()),
        ("otlp", set.otlp.is_some()),
        ("checkpoint-file", set.checkpoint_file.is_some()),
        ("checkpoint-syslog", set.checkpoint_syslog.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, is_set)| is_set.then_some(name))
    .collect();
    if names.is_empty() {
        return manual(
            "checkpoints leave this machine in the log alone (audit.checkpoint)",
            "set VESTA_CHECKPOINT_FILE, VESTA_CHECKPOINT_SYSLOG or a receiver of the trail, or keep the log elsewhere",
        );
    }
    known(&facts.receivers, |receivers| {
        known(&facts.checkpoint, |last| {
            let settled = last.as_ref().filter(|it| facts.now - it.signed > 10 * MINUTE);
            let signed = settled.map_or(0, |it| it.head.count);
            let taken = |name: &str| {
                receivers.iter().find(|(it, _, _)| it == name).map_or(0, |(_, it, _)| it.checkpoint)
            };
            let behind: Vec<&str> = names.iter().copied().filter(|name| taken(name) < signed).collect();
            match behind.is_empty() {
                true => holds(format!("checkpoints leave this machine: {}", listed(&names))),
                false => fails(
                    format!("the trail does not reach {}", listed(&behind)),
                    "see why the receiver does not take it; nothing is lost meanwhile",
                ),
            }
        })
    })
}

pub(super) fn trail_partitions(facts: &Facts) -> Judgement {
    known(&facts.months, |months| {
        let missing: Vec<String> =
            (0..=2).map(|ahead| month(facts.now, ahead)).filter(|it| !months.contains(it)).collect();
        let names: Vec<&str> = missing.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => holds(format!("the trail has partitions up to {}", months.last().map_or("", |it| it))),
            names => fails(format!("the trail has no partition for {}", listed(names)), "run vesta migrate"),
        }
    })
}

pub(super) fn retention(facts: &Facts) -> Judgement {
    known(&facts.months, |months| {
        let Some(first) = months.first() else {
            return fails("the trail has no partition at all", "run vesta migrate");
        };
        let mut gaps = Vec::new();
        for pair in months.windows(2) {
            if let [one, two] = pair
                && number(two) != number(one) + 1
            {
                gaps.push(format!("{one} to {two}"));
            }
        }
        let names: Vec<&str> = gaps.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => holds(format!(
                "every month since {} is here; none is dropped before six years",
                first.replace('_', "-")
            )),
            names => fails(
                format!("months are missing between {}", listed(names)),
                "find them in a backup: the trail is kept six years",
            ),
        }
    })
}

/// Months since year 0 of `2026_11`.
fn number(month: &str) -> i64 {
    let (year, month) = month.split_once('_').unwrap_or_default();
    year.parse::<i64>().unwrap_or(0) * 12 + month.parse::<i64>().unwrap_or(0)
}

/// `2026_11`, so many months from then.
fn month(now: i64, ahead: i64) -> String {
    let date =
        Timestamp::from_microsecond(now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date();
    let count = i64::from(date.year()) * 12 + i64::from(date.month()) - 1 + ahead;
    format!("{:04}_{:02}", count.div_euclid(12), count.rem_euclid(12) + 1)
}

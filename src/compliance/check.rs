//! What is looked at: each check is a pure judgement over the facts, with its evidence and what to do next.

mod contingency;
mod trail;

use crate::audit::event::Kind;
use crate::compliance::facts::{Facts, Found};
use crate::compliance::probe::Handshakes;
use crate::config::SealingLevel;
use crate::fhir::date_time::instant;
use crate::store::inspection::KindFacts;

const DAY: i64 = 24 * 3600 * 1_000_000;
const MINUTE: i64 = 60 * 1_000_000;
/// The tenant's own keys are renewed within a year.
const KEY_AGE: i64 = 365 * DAY;
/// What ends sooner than that is told.
const SOON: i64 = 30 * DAY;
/// The trail is reviewed every day, or nearly.
const REVIEW: i64 = 3 * DAY;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Row-level security is on and forced wherever there are tenants.
    Walls,
    /// The application's role owns nothing and has no power beyond its grants.
    Roles,
    /// User names are unique.
    UniqueUsers,
    /// Emergency access: how often it was used.
    BreakGlass,
    /// Tokens are short-lived.
    TokenLifetime,
    /// The sealing level is high enough.
    SealingLevel,
    /// Bodies in the database are sealed.
    SealedBodies,
    /// Keys are renewed.
    Keys,
    /// The application may only add to the trail.
    TrailGrants,
    /// Not even the owner changes it without taking a trigger away.
    TrailTriggers,
    /// The chain of the trail is whole.
    TrailChain,
    /// Events are chained and signed as they come.
    TrailSealer,
    /// Checkpoints leave the machine.
    Witnesses,
    /// The months to come have a partition.
    TrailPartitions,
    /// No month of the last six years is missing.
    Retention,
    /// Whoever must have a second factor has one.
    SecondFactor,
    /// TLS.
    Tls,
    /// The certificate is not about to end.
    Certificate,
    /// The way to the database.
    DatabaseTls,
    /// Somebody looks at the trail.
    ActivityReview,
    /// Requests are limited.
    Limits,
    /// A restore was proved.
    RestoreDrill,
    /// Agreements do not run out unnoticed.
    Agreements,
    /// Something that the organisation must do.
    Procedure,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it must be.
    Holds,
    /// Somebody must look: a program cannot tell.
    Manual,
    /// It is not as it must be.
    Fails,
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub evidence: String,
    /// What to do about it.
    pub next: Option<String>,
}

impl Check {
    const ALL: [(Check, &'static str); 24] = [
        (Check::Walls, "walls"),
        (Check::Roles, "roles"),
        (Check::UniqueUsers, "unique-users"),
        (Check::BreakGlass, "break-glass"),
        (Check::TokenLifetime, "token-lifetime"),
        (Check::SealingLevel, "sealing-level"),
        (Check::SealedBodies, "sealed-bodies"),
        (Check::Keys, "keys"),
        (Check::TrailGrants, "trail-grants"),
        (Check::TrailTriggers, "trail-triggers"),
        (Check::TrailChain, "trail-chain"),
        (Check::TrailSealer, "trail-sealer"),
        (Check::Witnesses, "witnesses"),
        (Check::TrailPartitions, "trail-partitions"),
        (Check::Retention, "retention"),
        (Check::SecondFactor, "second-factor"),
        (Check::Tls, "tls"),
        (Check::Certificate, "certificate"),
        (Check::DatabaseTls, "database-tls"),
        (Check::ActivityReview, "activity-review"),
        (Check::Limits, "limits"),
        (Check::RestoreDrill, "restore-drill"),
        (Check::Agreements, "agreements"),
        (Check::Procedure, "procedure"),
    ];

    /// The check of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Check> {
        Check::ALL.into_iter().find(|(_, it)| *it == name).map(|(check, _)| check)
    }

    /// Its name in the table of controls.
    #[must_use]
    pub fn name(self) -> &'static str {
        Check::ALL.into_iter().find(|(check, _)| *check == self).map_or("", |(_, name)| name)
    }

    /// Judges the facts.
    #[must_use]
    pub fn judge(self, facts: &Facts) -> Finding {
        let (verdict, evidence, next) = match self {
            Check::Walls => walls(facts),
            Check::Roles => schema(
                facts,
                &["role", "owned"],
                "the application's role owns nothing and has no power beyond its grants",
                "take the powers away and give ownership back to vesta_owner",
            ),
            Check::UniqueUsers => unique_users(facts),
            Check::BreakGlass => break_glass(facts),
            Check::TokenLifetime => token_lifetime(facts),
            Check::SealingLevel => sealing_level(facts),
            Check::SealedBodies => sealed_bodies(facts),
            Check::Keys => keys(facts),
            Check::TrailGrants => schema(
                facts,
                &["grant"],
                "the application's role may select from and insert into the trail, and nothing else",
                "revoke the grants, then run vesta audit verify",
            ),
            Check::TrailTriggers => schema(
                facts,
                &["trigger"],
                "every table and month of the trail refuses update, delete and truncate",
                "restore the triggers, then run vesta audit verify",
            ),
            Check::TrailChain => trail::trail_chain(facts),
            Check::TrailSealer => trail::trail_sealer(facts),
            Check::Witnesses => trail::witnesses(facts),
            Check::TrailPartitions => trail::trail_partitions(facts),
            Check::Retention => trail::retention(facts),
            Check::SecondFactor => second_factor(facts),
            Check::Tls => tls(facts),
            Check::Certificate => certificate(facts),
            Check::DatabaseTls => database_tls(facts),
            Check::ActivityReview => activity_review(facts),
            Check::Limits => limits(facts),
            Check::RestoreDrill => contingency::restore_drill(facts),
            Check::Agreements => agreements(facts),
            Check::Procedure => (
                Verdict::Manual,
                "a matter of the organisation's own procedures".to_owned(),
                Some(
                    "point to the procedure that is in force, who owns it, and when it was last reviewed"
                        .to_owned(),
                ),
            ),
        };
        Finding { check: self, verdict, evidence, next }
    }
}

type Judgement = (Verdict, String, Option<String>);

fn holds(evidence: impl Into<String>) -> Judgement {
    (Verdict::Holds, evidence.into(), None)
}

fn manual(evidence: impl Into<String>, next: impl Into<String>) -> Judgement {
    (Verdict::Manual, evidence.into(), Some(next.into()))
}

fn fails(evidence: impl Into<String>, next: impl Into<String>) -> Judgement {
    (Verdict::Fails, evidence.into(), Some(next.into()))
}

/// Silence is no good news.
fn known<T>(found: &Found<T>, judge: impl FnOnce(&T) -> Judgement) -> Judgement {
    match found {
        Ok(found) => judge(found),
        Err(reason) => {
            fails(format!("could not be found out: {reason}"), "mend that, and run this report again")
        }
    }
}

fn schema(facts: &Facts, kinds: &[&str], good: &str, next: &str) -> Judgement {
    known(&facts.schema, |faults| {
        let places: Vec<&str> = faults
            .iter()
            .filter(|it| kinds.contains(&it.kind.as_str()))
            .map(|it| it.place.as_str())
            .collect();
        match places.as_slice() {
            [] => holds(good),
            places => fails(format!("not so: {}", listed(places)), next),
        }
    })
}

/// Some of the names, and how many more there are.
fn listed(names: &[&str]) -> String {
    match names.get(..5) {
        Some(first) if names.len() > 5 => format!("{} and {} more", first.join(", "), names.len() - 5),
        _ => names.join(", "),
    }
}

fn walls(facts: &Facts) -> Judgement {
    schema(
        facts,
        &["wall"],
        "row-level security is on and forced on every table with a tenant",
        "force row-level security on them again (wall_by_tenant)",
    )
}

fn unique_users(facts: &Facts) -> Judgement {
    let unique = schema(
        facts,
        &["name"],
        "the database keeps user names unique",
        "add the constraint accounts_name_unique again",
    );
    if unique.0 != Verdict::Holds {
        return unique;
    }
    known(&facts.accounts, |accounts| {
        let disabled = accounts.iter().filter(|it| it.is_disabled).count();
        holds(format!(
            "the database keeps user names unique: {} accounts, {disabled} of them disabled",
            accounts.len()
        ))
    })
}

fn break_glass(facts: &Facts) -> Judgement {
    known(&facts.kinds, |kinds| match of_kind(kinds, Kind::BreakGlass) {
        None => holds("emergency access was not used in the last year"),
        Some(it) => manual(
            format!("emergency access: {} events in the last year", it.count),
            "see that the review of each is closed",
        ),
    })
}

fn of_kind(kinds: &[KindFacts], kind: Kind) -> Option<&KindFacts> {
    kinds.iter().find(|it| it.kind == kind.code())
}

fn token_lifetime(facts: &Facts) -> Judgement {
    let seconds = facts.config.tokens.lifetime_seconds;
    match seconds {
        1..=crate::config::MAX_TOKEN_LIFETIME_SECONDS => {
            holds(format!("access tokens live {seconds} s at most"))
        }
        _ => {
            fails(format!("access tokens may live {seconds} s"), "lower VESTA_TOKEN_LIFETIME_SECONDS to 900")
        }
    }
}

fn sealing_level(facts: &Facts) -> Judgement {
    match facts.config.keys.sealing_level {
        SealingLevel::Everything => holds("whole resources are sealed (level everything)"),
        SealingLevel::Clinical => {
            holds("identity, narratives, diagnoses and treatments are sealed (level clinical)")
        }
        SealingLevel::Identity => fails(
            "diagnoses, treatments and narratives are written in the clear (level identity)",
            "set VESTA_SEALING_LEVEL to clinical and write again what was written meanwhile",
        ),
    }
}

fn sealed_bodies(facts: &Facts) -> Judgement {
    known(&facts.bodies, |bodies| {
        let told = |of: &std::collections::BTreeMap<&'static str, usize>| {
            of.iter().map(|(name, count)| format!("{count} of {name}")).collect::<Vec<_>>().join(", ")
        };
        if !bodies.malformed.is_empty() {
            return fails(
                format!("bodies that are no sealed containers: {}", told(&bodies.malformed)),
                "find out who wrote them, and run vesta audit verify",
            );
        }
        if !bodies.in_clear.is_empty() {
            return fails(
                format!("elements that must be sealed lie in the clear: {}", told(&bodies.in_clear)),
                "set VESTA_SEALING_LEVEL to clinical and write these resources again",
            );
        }
        known(&facts.plaintext, |tables| match tables.as_slice() {
            [] if facts.planted == 0 => {
                holds(format!("the newest {} bodies show nothing that must be sealed", bodies.looked_at))
            }
            [] => holds(format!(
                "the newest {} bodies show nothing that must be sealed, and {} known values lie in no table",
                bodies.looked_at, facts.planted
            )),
            tables => {
                let names: Vec<&str> = tables.iter().map(String::as_str).collect();
                fails(
                    format!("known values lie in the clear in {}", listed(&names)),
                    "find out how they came there",
                )
            }
        })
    })
}

fn keys(facts: &Facts) -> Judgement {
    known(&facts.keys, |keys| {
        let Some(oldest) = keys.oldest_own else { return holds("nothing was sealed yet: there are no keys") };
        let evidence = format!(
            "the oldest of the tenant's keys in use is of {}; {} patients have keys, {} keys were destroyed",
            day(oldest),
            keys.subjects,
            keys.destroyed
        );
        match facts.now.saturating_sub(oldest) > KEY_AGE {
            true => fails(evidence, "rotate the keys: vesta keys rotate tenant"),
            false => holds(evidence),
        }
    })
}

fn second_factor(facts: &Facts) -> Judgement {
    known(&facts.accounts, |accounts| {
        let needing = accounts.iter().filter(|it| !it.is_disabled && it.role != "patient");
        let (with, without): (Vec<_>, Vec<_>) = needing.partition(|it| it.has_second_factor);
        let names: Vec<String> = without.iter().map(|it| format!("{} ({})", it.id, it.role)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match names.as_slice() {
            [] => holds(format!("each of {} accounts that need a second factor has one", with.len())),
            names => fails(
                format!("{} accounts have no second factor yet: {}", names.len(), listed(names)),
                "let them sign in and enrol one, or disable them: vesta user disable",
            ),
        }
    })
}

fn tls(facts: &Facts) -> Judgement {
    let listener = &facts.config.listener;
    match (listener.plain_http, listener.listen.ip().is_loopback()) {
        (false, _) => match &facts.handshakes {
            Some(Ok(Handshakes { is_new: true, is_old: false })) => {
                holds(format!("{} shakes hands with TLS 1.3 and refuses TLS 1.2", listener.listen))
            }
            Some(Ok(Handshakes { is_old: true, .. })) => fails(
                format!("{} shakes hands with TLS 1.2", listener.listen),
                "something else listens there: see what",
            ),
            Some(Ok(_)) => fails(
                format!("{} does not shake hands with TLS 1.3", listener.listen),
                "see the log of the server",
            ),
            _ => manual(
                format!("set to TLS 1.3 and nothing older, but no server listens at {}", listener.listen),
                "start the server, and run this report beside it",
            ),
        },
        (true, true) => manual(
            "plain HTTP on loopback: a proxy on this machine must speak TLS",
            "see that the proxy offers TLS 1.2 or newer only, and nothing else listens",
        ),
        (true, false) => fails("plain HTTP beyond this machine", "take VESTA_PLAIN_HTTP away"),
    }
}

fn certificate(facts: &Facts) -> Judgement {
    match &facts.certificate_end {
        None => manual("no certificate is named in these settings", "watch when the one in use ends"),
        Some(end) => known(end, |end| match end.saturating_sub(facts.now) {
            left if left < 0 => {
                fails(format!("the certificate ended {}", day(*end)), "renew it, and send SIGHUP")
            }
            left if left < 7 * DAY => {
                fails(format!("the certificate ends {}", day(*end)), "renew it, and send SIGHUP")
            }
            _ => holds(format!("the certificate is good until {}", day(*end))),
        }),
    }
}

fn database_tls(facts: &Facts) -> Judgement {
    use secrecy::ExposeSecret as _;
    let Some(url) = &facts.config.database.url else {
        return manual("the database is dev mode's own", "serve with a database of your own");
    };
    let url = url.expose_secret();
    let host = url.split_once('@').map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_local = ["", "localhost", "127.0.0.1", "[::1]"].contains(&host)
        || host.contains("%2F")
        || host.contains("%2f");
    match (url.contains("sslmode=require"), is_local) {
        (true, _) => holds("the way to the database is TLS, and its certificate is checked"),
        (false, true) => holds("the database is on this machine"),
        (false, false) => fails(
            "the way to the database is not TLS",
            "add sslmode=require to VESTA_DATABASE_URL, and set VESTA_DATABASE_AUTHORITIES",
        ),
    }
}

fn limits(facts: &Facts) -> Judgement {
    match facts.config.limits.user_requests_per_minute {
        0 => fails("users may ask as often as they like", "set VESTA_LIMIT_USER_REQUESTS_PER_MINUTE"),
        limit => holds(format!("{limit} requests a minute for a user; five failed sign-ins close the door")),
    }
}

/// Each day is reviewed by a job; what it found must be looked at by somebody.
fn activity_review(facts: &Facts) -> Judgement {
    let next = "start a server, which reviews each day; then look at Task?status=requested";
    known(&facts.reviewed, |last| match last {
        Some(last) if facts.now - last <= REVIEW => {
            holds(format!("the trail was last reviewed {}", day(*last)))
        }
        Some(last) => fails(format!("the trail was last reviewed {}", day(*last)), next),
        None => fails("the trail was never reviewed", next),
    })
}

fn agreements(facts: &Facts) -> Judgement {
    known(&facts.agreements, |agreements| {
        let ends_before = |time: i64| {
            let ending = agreements.iter().filter(move |it| it.ends.is_some_and(|end| end < time));
            ending.map(|it| format!("Contract/{}", it.id)).collect::<Vec<_>>()
        };
        let over = ends_before(facts.now);
        let soon = ends_before(facts.now + SOON);
        let names = |of: &[String]| listed(&of.iter().map(String::as_str).collect::<Vec<_>>());
        match (over.is_empty(), soon.is_empty()) {
            (false, _) => fails(
                format!("in force by their status, but over: {}", names(&over)),
                "renew the agreements, or end their status and revoke the clients",
            ),
            (true, false) => manual(format!("end within 30 days: {}", names(&soon)), "renew the agreements"),
            (true, true) => manual(
                format!("{} agreements are in force, none ends within 30 days", agreements.len()),
                "see that every organisation that gets data has one",
            ),
        }
    })
}

fn day(microseconds: i64) -> String {
    instant(microseconds).chars().take(10).collect()
}

//! Who tries: tokens that lack something, and what each must not see.

use super::world::{Kind, OWN, Thing};

/// Somebody who tries to see what they may not.
#[derive(Clone, Copy)]
pub struct Attempt {
    /// The name of their token in the file of tokens.
    pub name: &'static str,
    /// What their token is.
    pub token: &'static str,
    /// What they may see, if anything: all else is hidden from them.
    pub sees: fn(&Thing) -> bool,
    /// Their token is none at all: every answer is 401.
    pub is_stranger: bool,
}

fn nothing(_: &Thing) -> bool {
    false
}

fn own(thing: &Thing) -> bool {
    thing.patient == OWN
}

const fn stranger(name: &'static str, token: &'static str) -> Attempt {
    Attempt { name, token, sees: nothing, is_stranger: true }
}

const fn somebody(name: &'static str, token: &'static str, sees: fn(&Thing) -> bool) -> Attempt {
    Attempt { name, token, sees, is_stranger: false }
}

/// The attempt that is made at another address.
pub const NEIGHBOUR: &str = "neighbour";

/// All of them.
pub const ATTEMPTS: &[Attempt] = &[
    stranger("no-token", "none: leave it out of the file"),
    stranger("expired", "a good token, after its end"),
    stranger("revoked", "a good token that was revoked"),
    stranger("wrong-audience", "for another server"),
    stranger("wrong-issuer", "of another issuer"),
    stranger("wrong-signature", "a good token, one letter of its signature changed"),
    stranger("alg-none", "a good token's claims with alg none"),
    stranger("revoked-family", "of a grant that was revoked since"),
    stranger("visit-over", "bound to a visit that has ended, or that never was"),
    stranger("disabled-user", "of a user who was disabled since"),
    stranger("disabled-client", "of a client that was disabled since"),
    stranger("other-tenant", "of another tenant of the same server"),
    somebody("neighbour", "user/*.rs of a provider of another tenant, at that tenant's own address", nothing),
    somebody("no-patient", "patient/*.cruds, and no patient in context", nothing),
    somebody("create-only", "system/*.c", nothing),
    somebody("other-patient", "patient/*.cruds, with the patient leak-own in context", own),
    somebody("other-type", "patient/Immunization.rs, with the patient leak-own in context", nothing),
    somebody(
        "granular",
        "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory, \
         with the patient leak-own in context",
        |it| own(it) && it.kind == Kind::Laboratory,
    ),
    somebody(
        "granular-system",
        "system/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory, \
         of a client of its own",
        |it| it.kind == Kind::Laboratory,
    ),
    somebody("no-care", "user/*.cruds of a nurse, Practitioner/leak-nurse", |it| {
        own(it) && !it.is_kept_apart()
    }),
    somebody(
        "emergency-over",
        "user/*.cruds of a nurse, Practitioner/leak-former, whose emergency access to leak-other has ended",
        |it| own(it) && !it.is_kept_apart(),
    ),
    somebody("forbidden", "user/*.cruds of a provider, Practitioner/leak-forbidden", |it| {
        own(it) && !it.is_kept_apart()
    }),
    somebody("restricted", "user/*.cruds of a provider, Practitioner/leak-restricted", |it| {
        let is_permitted = matches!(it.kind, Kind::Person | Kind::Laboratory | Kind::Vital);
        !it.is_kept_apart() && (own(it) || is_permitted)
    }),
    somebody("labelled", "user/*.cruds of a provider", |it| !it.is_kept_apart()),
    somebody("role", "user/*.rs of a billing clerk", |it| matches!(it.kind, Kind::Person | Kind::Flu)),
    somebody("wrong-purpose", "user/*.cruds of a provider, for the purpose HMARKT", nothing),
    somebody("agreement", "user/*.cruds of a provider, through a client whose agreement has ended", nothing),
];

impl Attempt {
    /// Whether that must be hidden from them.
    #[must_use]
    pub fn hides(&self, thing: &Thing) -> bool {
        !(self.sees)(thing)
    }
}

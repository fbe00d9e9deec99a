//! SMART scopes, parsed: `patient/Observation.rs?category=laboratory`.
//!
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>
//!
//! Version 1 (`patient/*.read`) and version 2 (`patient/*.rs`) are the same thing here. A scope
//! that does not parse grants nothing.

use crate::fhir::id::ResourceType;
use std::fmt;
use std::sync::Arc;

/// The scopes of a token, in the order granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    resources: Vec<ResourceScope>,
    others: Vec<String>,
    /// The scopes over resources, as written.
    text: Arc<str>,
}

/// A scope over resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceScope {
    /// Whose data: the patient in context, what the user may see, or all.
    pub level: Level,
    /// The type, or every type for `*`.
    pub resource_type: Option<ResourceType>,
    /// What may be done.
    pub permissions: Permissions,
    /// Search parameters that a resource must match, decoded: the granular part.
    pub query: Vec<(String, String)>,
    /// As written.
    text: Arc<str>,
}

/// Whose data a scope reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// The patient in the launch context.
    Patient,
    /// What the user may see.
    User,
    /// A system without a user.
    System,
}

/// One thing that may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// `c`
    Create,
    /// `r`: read, vread, instance history
    Read,
    /// `u`: update and patch
    Update,
    /// `d`
    Delete,
    /// `s`: search, type and system history
    Search,
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u8);

impl Permission {
    const ALL: [(char, Permission); 5] = [
        ('c', Permission::Create),
        ('r', Permission::Read),
        ('u', Permission::Update),
        ('d', Permission::Delete),
        ('s', Permission::Search),
    ];

    fn bit(self) -> u8 {
        match self {
            Permission::Create => 1,
            Permission::Read => 2,
            Permission::Update => 4,
            Permission::Delete => 8,
            Permission::Search => 16,
        }
    }
}

impl Permissions {
    /// Whether the permission is in the set.
    #[must_use]
    pub fn allow(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// What is in either.
    pub(super) fn or(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }

    /// What is in this and not in the other.
    pub(super) fn without(self, other: Permissions) -> Permissions {
        Permissions(self.0 & !other.0)
    }

    pub(super) fn parse(text: &str) -> Option<Permissions> {
        match text {
            // SMART 2.0 3.0.2.10: the version 1 words and what they mean now.
            "read" => return Permissions::parse("rs"),
            "write" => return Permissions::parse("cud"),
            "*" => return Permissions::parse("cruds"),
            "" => return None,
            _ => {}
        }
        let mut letters = text.chars().peekable();
        let mut set = Permissions::default();
        // The letters must stand in this order, each at most once.
        for (letter, permission) in Permission::ALL {
            if letters.next_if_eq(&letter).is_some() {
                set.0 |= permission.bit();
            }
        }
        letters.peek().is_none().then_some(set)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, permission) in Permission::ALL {
            if self.allow(permission) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl Scopes {
    /// Reads the `scope` of a token or a request: words separated by spaces.
    #[must_use]
    pub fn parse(text: &str) -> Scopes {
        let mut scopes = Scopes::default();
        for word in text.split_ascii_whitespace() {
            match ResourceScope::parse(word) {
                Some(scope) => scopes.resources.push(scope),
                None => scopes.others.push(word.to_owned()),
            }
        }
        let words: Vec<&str> = scopes.resources.iter().map(|scope| &*scope.text).collect();
        scopes.text = words.join(" ").into();
        scopes
    }

    /// The scopes over resources as text: two that have the same grant the same.
    pub(super) fn text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The scopes over resources.
    #[must_use]
    pub fn resources(&self) -> &[ResourceScope] {
        &self.resources
    }

    /// Whether a scope that is not over resources was granted: `openid`, `launch/patient` …
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.others.iter().any(|it| it == word)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resources = self.resources.iter().map(|scope| &*scope.text);
        let words: Vec<_> = self.others.iter().map(String::as_str).chain(resources).collect();
        f.write_str(&words.join(" "))
    }
}

impl ResourceScope {
    /// Reads one scope; nothing for anything that is not exactly one over resources.
    #[must_use]
    pub fn parse(word: &str) -> Option<ResourceScope> {
        let (level, rest) = word.split_once('/')?;
        let level = match level {
            "patient" => Level::Patient,
            "user" => Level::User,
            "system" => Level::System,
            _ => return None,
        };
        let (name, rest) = rest.split_once('.')?;
        let resource_type = match name {
            "*" => None,
            name => Some(ResourceType::parse(name)?),
        };
        let (letters, query) = match rest.split_once('?') {
            None => (rest, Vec::new()),
            Some((letters, query)) => (letters, parse_query(query)?),
        };
        let permissions = Permissions::parse(letters)?;
        Some(ResourceScope { level, resource_type, permissions, query, text: word.into() })
    }

    /// The scope as written.
    pub(super) fn text(&self) -> Arc<str> {
        self.text.clone()
    }

    /// The scope as written, without its query: that may name a patient.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text.split('?').next().unwrap_or_default()
    }

    /// Whether the scope speaks of that type and permission.
    #[must_use]
    pub fn covers(&self, resource_type: ResourceType, permission: Permission) -> bool {
        self.permissions.allow(permission) && self.resource_type.is_none_or(|it| it == resource_type)
    }
}

/// A granular query must not be empty: an empty one is a scope that says less than it seems to.
fn parse_query(text: &str) -> Option<Vec<(String, String)>> {
    text.split('&')
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            if name.is_empty() || value.is_empty() {
                None
            } else {
                Some((percent_decode(name)?, percent_decode(value)?))
            }
        })
        .collect()
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: &str) {
        let shown = ResourceScope::parse(word).map_or("nothing".to_owned(), |scope| {
            let name = scope.resource_type.map_or("*", ResourceType::name);
            format!("{:?} {name} {:?} {:?}", scope.level, scope.permissions, scope.query)
        });
        assert_eq!(shown, expected, "{word}");
    }

    #[test]
    fn reads_both_versions() {
        check("patient/*.read", "Patient * rs []");
        check("user/Patient.write", "User Patient cud []");
        check("system/*.*", "System * cruds []");
        check("patient/Observation.rs", "Patient Observation rs []");
        check(
            "patient/Observation.rs?category=a|b&code=c%26",
            "Patient Observation rs [(\"category\", \"a|b\"), (\"code\", \"c&\")]",
        );
        check("system/Group.crds", "System Group crds []");
    }

    #[test]
    fn grants_nothing_for_anything_else() {
        for word in [
            "",
            "openid",
            "patient",
            "patient/",
            "patient/*",
            "patient/*.",
            "patient/*.x",
            "patient/*.sr",
            "patient/*.rr",
            "patient/patient.rs",
            "Patient/*.rs",
            "patient/Observation.rs?",
            "patient/Observation.rs?x",
            "patient/Observation.rs?=1",
            "patient/Observation.rs?code=%zz",
            "patient/*.readx",
            "patient/*.read ",
        ] {
            check(word, "nothing");
        }
    }

    #[test]
    fn keeps_what_was_granted() {
        let scopes = Scopes::parse(" openid  patient/*.rs launch/patient ");
        assert!(scopes.has("openid") && scopes.has("launch/patient") && !scopes.has("fhirUser"));
        assert_eq!(scopes.to_string(), "openid launch/patient patient/*.rs");
    }
}

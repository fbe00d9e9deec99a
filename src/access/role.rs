//! Roles: what somebody's position takes away from what the scopes of a token open.
//!
//! The defaults are data (`fhir-profiles/vesta/roles.tsv`, where the words are explained). A tenant changes one by
//! storing a Basic resource whose code is [`POLICY`] and whose extensions hold the same words: see the room's README.

use crate::access::labels::Labels;
use crate::access::purpose;
use crate::access::reach::REFERENCE;
use crate::access::scope::{Permission, Permissions};
use crate::fhir::id::ResourceType;
use crate::fhir::json::Node;
use crate::fhir::outcome::Outcome;
use crate::fhir::resource::Resource;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const ROLES: &str = include_str!("../../fhir-profiles/vesta/roles.tsv");

/// The code of a Basic that is a policy of a role, as `system|code`.
pub const POLICY: (&str, &str) = ("https://vesta.example/fhir/CodeSystem/policy", "role");
/// The code of a Task that reviews an emergency access: closed by those alone who may change policies.
pub const REVIEW: (&str, &str) = ("https://vesta.example/fhir/CodeSystem/policy", "break-glass-review");
/// Where a policy names its role: an extension with a valueCode.
pub const ROLE_EXTENSION: &str = "https://vesta.example/fhir/StructureDefinition/policy-role";
/// A line of a policy: an extension with a valueString.
pub const LINE_EXTENSION: &str = "https://vesta.example/fhir/StructureDefinition/policy-line";

/// The role of the server's own work. No account has it, and no token says it.
pub const SERVER: &str = "server";

/// The longest policy, in lines.
const MOST_LINES: usize = 500;

/// What a role may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Role {
    /// What accounts call it.
    pub name: Arc<str>,
    /// What it is.
    pub title: Box<str>,
    /// The purposes of use that it may name, none for all; the first is meant where none is named.
    pub purposes: Vec<&'static str>,
    /// Only patients that the user has to do with.
    pub needs_care: bool,
    /// No Consent narrows it.
    pub is_exempt_from_consent: bool,
    /// It may choose the ids of new resources, and write what it may not see.
    pub may_choose_ids: bool,
    /// It may change roles and agreements.
    pub may_change_policies: bool,
    /// It may ask about others.
    pub may_explain: bool,
    /// It may make, change and disable accounts and clients.
    pub may_change_accounts: bool,
    /// It may let in clients that registered themselves.
    pub may_approve_clients: bool,
    everywhere: Permissions,
    by_type: HashMap<ResourceType, Permissions>,
    never: HashMap<ResourceType, Permissions>,
    opens: Vec<(Box<str>, Vec<&'static str>)>,
    hides: Vec<Hidden>,
}

/// Elements that a role does not see.
#[derive(Clone, Debug, PartialEq)]
struct Hidden {
    resource_type: ResourceType,
    elements: Vec<Box<str>>,
    purposes: Vec<&'static str>,
}

impl Role {
    /// Those that come with the program, by name.
    #[must_use]
    pub fn embedded() -> HashMap<Arc<str>, Arc<Role>> {
        let mut roles = Vec::<Role>::new();
        for line in ROLES.lines().filter(|it| !it.starts_with('#')) {
            match (line.strip_prefix("role\t").and_then(|it| it.split_once('\t')), roles.last_mut()) {
                (Some((name, title)), _) => {
                    roles.push(Role { name: name.into(), title: title.into(), ..Role::default() });
                }
                // Our own lines are read by a test.
                (None, Some(role)) => drop(role.add(line)),
                (None, None) => {}
            }
        }
        roles.into_iter().map(|it| (Arc::clone(&it.name), Arc::new(it))).collect()
    }

    /// A role of that name that may do nothing.
    #[must_use]
    pub fn unknown(name: &str) -> Role {
        Role { name: name.into(), ..Role::default() }
    }

    /// The role that a Basic resource describes; nothing for any other Basic.
    ///
    /// # Errors
    /// It is a policy, and says something that cannot be understood.
    pub fn of_policy(resource: &Resource) -> Result<Option<Role>, Outcome> {
        if !is_policy(resource) {
            return Ok(None);
        }
        let extensions = |url: &'static str, value: &'static str| {
            let all = resource.root().get("extension").into_iter().flat_map(Node::items);
            all.filter(move |it| it.string("url").is_some_and(|it| it == url))
                .filter_map(move |it| it.string(value))
        };
        let name = extensions(ROLE_EXTENSION, "valueCode").next();
        let name = name.ok_or_else(|| {
            Outcome::required("a policy names its role in an extension").at("Basic.extension")
        })?;
        let mut role = Role { name: (&*name).into(), title: (&*name).into(), ..Role::default() };
        for (place, line) in extensions(LINE_EXTENSION, "valueString").enumerate() {
            if place == MOST_LINES {
                return Err(Outcome::value("a policy has at most 500 lines").at("Basic.extension"));
            }
            if !role.add(&line) {
                let reason = format!("line {} of the policy is not understood", place + 1);
                return Err(Outcome::value(reason).at("Basic.extension"));
            }
        }
        Ok(Some(role))
    }

    /// Adds a line of a policy: whether it was understood.
    fn add(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let Some((kind, words)) = words.split_first() else { return true };
        match (*kind, words) {
            ("purpose", codes) => match purposes(codes) {
                Some(purposes) => {
                    self.purposes.extend(purposes);
                    true
                }
                None => false,
            },
            ("may", [letters, types @ ..]) => self.allow(letters, types),
            ("not", [letters, types @ ..]) => {
                let (Some(letters), Some(types)) = (Permissions::parse(letters), types_of(types)) else {
                    return false;
                };
                for it in types {
                    let never = self.never.entry(it).or_default();
                    *never = never.or(letters);
                }
                true
            }
            ("care", ["required"]) => set(&mut self.needs_care),
            ("consent", ["exempt"]) => set(&mut self.is_exempt_from_consent),
            ("ids", ["any"]) => set(&mut self.may_choose_ids),
            ("policies", ["change"]) => set(&mut self.may_change_policies),
            ("explain", ["all"]) => set(&mut self.may_explain),
            ("accounts", ["change"]) => set(&mut self.may_change_accounts),
            ("clients", ["approve"]) => set(&mut self.may_approve_clients),
            ("open", words) => {
                let Some((classes, purposes)) = for_purposes(words) else { return false };
                let labels = Labels::embedded();
                let is_class = |it: &&str| *it == "*" || labels.classes().iter().any(|own| *own.name == **it);
                if !classes.iter().all(is_class) {
                    return false;
                }
                self.opens.extend(classes.iter().map(|it| (Box::from(*it), purposes.clone())));
                true
            }
            ("hide", [resource_type, words @ ..]) => {
                let Some(resource_type) = ResourceType::parse(resource_type) else { return false };
                let Some((elements, purposes)) = for_purposes(words) else { return false };
                let elements = elements.iter().map(|it| Box::from(*it)).collect();
                self.hides.push(Hidden { resource_type, elements, purposes });
                true
            }
            _ => false,
        }
    }

    fn allow(&mut self, letters: &str, types: &[&str]) -> bool {
        let Some(letters) = Permissions::parse(letters) else { return false };
        if types == ["*"] {
            self.everywhere = self.everywhere.or(letters);
            return true;
        }
        let Some(types) = types_of(types) else { return false };
        for it in types {
            let allowed = self.by_type.entry(it).or_default();
            *allowed = allowed.or(letters);
        }
        true
    }

    /// Whether it may do that with resources of that type at all.
    #[must_use]
    pub fn may(&self, permission: Permission, resource_type: ResourceType) -> bool {
        let allowed = self.everywhere.or(self.by_type.get(&resource_type).copied().unwrap_or_default());
        let never = self.never.get(&resource_type).copied().unwrap_or_default();
        allowed.without(never).allow(permission)
    }

    /// Whether it may see what carries a label of that class, for that purpose.
    #[must_use]
    pub fn opens(&self, class: &str, purpose: Option<&str>) -> bool {
        self.opens.iter().any(|(it, purposes)| (**it == *class || **it == *"*") && is_for(purposes, purpose))
    }

    /// The elements of that type that it does not see for that purpose.
    pub fn hidden(&self, resource_type: ResourceType, purpose: Option<&str>) -> impl Iterator<Item = &str> {
        let hides = self.hides.iter();
        let hides =
            hides.filter(move |it| it.resource_type == resource_type && is_for(&it.purposes, purpose));
        hides.flat_map(|it| it.elements.iter().map(|it| &**it))
    }

    /// The types of which it does not see everything.
    pub fn types_with_hidden_elements(&self) -> impl Iterator<Item = ResourceType> {
        let types: HashSet<ResourceType> = self.hides.iter().map(|it| it.resource_type).collect();
        types.into_iter()
    }

    /// Whether there is anything that it does not see.
    #[must_use]
    pub fn hides_anything(&self) -> bool {
        !self.hides.is_empty()
    }
}

/// Whether a resource is a policy of a role.
#[must_use]
pub fn is_policy(resource: &Resource) -> bool {
    let codings = resource.root().get("code").and_then(|it| it.get("coding"));
    resource.resource_type().name() == "Basic"
        && codings.into_iter().flat_map(Node::items).any(|it| {
            it.string("system").is_some_and(|it| it == POLICY.0)
                && it.string("code").is_some_and(|it| it == POLICY.1)
        })
}

fn set(flag: &mut bool) -> bool {
    *flag = true;
    true
}

fn types_of(words: &[&str]) -> Option<Vec<ResourceType>> {
    let mut types = Vec::new();
    for word in words {
        match *word {
            "*" => types.extend(ResourceType::all()),
            "@directory" => types.extend(REFERENCE.iter().filter_map(|it| ResourceType::parse(it))),
            name => types.push(ResourceType::parse(name)?),
        }
    }
    (!types.is_empty()).then_some(types)
}

fn purposes(codes: &[&str]) -> Option<Vec<&'static str>> {
    codes.iter().map(|it| purpose::known(it)).collect::<Option<Vec<_>>>().filter(|it| !it.is_empty())
}

/// What stands before `for`, and the purposes after it; none for every purpose.
fn for_purposes<'w, 't>(words: &'w [&'t str]) -> Option<(&'w [&'t str], Vec<&'static str>)> {
    let (before, after) = match words.iter().position(|it| *it == "for") {
        Some(place) => (words.get(..place)?, purposes(words.get(place + 1..)?)?),
        None => (words, Vec::new()),
    };
    (!before.is_empty()).then_some((before, after))
}

fn is_for(purposes: &[&'static str], purpose: Option<&str>) -> bool {
    purposes.is_empty()
        || purpose.is_some_and(|purpose| purposes.iter().any(|it| purpose::is_within(purpose, it)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;

    fn of(name: &str) -> ResourceType {
        ResourceType::parse(name).unwrap()
    }

    #[test]
    fn our_own_lines_are_understood() {
        let mut role = Role::default();
        for line in ROLES.lines().filter(|it| !it.starts_with('#') && !it.starts_with("role\t")) {
            assert!(role.add(line), "{line}");
        }
        let roles = Role::embedded();
        let mut names: Vec<&str> = roles.keys().map(|it| &**it).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "admin",
                "auditor",
                "billing",
                "nurse",
                "patient",
                "privacy-officer",
                "provider",
                "server",
                "system"
            ]
        );
    }

    #[test]
    fn each_role_may_what_it_is_there_for() {
        let roles = Role::embedded();
        let may = |role: &str, permission, name: &str| roles[role].may(permission, of(name));
        assert!(may("provider", Permission::Create, "Condition"));
        assert!(
            may("billing", Permission::Read, "Claim") && !may("billing", Permission::Read, "Observation")
        );
        assert!(
            may("auditor", Permission::Search, "AuditEvent") && !may("auditor", Permission::Read, "Patient")
        );
        assert!(!may("admin", Permission::Read, "Patient") && may("admin", Permission::Update, "Basic"));
        assert!(!may("nurse", Permission::Read, "AuditEvent") && may("nurse", Permission::Read, "Patient"));
    }

    #[test]
    fn labels_open_for_a_purpose() {
        let roles = Role::embedded();
        assert!(roles["provider"].opens("hiv", Some("ETREAT")));
        assert!(!roles["provider"].opens("hiv", Some("HRESCH")) && !roles["provider"].opens("hiv", None));
        assert!(!roles["provider"].opens("substance-use", Some("TREAT")));
        assert!(roles["patient"].opens("substance-use", None));
        assert_eq!(roles["billing"].hidden(of("Condition"), Some("HPAYMT")).next(), Some("note"));
        assert_eq!(roles["billing"].hidden(of("Claim"), Some("HPAYMT")).next(), None);
    }

    #[test]
    fn a_policy_is_read_from_a_resource_and_refused_where_it_is_not_understood() {
        let policy = |line: &str| {
            let text = format!(
                r#"{{"resourceType":"Basic","code":{{"coding":[{{"system":"{}","code":"role"}}]}},"extension":[{{"url":"{ROLE_EXTENSION}","valueCode":"nurse"}},{{"url":"{LINE_EXTENSION}","valueString":"purpose TREAT"}},{{"url":"{LINE_EXTENSION}","valueString":"{line}"}}]}}"#,
                POLICY.0
            );
            Role::of_policy(&Resource::parse(text, &Limits::default()).unwrap())
        };
        let role = policy("may rs Patient").unwrap().unwrap();
        assert_eq!((&*role.name, role.may(Permission::Read, of("Patient"))), ("nurse", true));
        for line in
            ["may xyz Patient", "may rs Pat", "open everything", "care optional", "hide Patient", "sing"]
        {
            let outcome = policy(line).unwrap_err();
            assert_eq!(
                outcome.issues()[0].expression.first().map(String::as_str),
                Some("Basic.extension"),
                "{line}"
            );
        }
    }
}

//! The walk over a resource: what is kept of it, built anew.

use super::policy::{Action, Rule};
use super::value::{self, OLDEST};
use super::{Deidentifier, Method, Removed};
use crate::fhir::date_time::Time;
use crate::fhir::id::ResourceType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use crate::fhir::tree::Tree;
use crate::fhir::types::{Element, TypeId, TypeKind};

/// Where what was absolute stands: a base that is nobody's server.
const ELSEWHERE: &str = "https://vesta.example/deidentified";
/// Why something that is required is not there.
const ABSENT: &str = r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}"#;
/// What stands where the year of birth would say that somebody is the oldest.
const OLD: &str = r#"{"extension":[{"url":"https://vesta.example/fhir/StructureDefinition/age-group","valueCode":"90-or-older"}]}"#;
/// How a resource is labelled.
const LABEL: &str =
    r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"PSEUDED"}"#;

/// What may not be understood without something that is not kept.
struct Withheld;

pub(super) struct Walk<'a> {
    it: &'a Deidentifier,
    days: i64,
    pub(super) removed: Removed,
}

type Members = Vec<(String, Tree)>;

impl<'a> Walk<'a> {
    pub(super) fn new(it: &'a Deidentifier, days: i64) -> Walk<'a> {
        Walk { it, days, removed: Removed::new() }
    }

    /// A resource that stands by itself.
    pub(super) fn whole(&mut self, node: Node<'_>) -> Option<Tree> {
        let mut tree = self.resource(node, false)?;
        keep_what_is_referred_to(&mut tree);
        label(&mut tree);
        Some(tree)
    }

    fn resource(&mut self, node: Node<'_>, is_contained: bool) -> Option<Tree> {
        let name = node.string("resourceType")?;
        let of = ResourceType::parse(&name)?;
        let type_id = self.it.definitions.types.id(of.name())?;
        let is_open = !self.it.policy.is_withheld(of) && node.get("implicitRules").is_none();
        let members = is_open.then(|| self.members(node, type_id)).and_then(Result::ok);
        let Some(members) = members else {
            self.remove("resource");
            return None;
        };
        let mut all = vec![("resourceType".to_owned(), Tree::string(of.name()))];
        if let Some(id) = node.string("id") {
            let kind = if is_contained { "contained" } else { of.name() };
            all.push(("id".to_owned(), Tree::string(&self.name(kind, &id))));
        }
        all.extend(members);
        Some(Tree::Object(all))
    }

    fn members(&mut self, node: Node<'_>, of: TypeId) -> Result<Members, Withheld> {
        let mut members = Members::new();
        let definitions = &*self.it.definitions;
        for (key, value) in node.members() {
            let Some(key) = key.as_str() else { continue };
            match &*key {
                "resourceType" | "id" | "implicitRules" => continue,
                "modifierExtension" if value.is_array() => {
                    // Without it the rest might mean something else.
                    self.remove("extension");
                    return Err(Withheld);
                }
                "extension" => {
                    self.extensions(value, &mut members);
                    continue;
                }
                _ => {}
            }
            if let Some(name) = key.strip_prefix('_') {
                self.companion(node, name, value, &mut members);
                continue;
            }
            let Some(member) = definitions.types.member(of, &key) else {
                self.remove("other");
                continue;
            };
            let (element, type_id) = (member.element, member.type_id);
            let rule = self.it.policy.rule(&definitions.types, of, &element.name, type_id);
            let kept: Vec<Tree> = value
                .each()
                .filter(|it| !it.is_null())
                .filter_map(|it| self.value(it, &rule, type_id, &element.name))
                .collect();
            self.put(&mut members, &key, (element, type_id), kept);
        }
        Ok(members)
    }

    fn put(&mut self, members: &mut Members, key: &str, of: (&Element, TypeId), mut kept: Vec<Tree>) {
        let (element, type_id) = of;
        let types = &self.it.definitions.types;
        let is_primitive = types.is_primitive(type_id);
        let absent = || Tree::Leaf(ABSENT.to_owned());
        match (kept.is_empty(), element.is_list()) {
            (false, true) => members.push((key.to_owned(), Tree::Array(kept))),
            (false, false) => members.extend(kept.pop().map(|it| (key.to_owned(), it))),
            (true, _) if key == "birthDate" && self.it.method == Method::SafeHarbor => {
                members.push(("_birthDate".to_owned(), Tree::Leaf(OLD.to_owned())));
            }
            (true, _)
                if element.min == 0 || types.get(type_id).is_some_and(|it| it.kind == TypeKind::Resource) => {
            }
            (true, true) if is_primitive => {
                members.push((key.to_owned(), Tree::Array(vec![Tree::Leaf("null".to_owned())])));
                members.push((format!("_{key}"), Tree::Array(vec![absent()])));
            }
            (true, false) if is_primitive => members.push((format!("_{key}"), absent())),
            (true, true) => members.push((key.to_owned(), Tree::Array(vec![absent()]))),
            (true, false) => members.push((key.to_owned(), absent())),
        }
    }

    /// The extensions of a primitive value: those that are known, where the value itself is not there.
    fn companion(&mut self, node: Node<'_>, name: &str, value: Node<'_>, members: &mut Members) {
        if !value.is_object() || node.get(name).is_some() {
            self.remove("extension");
            return;
        }
        let mut inner = Members::new();
        if let Some(extensions) = value.get("extension") {
            self.extensions(extensions, &mut inner);
        }
        if !inner.is_empty() {
            members.push((format!("_{name}"), Tree::Object(inner)));
        }
    }

    fn extensions(&mut self, value: Node<'_>, members: &mut Members) {
        let mut kept = Vec::new();
        for extension in value.each() {
            let url = extension.string("url").unwrap_or_default();
            let policy = std::sync::Arc::clone(&self.it.policy);
            let parts = policy.extension(&url);
            match parts.and_then(|parts| self.extension(extension, &url, parts)) {
                Some(tree) => kept.push(tree),
                None => self.remove("extension"),
            }
        }
        if !kept.is_empty() {
            members.push(("extension".to_owned(), Tree::Array(kept)));
        }
    }

    fn extension(&mut self, node: Node<'_>, url: &str, parts: &[&str]) -> Option<Tree> {
        let definitions = &*self.it.definitions;
        let of = definitions.types.id("Extension")?;
        let mut members = vec![("url".to_owned(), Tree::string(url))];
        if let Some(nested) = node.get("extension") {
            let mut kept = Vec::new();
            for part in nested.items() {
                let name = part.string("url").unwrap_or_default();
                let known = parts.iter().find(|it| ***it == *name);
                match known.and_then(|name| self.extension(part, name, &[])) {
                    Some(tree) => kept.push(tree),
                    None => self.remove("extension"),
                }
            }
            if !kept.is_empty() {
                members.push(("extension".to_owned(), Tree::Array(kept)));
            }
        }
        for (key, value) in node.members() {
            let Some(key) = key.as_str().filter(|it| it.starts_with("value")) else { continue };
            let Some(member) = definitions.types.member(of, &key) else { continue };
            let rule = self.it.policy.rule(&definitions.types, of, "value", member.type_id);
            if let Some(tree) = self.value(value, &rule, member.type_id, "value") {
                members.push((key.into_owned(), tree));
            }
        }
        // An extension says something, or it is none.
        (members.len() > 1).then_some(Tree::Object(members))
    }

    fn value(&mut self, node: Node<'_>, rule: &Rule, of: TypeId, element: &str) -> Option<Tree> {
        if self.it.definitions.types.get(of).is_some_and(|it| it.kind == TypeKind::Resource) {
            return self.resource(node, element == "contained");
        }
        let kept = self.kept(node, rule.action(self.it.method), of);
        if kept.is_none() {
            self.remove(kind(node, rule.kind));
        }
        kept
    }

    fn kept(&mut self, node: Node<'_>, action: Action, of: TypeId) -> Option<Tree> {
        let text = node.as_str();
        let raw = || Some(Tree::Leaf(node.raw().to_owned()));
        let number = node.as_number().unwrap_or_default();
        match action {
            Action::Drop => None,
            // What is kept is never a string that could say anything.
            Action::Keep => {
                raw().filter(|_| node.as_bool().is_some() || text.as_deref().and_then(Time::parse).is_some())
            }
            Action::Walk if node.is_object() => {
                let members = self.members(node, of).ok()?;
                (!members.is_empty()).then_some(Tree::Object(members))
            }
            Action::Walk => None,
            Action::Date => self.date(&text?, of),
            Action::Code => raw().filter(|_| {
                let is_word = |it: &str| self.it.codes.is_word(&self.it.policy, it);
                text.as_deref().is_some_and(is_word)
            }),
            Action::Coding => self.coding(node),
            Action::Quantity => self.quantity(node),
            Action::Integer => match &text {
                // A version is a number in a string.
                Some(text) => raw().filter(|_| text.bytes().all(|it| it.is_ascii_digit()) && text.len() <= 5),
                None => raw().filter(|_| !number.is_empty() && value::is_measure(number, 5)),
            },
            Action::Decimal => raw().filter(|_| !number.is_empty() && value::is_measure(number, 7)),
            Action::Small => raw().filter(|_| value::is_small(number)),
            Action::Reference => self.reference(node),
            Action::Url => Some(Tree::string(&self.url(&text?, true)?)),
            Action::Address => self.address(node, of),
            Action::Attachment => {
                let media = node.string("contentType")?;
                self.remove("attachment");
                let is_known = self.it.codes.is_word(&self.it.policy, &media);
                is_known.then(|| Tree::Object(vec![("contentType".to_owned(), Tree::string(&media))]))
            }
            Action::Name => Some(Tree::string(&self.name("name", &text?))),
        }
    }

    fn date(&mut self, text: &str, of: TypeId) -> Option<Tree> {
        let is_instant = self.it.definitions.types.name(of) == "instant";
        let date = value::date(self.it.method, text, is_instant, (self.it.year, self.days))?;
        if date != text {
            self.remove("date");
        }
        Some(Tree::string(&date))
    }

    /// The system and the code alone, where the code is known; what it is called is the code system's to say.
    fn coding(&mut self, node: Node<'_>) -> Option<Tree> {
        let (system, code) = (node.string("system")?, node.string("code")?);
        if !self.it.codes.is_known(&self.it.policy, &system, &code) {
            return None;
        }
        if node.get("display").is_some() {
            self.remove("free-text");
        }
        let mut members =
            vec![("system".to_owned(), Tree::string(&system)), ("code".to_owned(), Tree::string(&code))];
        if let Some(chosen) = node.get("userSelected").and_then(|it| it.as_bool()) {
            members.push(("userSelected".to_owned(), Tree::Leaf(chosen.to_string())));
        }
        Some(Tree::Object(members))
    }

    fn quantity(&mut self, node: Node<'_>) -> Option<Tree> {
        let mut members = Members::new();
        let (system, code) = (node.string("system"), node.string("code"));
        let unit =
            system.zip(code).filter(|(system, code)| self.it.codes.is_known(&self.it.policy, system, code));
        let (mut number, mut comparator) = (None, node.string("comparator"));
        if let Some(value) = node.get("value").and_then(|it| it.as_number()) {
            let most = if unit.is_some() { 8 } else { 4 };
            number = Some(value.to_owned()).filter(|it| value::is_measure(it, most));
            let oldest = unit.as_ref().and_then(|(_, code)| value::oldest_in(code));
            let oldest = oldest.filter(|_| self.it.method == Method::SafeHarbor);
            if let Some(oldest) = oldest
                && value.parse::<f64>().is_ok_and(|it| it > f64::from(oldest))
            {
                // Everybody who is older is as old as this.
                number = Some((oldest / u32::from(OLDEST.unsigned_abs()) * 90).to_string());
                comparator = Some(">=".into());
                self.remove("age");
            }
        }
        members.push(("value".to_owned(), Tree::Leaf(number?)));
        let comparator = comparator.filter(|it| matches!(&**it, "<" | "<=" | ">=" | ">"));
        members.extend(comparator.map(|it| ("comparator".to_owned(), Tree::string(&it))));
        if let Some((system, code)) = unit {
            members.push(("unit".to_owned(), Tree::string(&code)));
            members.push(("system".to_owned(), Tree::string(&system)));
            members.push(("code".to_owned(), Tree::string(&code)));
        } else if node.get("unit").is_some() || node.get("code").is_some() {
            self.remove("free-text");
        }
        Some(Tree::Object(members))
    }

    fn reference(&mut self, node: Node<'_>) -> Option<Tree> {
        let text = node.string("reference")?;
        let url = self.url(&text, false)?;
        if node.get("display").is_some() {
            self.remove("name");
        }
        if node.get("identifier").is_some() {
            self.remove("identifier");
        }
        let mut members = vec![("reference".to_owned(), Tree::string(&url))];
        let of = node.string("type").and_then(|it| ResourceType::parse(&it));
        members.extend(of.map(|it| ("type".to_owned(), Tree::string(it.name()))));
        Some(Tree::Object(members))
    }

    /// The same place under its pseudonym; nothing for what names no resource.
    fn url(&mut self, text: &str, is_absolute: bool) -> Option<String> {
        self.remove("reference");
        Some(match Reference::parse(text)? {
            Reference::Contained("") => "#".to_owned(),
            Reference::Contained(id) => format!("#{}", self.name("contained", id)),
            Reference::Urn(urn) => {
                let name = self.name("urn", urn);
                let part = |from: usize, until: usize| name.get(from..until).unwrap_or_default();
                let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
                format!("urn:uuid:{}", parts.join("-"))
            }
            Reference::Resource { base, resource_type, id, .. } => {
                let relative = format!("{resource_type}/{}", self.name(resource_type.name(), id.as_str()));
                match base {
                    Some(base) if base != self.it.base => {
                        format!("{ELSEWHERE}/{}/{relative}", self.name("server", base))
                    }
                    Some(_) if is_absolute => format!("{ELSEWHERE}/{relative}"),
                    _ => relative,
                }
            }
            Reference::Conditional { .. } | Reference::Url(_) => return None,
        })
    }

    fn address(&mut self, node: Node<'_>, of: TypeId) -> Option<Tree> {
        let (policy, method) = (std::sync::Arc::clone(&self.it.policy), self.it.method);
        let mut members = Members::new();
        let mut put = |name: &str, value: Option<String>| {
            members.extend(value.map(|it| (name.to_owned(), Tree::string(&it))));
        };
        let text = |name: &str| node.string(name).map(|it| it.into_owned());
        for name in ["use", "type"] {
            put(name, text(name).filter(|it| self.it.codes.is_word(&policy, it)));
        }
        if matches!(method, Method::Limited { .. }) {
            put("city", text("city").filter(|it| value::is_town(it)));
        }
        put("state", text("state").filter(|it| policy.is_state(it)));
        let country = text("country").filter(|it| self.it.codes.is_country(it));
        let is_here = match node.get("country") {
            None => true,
            Some(_) => country.as_deref().is_some_and(|it| matches!(it, "US" | "USA" | "United States")),
        };
        let zip = text("postalCode").filter(|_| is_here);
        put("postalCode", zip.and_then(|it| value::zip(&policy, method, &it)));
        put("country", country);
        let types = &self.it.definitions.types;
        if let (Some(period), Some(member)) = (node.get("period"), types.member(of, "period"))
            && let Some(tree) = self.kept(period, Action::Walk, member.type_id)
        {
            members.push(("period".to_owned(), tree));
        }
        self.remove("geography");
        (!members.is_empty()).then_some(Tree::Object(members))
    }

    fn name(&self, kind: &str, value: &str) -> String {
        self.it.pseudonym(kind, value)
    }

    fn remove(&mut self, kind: &'static str) {
        *self.removed.entry(kind).or_default() += 1;
    }
}

/// Of which of the eighteen kinds a value is, where its content says.
fn kind(node: Node<'_>, kind: &'static str) -> &'static str {
    match kind {
        "contact" => match node.string("system").as_deref() {
            Some("phone" | "sms" | "pager") => "telephone",
            Some("fax") => "fax",
            Some("email") => "email",
            Some("url") => "url",
            _ => "contact",
        },
        "identifier" => {
            let codings = node.get("type").and_then(|it| it.get("coding"));
            let code = codings.into_iter().flat_map(|it| it.items()).find_map(|it| it.string("code"));
            match (code.as_deref(), node.string("system").as_deref()) {
                (Some("SS" | "SB"), _) | (_, Some("http://hl7.org/fhir/sid/us-ssn")) => "social-security",
                (Some("MR" | "PI" | "PT"), _) => "medical-record",
                (Some("MB" | "SN" | "HC" | "MC" | "MA"), _) => "health-plan",
                (Some("AN" | "BA" | "CC"), _) => "account",
                (Some("DL" | "PPN" | "LN" | "MD"), _) => "licence",
                (Some("UDI" | "SNO"), _) => "device",
                _ => "identifier",
            }
        }
        kind => kind,
    }
}

/// Contained resources to which nothing refers any more say nothing.
fn keep_what_is_referred_to(tree: &mut Tree) {
    let text = tree.to_json();
    let Tree::Object(members) = tree else { return };
    members.retain_mut(|(name, value)| {
        let (true, Tree::Array(items)) = (name == "contained", value) else { return true };
        items.retain(|it| match it.get("id") {
            Some(Tree::Leaf(id)) => {
                let id = id.trim_matches('"');
                text.contains(&format!("\"#{id}\"")) || it.to_json().contains("\"reference\":\"#\"")
            }
            _ => false,
        });
        !items.is_empty()
    });
}

/// Says in `meta.security` that it is pseudonymized.
fn label(tree: &mut Tree) {
    let label = Tree::Leaf(LABEL.to_owned());
    let security = |items: Vec<Tree>| ("security".to_owned(), Tree::Array(items));
    if let Some(Tree::Object(meta)) = tree.get_mut("meta") {
        match meta.iter_mut().find(|(name, _)| name == "security") {
            Some((_, Tree::Array(items))) => items.push(label),
            _ => meta.push(security(vec![label])),
        }
    } else if let Tree::Object(members) = tree {
        let place = members.iter().position(|(name, _)| name == "id").map_or(1, |it| it + 1);
        members
            .insert(place.min(members.len()), ("meta".to_owned(), Tree::Object(vec![security(vec![label])])));
    }
}

//! What a value set holds: made ready once, then asked code by code, or written out.
//!
//! <https://hl7.org/fhir/R4/valueset.html#expansion>
//!
//! A code is asked for without writing the set out, so large sets cost nothing to ask.

use super::code_system::{CodeSystem, Concept, Designation};
use super::filter::Test;
use super::is_code_of;
use super::library::{Library, canonical};
use super::value_set::{Clause, ListedConcept, ValueSet};
use crate::fhir::issue_type::IssueType;
use crate::fhir::outcome::{Issue, Outcome};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// The deepest import of value sets by value sets.
const DEEPEST: usize = 32;

/// A value set that is ready to be asked.
pub struct Ready<'a> {
    include: Vec<Part<'a>>,
    exclude: Vec<Part<'a>>,
    has_inactive: bool,
    is_partial: bool,
}

struct Part<'a> {
    url: Option<&'a str>,
    version: Option<&'a str>,
    system: Option<&'a CodeSystem>,
    listed: &'a [ListedConcept],
    places: HashMap<&'a str, usize>,
    tests: Vec<Test<'a>>,
    value_sets: Vec<Rc<Ready<'a>>>,
}

/// A code of a value set.
#[derive(Clone, Debug, Default)]
pub struct Member<'a> {
    /// Its code system.
    pub system: &'a str,
    /// The version of the code system, where one is known.
    pub version: Option<&'a str>,
    /// The code.
    pub code: &'a str,
    /// What the code system knows of it.
    pub concept: Option<&'a Concept>,
    /// What the value set says of it.
    pub listed: Option<&'a ListedConcept>,
    /// The codes right above it.
    pub parents: Vec<&'a str>,
}

/// Whether a code is in a value set.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// It is.
    In(Member<'a>),
    /// It is not.
    Out,
    /// That cannot be told without the code system of that canonical.
    Unknown(String),
}

impl<'a> Member<'a> {
    /// What it is called, in that language where there is such a name.
    #[must_use]
    pub fn display(&self, language: Option<&str>) -> Option<&'a str> {
        let listed = self.listed.and_then(|it| it.display.as_deref());
        match language {
            None => listed.or_else(|| self.concept.and_then(|it| it.display.as_deref())),
            Some(_) => self.concept.and_then(|it| it.display_in(language)).or(listed),
        }
    }

    /// Whether it may be used in a record no more.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        self.concept.is_some_and(Concept::is_inactive)
    }

    /// What else it is called, by the value set and by the code system.
    pub fn designations(&self) -> impl Iterator<Item = &'a Designation> {
        let listed = self.listed.into_iter().flat_map(|it| &it.designations);
        listed.chain(self.concept.into_iter().flat_map(|it| &it.designations))
    }

    /// Whether any of its names holds that text.
    #[must_use]
    pub fn is_named(&self, lower: &str) -> bool {
        let holds = |it: &str| it.to_lowercase().contains(lower);
        holds(self.code)
            || self.display(None).is_some_and(holds)
            || self.designations().any(|it| holds(&it.value))
    }
}

impl<'a> Ready<'a> {
    /// Makes a value set ready with what the library has.
    ///
    /// # Errors
    /// A value set that it imports is not there or imports it in turn, or a filter is not understood.
    pub fn new(library: &'a Library, value_set: &'a ValueSet) -> Result<Ready<'a>, Outcome> {
        let mut made = HashMap::new();
        ready(library, value_set, &mut made, &mut vec![value_set.canonical()])
    }

    /// Whether a code of a system is in it.
    #[must_use]
    pub fn coding(&self, system: &str, version: Option<&str>, code: &str) -> Answer<'a> {
        let mut unknown = None;
        let mut found = None;
        for part in &self.include {
            match part.coding(system, version, code) {
                Answer::In(member) => {
                    found = Some(member);
                    break;
                }
                Answer::Unknown(canonical) => unknown = Some(canonical),
                Answer::Out => {}
            }
        }
        if self.is_partial && found.is_none() && unknown.is_none() {
            unknown = Some(system.to_owned());
        }
        let Some(member) = found else { return unknown.map_or(Answer::Out, Answer::Unknown) };
        if !self.has_inactive && member.is_inactive() {
            return Answer::Out;
        }
        for part in &self.exclude {
            match part.coding(system, version, code) {
                Answer::In(_) => return Answer::Out,
                Answer::Unknown(canonical) => return Answer::Unknown(canonical),
                Answer::Out => {}
            }
        }
        Answer::In(member)
    }

    /// The systems that it takes codes from.
    #[must_use]
    pub fn systems(&self) -> BTreeSet<&'a str> {
        let mut systems = BTreeSet::new();
        for part in &self.include {
            systems.extend(part.url);
            systems.extend(part.value_sets.iter().flat_map(|it| it.systems()));
        }
        systems
    }

    /// Everything that it holds, each code once, in the order of its definition.
    ///
    /// # Errors
    /// There are more than `most`, or what is asked for cannot be listed.
    pub fn members(&self, most: usize) -> Result<Vec<Member<'a>>, Outcome> {
        if self.is_partial {
            return Err(Outcome::not_supported(
                "the value set draws on code systems that are not known here",
            ));
        }
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        for part in &self.include {
            part.each(most, &mut |member| {
                if !seen.insert((member.system, member.code)) || (!self.has_inactive && member.is_inactive())
                {
                    return Ok(());
                }
                for excluded in &self.exclude {
                    match excluded.coding(member.system, member.version, member.code) {
                        Answer::In(_) => return Ok(()),
                        Answer::Unknown(canonical) => return Err(unknown_system(&canonical)),
                        Answer::Out => {}
                    }
                }
                if members.len() >= most {
                    return Err(too_many(most));
                }
                members.push(member);
                Ok(())
            })?;
        }
        Ok(members)
    }
}

/// The refusal to write out what is too large.
fn too_many(most: usize) -> Outcome {
    Outcome::too_costly(format!("the value set has more than {most} codes, narrow it down"))
}

/// What is said of a code system that is not here.
#[must_use]
pub fn unknown_system(canonical: &str) -> Outcome {
    Issue::error(IssueType::NotFound, format!("the code system {canonical} is not known here")).into()
}

/// What is said of a value set that is not here.
#[must_use]
pub fn unknown_value_set(canonical: &str) -> Outcome {
    Issue::error(IssueType::NotFound, format!("the value set {canonical} is not known here")).into()
}

type Made<'a> = HashMap<String, Rc<Ready<'a>>>;

fn ready<'a>(
    library: &'a Library,
    value_set: &'a ValueSet,
    made: &mut Made<'a>,
    path: &mut Vec<String>,
) -> Result<Ready<'a>, Outcome> {
    let mut parts = |clauses: &'a [Clause]| -> Result<Vec<Part<'a>>, Outcome> {
        clauses.iter().map(|it| part(library, it, made, path)).collect()
    };
    Ok(Ready {
        include: parts(&value_set.include)?,
        exclude: parts(&value_set.exclude)?,
        has_inactive: value_set.includes_inactive != Some(false),
        is_partial: value_set.is_partial,
    })
}

fn part<'a>(
    library: &'a Library,
    clause: &'a Clause,
    made: &mut Made<'a>,
    path: &mut Vec<String>,
) -> Result<Part<'a>, Outcome> {
    let mut value_sets = Vec::new();
    for url in &clause.value_sets {
        if let Some(it) = made.get(url) {
            value_sets.push(Rc::clone(it));
            continue;
        }
        let imported = library.value_set(url).ok_or_else(|| unknown_value_set(url))?;
        let name = imported.canonical();
        if path.contains(&name) {
            return Err(Outcome::business_rule("the value set imports itself"));
        }
        if path.len() >= DEEPEST {
            return Err(Outcome::too_costly("the value set imports others too deeply"));
        }
        path.push(name);
        let it = Rc::new(ready(library, imported, made, path)?);
        path.pop();
        made.insert(url.clone(), Rc::clone(&it));
        value_sets.push(it);
    }
    let version = clause.version.as_deref();
    let url = clause.system.as_deref();
    let system = url.and_then(|it| library.code_system(&canonical(it, version))).map(AsRef::as_ref);
    if let (false, None, Some(url)) = (clause.filters.is_empty(), system, url) {
        return Err(unknown_system(&canonical(url, version)));
    }
    let tests = system
        .into_iter()
        .flat_map(|system| clause.filters.iter().map(|it| Test::new(system, it)))
        .collect::<Result<_, _>>()?;
    let places = clause.concepts.iter().enumerate().map(|(place, it)| (it.code.as_str(), place)).collect();
    Ok(Part { url, version, system, listed: &clause.concepts, places, tests, value_sets })
}

impl<'a> Part<'a> {
    fn coding(&self, system: &str, version: Option<&str>, code: &str) -> Answer<'a> {
        let own = match self.url {
            Some(url) if url == system => self.own(version, code),
            Some(_) => return Answer::Out,
            None if self.value_sets.is_empty() => return Answer::Out,
            None => None,
        };
        let mut answer = match own {
            None => Answer::Out,
            Some(Answer::In(member)) => Answer::In(member),
            Some(other) => return other,
        };
        for value_set in &self.value_sets {
            match value_set.coding(system, version, code) {
                Answer::In(member) if self.url.is_none() => answer = Answer::In(member),
                Answer::In(_) => {}
                other => return other,
            }
        }
        answer
    }

    /// What its own system and list say; listed codes are checked against the system where it is here.
    fn own(&self, version: Option<&str>, code: &str) -> Option<Answer<'a>> {
        let url = self.url?;
        if let (Some(asked), Some(own)) = (version, self.version)
            && asked != own
        {
            return Some(Answer::Out);
        }
        if !self.listed.is_empty() {
            let concept = self.system.and_then(|it| it.concept(code));
            let place = self.places.get(code).or_else(|| self.places.get(concept?.code.as_str()));
            let listed = place.and_then(|it| self.listed.get(*it));
            return Some(match listed {
                Some(_) if self.system.is_some_and(|it| it.is_complete() && concept.is_none()) => Answer::Out,
                Some(listed) => Answer::In(self.member(&listed.code, concept, Some(listed))?),
                None => Answer::Out,
            });
        }
        let Some(system) = self.system else {
            return Some(match is_code_of(url, code) {
                Some(false) => Answer::Out,
                // The code itself lives only as long as the question: whoever asks knows it.
                Some(true) => Answer::In(Member { system: url, version: self.version, ..Member::default() }),
                None => Answer::Unknown(canonical(url, self.version)),
            });
        };
        let Some(place) = system.place(code) else {
            return Some(match system.is_complete() || !self.tests.is_empty() {
                true => Answer::Out,
                false => Answer::Unknown(system.canonical()),
            });
        };
        let concept = system.concepts.get(place)?;
        Some(match self.tests.iter().all(|it| it.is_satisfied(place, concept)) {
            true => Answer::In(self.member(&concept.code, Some(concept), None)?),
            false => Answer::Out,
        })
    }

    fn member(
        &self,
        code: &'a str,
        concept: Option<&'a Concept>,
        listed: Option<&'a ListedConcept>,
    ) -> Option<Member<'a>> {
        let version = self.system.and_then(|it| it.version.as_deref()).or(self.version);
        let parents = concept.into_iter().flat_map(|it| &it.parents);
        let parents =
            parents.filter_map(|it| self.system?.concepts.get(*it)).map(|it| it.code.as_str()).collect();
        Some(Member { system: self.url?, version, code, concept, listed, parents })
    }

    fn each(
        &self,
        most: usize,
        put: &mut dyn FnMut(Member<'a>) -> Result<(), Outcome>,
    ) -> Result<(), Outcome> {
        let mut put_checked = |member: Member<'a>, sets: &[Rc<Ready<'a>>]| {
            for value_set in sets {
                match value_set.coding(member.system, member.version, member.code) {
                    Answer::In(_) => {}
                    Answer::Out => return Ok(()),
                    Answer::Unknown(canonical) => return Err(unknown_system(&canonical)),
                }
            }
            put(member)
        };
        let Some(url) = self.url else {
            let Some((first, others)) = self.value_sets.split_first() else { return Ok(()) };
            return first.members(most)?.into_iter().try_for_each(|it| put_checked(it, others));
        };
        if !self.listed.is_empty() {
            for listed in self.listed {
                let concept = self.system.and_then(|it| it.concept(&listed.code));
                if self.system.is_some_and(CodeSystem::is_complete) && concept.is_none() {
                    continue;
                }
                if let Some(member) = self.member(&listed.code, concept, Some(listed)) {
                    put_checked(member, &self.value_sets)?;
                }
            }
            return Ok(());
        }
        let Some(system) = self.system else {
            if is_code_of(url, "").is_some() {
                return Err(Outcome::too_costly("the code system is a grammar and cannot be listed"));
            }
            return Err(unknown_system(&canonical(url, self.version)));
        };
        if system.is_excerpt && !self.tests.iter().any(Test::is_near) {
            return Err(Outcome::too_costly(
                "the code system is too large to be listed without a filter by hierarchy",
            ));
        }
        for (place, concept) in system.concepts.iter().enumerate() {
            if self.tests.iter().all(|it| it.is_satisfied(place, concept))
                && let Some(member) = self.member(&concept.code, Some(concept), None)
            {
                put_checked(member, &self.value_sets)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::json::Limits;
    use crate::fhir::resource::Resource;
    use serde_json::{Value, json};

    fn library(more: &[Value]) -> Library {
        let animals = json!({"resourceType": "CodeSystem", "url": "urn:animals", "content": "complete", "version": "1",
        "concept": [
            {"code": "animal", "display": "Animal", "concept": [
                {"code": "cat", "display": "Cat", "property": [{"code": "legs", "valueInteger": 4}]},
                {"code": "bird", "display": "Bird", "property": [{"code": "legs", "valueInteger": 2}],
                 "designation": [{"language": "de", "value": "Vogel"}], "concept": [{"code": "owl"}]}]},
            {"code": "dodo", "property": [{"code": "parent", "valueCode": "bird"}, {"code": "inactive", "valueBoolean": true}]}
        ]});
        let mut library = Library::default();
        for it in [&[animals], more].concat() {
            library.add(&Resource::parse(it.to_string(), &Limits::default()).unwrap());
        }
        library
    }

    fn value_set(url: &str, compose: &Value) -> Value {
        json!({"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose})
    }

    fn expanded(compose: &Value) -> Result<Vec<String>, String> {
        let library = library(&[
            value_set("urn:v", compose),
            value_set("urn:birds", &filtered("concept", "is-a", "bird")),
        ]);
        let value_set = library.value_set("urn:v").unwrap();
        let say = |it: Outcome| it.issues()[0].code.code().to_owned();
        let ready = Ready::new(&library, value_set).map_err(say)?;
        let members = ready.members(100).map_err(say)?;
        for member in &members {
            assert!(
                matches!(ready.coding("urn:animals", None, member.code), Answer::In(_)),
                "{}",
                member.code
            );
        }
        Ok(members.iter().map(|it| it.code.to_owned()).collect())
    }

    fn filtered(property: &str, op: &str, value: &str) -> Value {
        json!({"include": [{"system": "urn:animals", "filter": [{"property": property, "op": op, "value": value}]}]})
    }

    #[test]
    fn filters_choose_concepts() {
        for (property, op, value, expected) in [
            ("concept", "is-a", "bird", vec!["bird", "owl", "dodo"]),
            ("concept", "descendent-of", "bird", vec!["owl", "dodo"]),
            ("concept", "is-not-a", "bird", vec!["animal", "cat"]),
            ("concept", "generalizes", "owl", vec!["animal", "bird", "owl"]),
            ("concept", "is-a", "nothing", vec![]),
            ("legs", "=", "2", vec!["bird"]),
            ("legs", "in", "2,4", vec!["cat", "bird"]),
            ("legs", "not-in", "2,4", vec!["animal", "owl", "dodo"]),
            ("legs", "exists", "true", vec!["cat", "bird"]),
            ("code", "regex", "[co].*", vec!["cat", "owl"]),
            ("display", "regex", "B.*", vec!["bird"]),
            ("parent", "=", "bird", vec!["owl", "dodo"]),
        ] {
            assert_eq!(
                expanded(&filtered(property, op, value)).unwrap(),
                expected,
                "{property} {op} {value}"
            );
        }
        assert_eq!(expanded(&filtered("code", "regex", "(")).unwrap_err(), "invalid");
        assert_eq!(expanded(&filtered("code", "nonsense", "(")).unwrap_err(), "not-supported");
    }

    #[test]
    fn sets_are_composed_of_sets() {
        let bird = json!({"valueSet": ["urn:birds"]});
        let two = json!({"include": [{"system": "urn:animals", "valueSet": ["urn:birds"],
            "concept": [{"code": "owl"}, {"code": "cat"}, {"code": "unknown"}]}]});
        assert_eq!(expanded(&json!({"include": [bird]})).unwrap(), ["bird", "owl", "dodo"]);
        assert_eq!(expanded(&two).unwrap(), ["owl"]);
        let less = json!({"inactive": false, "include": [{"system": "urn:animals"}], "exclude": [bird]});
        assert_eq!(expanded(&less).unwrap(), ["animal", "cat"]);
        let active = json!({"inactive": false, "include": [bird]});
        assert_eq!(expanded(&active).unwrap(), ["bird", "owl"]);
        assert_eq!(expanded(&json!({"include": [{"valueSet": ["urn:v"]}]})).unwrap_err(), "business-rule");
        assert_eq!(expanded(&json!({"include": [{"valueSet": ["urn:none"]}]})).unwrap_err(), "not-found");
        assert_eq!(expanded(&json!({"include": [{"system": "urn:none"}]})).unwrap_err(), "not-found");
        assert_eq!(expanded(&json!({"include": [{"system": "urn:ietf:bcp:47"}]})).unwrap_err(), "too-costly");
    }
}

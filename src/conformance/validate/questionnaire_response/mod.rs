//! Answers, held against the questionnaire that they answer.
//!
//! <https://hl7.org/fhir/R4/questionnaireresponse.html>, <https://hl7.org/fhir/R4/questionnaire.html>
//!
//! Items stand where the questionnaire has them and in its order; what is required is answered once the response is
//! complete; nobody answers what is not asked. A questionnaire that is not at hand refuses nothing.
//! `questionnaire-constraint` is not evaluated: a response may not bring its own programs.

mod enable;
mod form;
mod limit;
mod option;

use super::Mode;
use super::walk::{Place, Walk};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;
use form::{Asked, Asking, Form};
use std::collections::HashMap;

/// So many answers are looked at for conditions; what comes after counts as not known.
const MOST_STEPS: usize = 1_000_000;

impl<'a> Walk<'_, 'a> {
    /// Holds a response against its questionnaire.
    pub(super) fn questionnaire_response(&mut self, response: Node<'a>, place: Place<'a>) {
        let Some(named) = response.get("questionnaire") else { return };
        let Some(canonical) = named.as_str() else { return };
        let (beside, book) = (self.beside, self.book);
        let questionnaire = match in_container(&canonical, response, place) {
            Some(contained) => Some(contained),
            None => beside.and_then(|it| it.questionnaire(&canonical)).map(|it| it.root()),
        };
        let Some(questionnaire) = questionnaire else {
            if self.mode >= Mode::Full {
                let message = "the questionnaire is not known here: the answers were not compared with it";
                self.warn(named, IssueType::NotFound, "", message);
            }
            return;
        };
        let contained = form::contained_sets(questionnaire);
        let library = beside.map(|it| &it.library);
        let form = Form::new(questionnaire, &canonical, &contained, library, book);
        let status = response.string("status").unwrap_or_default();
        let mut given = HashMap::new();
        index(response, &mut given);
        let mut answers = Answers {
            walk: self,
            form: &form,
            given,
            is_complete: matches!(&*status, "completed" | "amended"),
            steps: 0,
            around: vec![response],
        };
        answers.subject(response, questionnaire);
        answers.level(&form.items, response);
    }
}

/// A questionnaire that comes with the response.
fn in_container<'a>(canonical: &str, response: Node<'a>, place: Place<'a>) -> Option<Node<'a>> {
    let all = [response, place.root].into_iter().filter_map(|it| it.get("contained"));
    let mut all = all.flat_map(Node::items);
    all.find(|it| {
        it.get("resourceType").is_some_and(|of| of.is("Questionnaire"))
            && match canonical.strip_prefix('#') {
                Some(id) => it.get("id").is_some_and(|it| it.is(id)),
                None => it.get("url").is_some_and(|it| it.is(canonical)),
            }
    })
}

/// Every item of a response by its linkId, in the order of the text.
fn index<'a>(holder: Node<'a>, given: &mut HashMap<String, Vec<Node<'a>>>) {
    for item in items(holder, "item") {
        if let Some(link_id) = item.string("linkId") {
            given.entry(link_id.into_owned()).or_default().push(item);
        }
        index(item, given);
        for answer in items(item, "answer") {
            index(answer, given);
        }
    }
}

fn items<'n>(of: Node<'n>, name: &str) -> impl Iterator<Item = Node<'n>> {
    of.get(name).into_iter().flat_map(Node::items).filter(|it| it.is_object())
}

/// A comparison under way.
struct Answers<'w, 'd, 'a, 'q> {
    walk: &'w mut Walk<'d, 'a>,
    form: &'w Form<'q>,
    given: HashMap<String, Vec<Node<'a>>>,
    /// Somebody said that nothing is missing.
    is_complete: bool,
    steps: usize,
    /// What holds the items that are looked at, the outermost first.
    around: Vec<Node<'a>>,
}

impl<'a> Answers<'_, '_, 'a, '_> {
    fn complain(&mut self, at: Node<'_>, code: IssueType, message: impl Into<String>) {
        self.walk.complain(at, code, &self.form.rule, message);
    }

    fn subject(&mut self, response: Node<'a>, questionnaire: Node<'_>) {
        let Some(allowed) = questionnaire.get("subjectType") else { return };
        let Some(subject) = response.get("subject") else { return };
        let Some(text) = subject.string("reference") else { return };
        if let Some(Reference::Resource { resource_type, .. }) = Reference::parse(&text)
            && !allowed.items().any(|it| it.is(resource_type.name()))
        {
            self.complain(
                subject,
                IssueType::Invalid,
                "the questionnaire is not about subjects of that type",
            );
        }
    }

    /// The items of one level: all known, in order; then each question of that level.
    fn level(&mut self, asking: &Asking<'_>, holder: Node<'a>) {
        let mut of: Vec<Vec<Node<'a>>> = vec![Vec::new(); asking.items.len()];
        let mut last = 0;
        for item in items(holder, "item") {
            let Some(link_id) = item.string("linkId") else { continue };
            let Some(position) = asking.position(&link_id) else {
                let message = match self.form.link_ids.contains(&*link_id) {
                    true => "the questionnaire has this linkId at another place",
                    false => "the questionnaire has no item of this linkId",
                };
                self.complain(item, IssueType::Structure, message);
                continue;
            };
            if position < last {
                self.complain(
                    item,
                    IssueType::Structure,
                    "this item is not in the order of the questionnaire",
                );
            }
            last = last.max(position);
            if let Some(list) = of.get_mut(position) {
                list.push(item);
            }
        }
        for (asked, given) in asking.items.iter().zip(of) {
            self.item(asked, &given, holder);
        }
    }

    fn item(&mut self, asked: &Asked<'_>, given: &[Node<'a>], holder: Node<'a>) {
        let is_enabled = enable::is_enabled(asked.node, |link_id| self.answers_to(link_id));
        if is_enabled == Some(false) {
            for item in given.iter().filter(|it| has_content(**it)) {
                let message = "this is answered, and the questionnaire's conditions do not enable it";
                self.complain(*item, IssueType::BusinessRule, message);
            }
            return;
        }
        let is_missing = match asked.kind.as_str() {
            "display" => false,
            "group" => !given.iter().any(|it| it.get("item").is_some()),
            _ => !given.iter().any(|it| count(*it) > 0),
        };
        if asked.is_required && is_missing && is_enabled == Some(true) && self.is_complete {
            let at = given.first().copied().unwrap_or(holder);
            let message = format!("the required item {} is not answered", asked.link_id);
            self.complain(at, IssueType::Required, message);
        }
        match asked.kind.as_str() {
            "group" => self.group(asked, given),
            "display" => {
                for item in given.iter().filter(|it| it.get("answer").is_some()) {
                    self.complain(*item, IssueType::Structure, "a display item has no answers");
                }
            }
            _ => self.question(asked, given),
        }
    }

    fn group(&mut self, asked: &Asked<'_>, given: &[Node<'a>]) {
        if let Some(second) = given.get(1).filter(|_| !asked.repeats) {
            self.complain(*second, IssueType::Structure, "this group does not repeat");
        }
        for item in given {
            if let Some(answer) = item.get("answer") {
                self.complain(answer, IssueType::Structure, "a group has items, not answers");
            }
            self.within(*item, &asked.inner);
        }
    }

    fn question(&mut self, asked: &Asked<'_>, given: &[Node<'a>]) {
        if let Some(second) = given.get(1) {
            let message = "a question stands once: several answers stand inside of it";
            self.complain(*second, IssueType::Structure, message);
        }
        for item in given {
            if let Some(inner) = item.get("item") {
                let message = "items that belong to a question stand inside of its answers";
                self.complain(inner, IssueType::Structure, message);
            }
            let answers: Vec<Node<'a>> = items(*item, "answer").collect();
            if let Some(second) = answers.get(1).filter(|_| !asked.repeats) {
                self.complain(*second, IssueType::Structure, "this question has only one answer");
            }
            for problem in limit::count(asked, count(*item), self.is_complete) {
                self.complain(*item, IssueType::BusinessRule, problem);
            }
            for answer in &answers {
                self.answer(asked, *answer, answers.len());
                self.within(*answer, &asked.inner);
            }
        }
    }

    fn answer(&mut self, asked: &Asked<'_>, answer: Node<'a>, count: usize) {
        let Some((kind, value)) = form::value_of(answer) else { return };
        if !asked.takes(kind) {
            let message = format!("a question of type {} is not answered by a {kind}", asked.kind);
            return self.complain(value, IssueType::Structure, message);
        }
        for (code, problem) in limit::broken(asked, kind, value, self.form) {
            self.complain(value, code, problem);
        }
        for (at, code, problem) in option::broken(asked, (kind, value), count, self.form) {
            self.complain(at, code, problem);
        }
    }

    fn within(&mut self, holder: Node<'a>, asking: &Asking<'_>) {
        self.around.push(holder);
        self.level(asking, holder);
        self.around.pop();
    }

    /// The answers to a question, as seen from here: those of the same group first, then further out. Nothing
    /// where too many have been looked at.
    fn answers_to(&mut self, link_id: &str) -> Option<Vec<(&'a str, Node<'a>)>> {
        let Some(given) = self.given.get(link_id) else { return Some(Vec::new()) };
        for holder in self.around.iter().rev() {
            let span = holder.span();
            let first = given.partition_point(|it| it.span().start < span.start);
            let inside = given.iter().skip(first).take_while(|it| it.span().end <= span.end);
            let found: Vec<Node<'a>> = inside.copied().collect();
            if found.is_empty() {
                continue;
            }
            self.steps = self.steps.saturating_add(found.len());
            if self.steps > MOST_STEPS {
                return None;
            }
            let answers = found.into_iter().flat_map(|it| items(it, "answer"));
            return Some(answers.filter_map(form::value_of).collect());
        }
        Some(Vec::new())
    }
}

fn has_content(item: Node<'_>) -> bool {
    item.get("answer").is_some() || items(item, "item").any(has_content)
}

/// How many answers have a value.
fn count(item: Node<'_>) -> usize {
    items(item, "answer").filter(|it| form::value_of(*it).is_some()).count()
}

#[cfg(test)]
mod tests;

//! What a caller of `$validate` may refuse beyond R4: what R4 allows, and a publisher does not.

use super::Mode;
use super::value::Value;
use super::walk::{Place, Walk};
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::Node;
use crate::fhir::reference::Reference;

/// Something that is refused although R4 allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Extensions whose definition is not loaded. Those at `example.org`, as the specification's own examples have
    /// them, only where examples are refused too.
    UnknownExtensions,
    /// Text of the type markdown that looks like HTML.
    HtmlInMarkdown,
    /// URLs of the domains that are reserved for examples. <https://www.rfc-editor.org/rfc/rfc2606>
    ExampleUrls,
    /// References to resources that do not come with what is validated.
    UnresolvedReferences,
}

impl Refusal {
    const ALL: [(Refusal, &'static str); 4] = [
        (Refusal::UnknownExtensions, "unknown-extensions"),
        (Refusal::HtmlInMarkdown, "html-in-markdown"),
        (Refusal::ExampleUrls, "example-urls"),
        (Refusal::UnresolvedReferences, "unresolved-references"),
    ];

    /// The one of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Refusal> {
        Refusal::ALL.iter().find(|(_, it)| *it == name).map(|(refusal, _)| *refusal)
    }
}

impl<'a> Walk<'_, 'a> {
    pub(super) fn refuses(&self, refusal: Refusal) -> bool {
        self.refusals.contains(&refusal)
    }

    /// An extension whose definition is not loaded.
    pub(super) fn unknown_extension(&mut self, node: Node<'_>, url: &str, is_modifier: bool) {
        let is_example = is_at("example.org", url) && !self.refuses(Refusal::ExampleUrls);
        if self.refuses(Refusal::UnknownExtensions) && !is_example && !is_of_another_version(url) {
            self.complain(node, IssueType::Extension, "", "an extension that is not known here");
        } else if is_modifier {
            let message = "an unknown extension that may change the meaning of what holds it";
            self.warn(node, IssueType::Extension, "", message);
        } else if self.mode >= Mode::Full {
            self.inform(node, IssueType::Extension, "an extension that is not known here was not looked at");
        }
    }

    /// The letters of a primitive value, as far as somebody may refuse them.
    pub(super) fn letters(&mut self, type_name: &str, node: Node<'_>) {
        if self.mode < Mode::Full {
            return;
        }
        let is_html = || node.as_str().is_some_and(|it| has_html(&it));
        let is_example = || node.as_str().is_some_and(|it| is_of_example_domain(&it));
        match type_name {
            "markdown" if is_html() => {
                let message = "this looks like HTML, which is not shown as such";
                match self.refuses(Refusal::HtmlInMarkdown) {
                    true => self.complain(node, IssueType::Invalid, "", message),
                    false => self.warn(node, IssueType::Invalid, "", message),
                }
            }
            "uri" | "url" | "canonical" if self.refuses(Refusal::ExampleUrls) && is_example() => {
                self.complain(node, IssueType::Value, "", "a URL of a domain for examples");
            }
            _ => {}
        }
    }

    /// A reference that leads out of what is validated.
    pub(super) fn unresolved(&mut self, node: Node<'a>, place: Place<'a>) {
        let (Some(reference), Some(type_id)) = (node.get("reference"), self.known.reference) else { return };
        if !self.refuses(Refusal::UnresolvedReferences) {
            return;
        }
        let is_literal = reference
            .as_str()
            .is_some_and(|it| matches!(Reference::parse(&it), Some(Reference::Resource { .. })));
        if is_literal && self.resolve(Value::of(node, type_id), place).is_none() {
            self.complain(reference, IssueType::NotFound, "", "what is referred to does not come with this");
        }
    }
}

/// `example.org`, `anything.example.com`, `anything.example`.
fn is_of_example_domain(url: &str) -> bool {
    ["example.org", "example.com", "example.net", "example"].iter().any(|it| is_at(it, url))
}

/// Whether the host of a URL is a domain, or in it.
fn is_at(domain: &str, url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default();
    host.strip_suffix(domain).is_some_and(|it| it.is_empty() || it.ends_with('.'))
}

/// An element of another version of FHIR: such extensions exist without anybody defining them.
/// <https://hl7.org/fhir/R4/versions.html#extensions>
fn is_of_another_version(url: &str) -> bool {
    let rest = url.strip_prefix("http://hl7.org/fhir/");
    let parts = rest.and_then(|it| it.split_once("/StructureDefinition/extension-"));
    parts.is_some_and(|(version, _)| version.bytes().all(|it| it.is_ascii_digit() || it == b'.'))
}

/// `<` before a letter, a slash or an exclamation mark, outside of code and not escaped.
fn has_html(text: &str) -> bool {
    let mut is_code = false;
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '`' => is_code = !is_code,
            '<' if !is_code && before != '\\' => {
                let next = letters.peek().copied().unwrap_or(' ');
                // <https://x> is a link.
                let rest: String = letters.clone().take_while(|it| *it != '>').collect();
                if (next.is_ascii_alphabetic() || next == '/' || next == '!') && !rest.contains("://") {
                    return true;
                }
            }
            _ => {}
        }
        before = letter;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_html_from_words() {
        for html in ["<b>x</b>", "a <br/>", "x</p>", "<!-- -->"] {
            assert!(has_html(html), "{html}");
        }
        for plain in ["a < b", "1<2", "\\<b>", "`<b>`", "<https://hl7.org>", "**x**"] {
            assert!(!has_html(plain), "{plain}");
        }
    }

    #[test]
    fn knows_the_extensions_of_other_versions() {
        assert!(is_of_another_version("http://hl7.org/fhir/5.0/StructureDefinition/extension-Device.name"));
        assert!(!is_of_another_version("http://hl7.org/fhir/us/StructureDefinition/extension-Device.name"));
        assert!(!is_of_another_version("http://hl7.org/fhir/StructureDefinition/extension-Device.name"));
    }

    #[test]
    fn tells_examples_from_addresses() {
        for example in ["http://example.org/a", "https://x.example.com", "http://clinic.example:80/a"] {
            assert!(is_of_example_domain(example), "{example}");
        }
        for other in ["http://hl7.org/example.org", "http://myexample.org/a", "urn:example", "Patient/1"] {
            assert!(!is_of_example_domain(other), "{other}");
        }
    }
}

//! Narrative: XHTML that is safe to show: well-formed, only the tags and attributes that FHIR allows.
//!
//! <https://hl7.org/fhir/R4/narrative.html#xhtml>. A scanner, not a browser: what it does not understand is wrong.
//! Validation and FHIRPath's `htmlChecks()` ask here, so that they answer alike. What may stand there is what the
//! invariant txt-1 lists: chapters 7 to 11 and 15 of HTML 4.0 without 9.4, links, images.

/// What is wrong with a narrative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Not well-formed XML, or not one `div` of XHTML.
    NotXhtml,
    /// An element, attribute or link that FHIR does not allow.
    NotAllowed,
    /// Nothing to read.
    Empty,
}

impl Problem {
    /// The invariant that is broken.
    #[must_use]
    pub fn rule(self) -> &'static str {
        if self == Problem::Empty { "txt-2" } else { "txt-1" }
    }

    /// What to change.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Problem::NotXhtml => "a narrative must be one well-formed div of XHTML",
            Problem::NotAllowed => "a narrative must hold only basic formatting, no active content",
            Problem::Empty => "a narrative must hold some text or an image",
        }
    }
}

/// The elements that txt-1 lists, and `address`, `bdo` and `kbd`: its words name their chapters, its list forgets them.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
];

/// The attributes that txt-1 lists, and what its words allow beside them: `cellspacing`, which the list misspells,
/// and those of XML.
const ATTRIBUTES: &[&str] = &[
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellhalign",
    "cellpadding",
    "cellspacing",
    "cellvalign",
    "char",
    "charoff",
    "charset",
    "cite",
    "class",
    "colspan",
    "compact",
    "coords",
    "dir",
    "frame",
    "headers",
    "height",
    "href",
    "hreflang",
    "hspace",
    "id",
    "lang",
    "longdesc",
    "name",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "span",
    "src",
    "start",
    "style",
    "summary",
    "tabindex",
    "title",
    "type",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:id",
    "xml:lang",
    "xml:space",
    "xmlns",
];

/// Deeper nesting is nobody's text.
const DEEPEST: usize = 200;

/// Checks a `div`.
///
/// # Errors
/// It is not well-formed, not allowed, or says nothing.
pub fn check(text: &str) -> Result<(), Problem> {
    let mut rest = text.trim();
    let mut open: Vec<&str> = Vec::new();
    let mut is_started = false;
    let mut has_content = false;
    while !rest.is_empty() {
        if is_started && open.is_empty() {
            return Err(Problem::NotXhtml);
        }
        let Some(after) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            let (words, after) = rest.split_at(end);
            if open.is_empty() || !has_only_known_entities(words) {
                return Err(Problem::NotXhtml);
            }
            has_content |= words.contains(|it: char| !it.is_whitespace() && it != '\u{a0}');
            rest = after;
            continue;
        };
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").ok_or(Problem::NotXhtml)?.1;
        } else if let Some(name) = after.strip_prefix('/') {
            let (name, after) = name.split_once('>').ok_or(Problem::NotXhtml)?;
            if open.pop() != Some(name.trim_end()) {
                return Err(Problem::NotXhtml);
            }
            rest = after;
        } else {
            let tag = Tag::read(after)?;
            if !is_started && tag.name != "div" {
                return Err(Problem::NotXhtml);
            }
            is_started = true;
            has_content |= tag.name == "img";
            tag.check_allowed()?;
            if !tag.is_empty {
                open.push(tag.name);
                if open.len() > DEEPEST {
                    return Err(Problem::NotXhtml);
                }
            }
            rest = tag.rest;
        }
    }
    match (is_started && open.is_empty(), has_content) {
        (false, _) => Err(Problem::NotXhtml),
        (true, false) => Err(Problem::Empty),
        (true, true) => Ok(()),
    }
}

struct Tag<'t> {
    name: &'t str,
    attributes: Vec<(&'t str, &'t str)>,
    is_empty: bool,
    rest: &'t str,
}

impl<'t> Tag<'t> {
    /// Reads what stands after `<`.
    fn read(text: &'t str) -> Result<Tag<'t>, Problem> {
        let end = text.find(|it: char| !is_name(it)).ok_or(Problem::NotXhtml)?;
        let (name, mut rest) = text.split_at(end);
        if name.is_empty() {
            return Err(Problem::NotXhtml);
        }
        let mut attributes = Vec::new();
        loop {
            let trimmed = rest.trim_start();
            if let Some(rest) = trimmed.strip_prefix("/>") {
                return Ok(Tag { name, attributes, is_empty: true, rest });
            }
            if let Some(rest) = trimmed.strip_prefix('>') {
                return Ok(Tag { name, attributes, is_empty: false, rest });
            }
            // White space stands before an attribute.
            if trimmed.len() == rest.len() {
                return Err(Problem::NotXhtml);
            }
            let end = trimmed.find(|it: char| !is_name(it)).ok_or(Problem::NotXhtml)?;
            let (attribute, after) = trimmed.split_at(end);
            let after = after.trim_start().strip_prefix('=').ok_or(Problem::NotXhtml)?.trim_start();
            let quote =
                after.chars().next().filter(|it| matches!(it, '"' | '\'')).ok_or(Problem::NotXhtml)?;
            let (value, after) =
                after.get(1..).and_then(|it| it.split_once(quote)).ok_or(Problem::NotXhtml)?;
            if attribute.is_empty()
                || value.contains('<')
                || attributes.iter().any(|(it, _)| *it == attribute)
            {
                return Err(Problem::NotXhtml);
            }
            attributes.push((attribute, value));
            rest = after;
        }
    }

    fn check_allowed(&self) -> Result<(), Problem> {
        if !ELEMENTS.contains(&self.name) {
            return Err(Problem::NotAllowed);
        }
        for (name, value) in &self.attributes {
            let lower = name.to_ascii_lowercase();
            let plain: String = value
                .chars()
                .filter(|it| !it.is_whitespace() && !it.is_control())
                .collect::<String>()
                .to_ascii_lowercase();
            let is_active = lower.starts_with("on")
                || ["javascript:", "vbscript:", "data:text"].iter().any(|it| plain.starts_with(it));
            if is_active
                || !(ATTRIBUTES.contains(&lower.as_str()) || lower.starts_with("xmlns:"))
                || (*name == "xmlns" && *value != "http://www.w3.org/1999/xhtml")
            {
                return Err(Problem::NotAllowed);
            }
        }
        Ok(())
    }
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '_' | ':' | '.')
}

/// XHTML's entities have names; `&` alone is not one.
fn has_only_known_entities(text: &str) -> bool {
    text.split('&').skip(1).all(|after| {
        let name = after.split(';').next().unwrap_or_default();
        let is_ended = after.len() > name.len();
        let number = name.strip_prefix('#');
        is_ended
            && match number {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(hex) => !hex.is_empty() && hex.bytes().all(|it| it.is_ascii_hexdigit()),
                    None => !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()),
                },
                None => (2..=8).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_alphanumeric()),
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_formatting_through_and_nothing_active() {
        let within = |inside: &str| format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{inside}</div>");
        for good in [
            "text",
            "<p>a<br/>b &amp; c &#160; &eacute;</p>",
            "<a href='#x'>y</a>",
            "<img src=\"#i\" alt=\"\"/>",
            "<!-- c -->x",
        ] {
            assert_eq!(check(&within(good)), Ok(()), "{good}");
        }
        for (bad, problem) in [
            ("<script>x</script>", Problem::NotAllowed),
            ("<p onclick=\"x\">y</p>", Problem::NotAllowed),
            ("<a href=\"java\nscript:x\">y</a>", Problem::NotAllowed),
            ("<p>x", Problem::NotXhtml),
            ("a & b", Problem::NotXhtml),
            ("<p a=b>x</p>", Problem::NotXhtml),
            ("  <p> </p>", Problem::Empty),
            ("<iframe/>x", Problem::NotAllowed),
        ] {
            assert_eq!(check(&within(bad)), Err(problem), "{bad}");
        }
        assert_eq!(check("plain"), Err(Problem::NotXhtml));
        assert_eq!(check("<p>x</p>"), Err(Problem::NotXhtml));
        assert_eq!(check("<div>x</div><div>y</div>"), Err(Problem::NotXhtml));
    }
}

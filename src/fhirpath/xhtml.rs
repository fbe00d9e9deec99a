//! What a narrative may hold. <https://hl7.org/fhir/R4/narrative.html#xhtml>
//!
//! Well-formed, nothing but formatting, links and images: no scripts, forms, styles from elsewhere,
//! events. Entities other than XML's own and HTML's are not resolved: there is no document type.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The elements of XHTML 1.0 that a narrative may use.
const ELEMENTS: [&str; 62] = [
    "a",
    "abbr",
    "acronym",
    "b",
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
    "kbd",
    "address",
    "ins",
    "del",
    "bdo",
    "map",
    "area",
    "u",
    "s",
    "strike",
    "font",
    "center",
    "dir",
    "label",
];

/// The attributes that mean formatting or a link, beside `xmlns` and those of `xml:`.
const ATTRIBUTES: [&str; 55] = [
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
    "cellpading",
    "color",
    "size",
    "face",
    "usemap",
    "clear",
];

/// Whether a `div` holds what a narrative may hold, and something that can be seen.
pub(super) fn is_allowed(text: &str) -> bool {
    let mut reader = Reader::from_str(text);
    let mut open = 0_usize;
    let mut has_content = false;
    let mut is_first = true;
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                if !is_tag_allowed(&tag)
                    || (is_first && tag.name().as_ref() != "div")
                    || (open == 0 && !is_first)
                {
                    return false;
                }
                open += 1;
                is_first = false;
            }
            Ok(Event::Empty(tag)) => {
                if !is_tag_allowed(&tag) || open == 0 {
                    return false;
                }
                has_content |= tag.name().as_ref() == "img";
            }
            Ok(Event::End(_)) => open = open.saturating_sub(1),
            Ok(Event::Text(text)) => has_content |= !text.trim().is_empty(),
            Ok(Event::GeneralRef(_) | Event::CData(_)) => has_content = true,
            Ok(Event::Comment(_)) => {}
            Ok(Event::Eof) => return open == 0 && has_content,
            Ok(Event::Decl(_) | Event::PI(_) | Event::DocType(_)) | Err(_) => return false,
        }
    }
}

fn is_tag_allowed(tag: &BytesStart<'_>) -> bool {
    let name = tag.name();
    let is_known = ELEMENTS.contains(&name.as_ref());
    is_known
        && tag.attributes().all(|attribute| {
            let Ok(attribute) = attribute else { return false };
            let key = attribute.key.as_ref();
            key == "xmlns"
                || key.starts_with("xmlns:")
                || key.starts_with("xml:")
                || ATTRIBUTES.contains(&key)
        })
}

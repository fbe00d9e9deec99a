//! The tabular list of ICD-10-CM, as it is published in XML.
//!
//! <https://www.cdc.gov/nchs/icd/icd-10-cm/files.html>
//!
//! Codes stand inside of one another as `diag`. Seventh characters are defined once for all codes below (the innermost
//! definition counts); a code that has them is not for billing itself, the codes with its seventh characters are, with `X`
//! in the places between. Chapters and sections are ranges, not codes, and are not read.

use super::release::Line;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// The deepest nesting that is read: the list has six levels of codes.
const DEEPEST: usize = 32;
/// The length of a code that has a seventh character, the dot left out.
const LONGEST: usize = 7;

const BROKEN: &str = "this is not well-formed XML";

/// A code that is being read.
#[derive(Default)]
struct Diagnosis {
    code: String,
    title: String,
    sevenths: Vec<(char, String)>,
    has_codes: bool,
}

/// Where text goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Into {
    Nothing,
    Code,
    Title,
    Seventh,
}

/// Every code, and what stands below what.
///
/// # Errors
/// The text is not the tabular list.
pub fn read(text: &str) -> Result<Vec<Line>, &'static str> {
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    let (mut lines, mut open, mut path) = (Vec::new(), Vec::<Diagnosis>::new(), Vec::<String>::new());
    let mut into = Into::Nothing;
    let mut has_root = false;
    loop {
        match reader.read_event().map_err(|_| BROKEN)? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                let parent = path.last().map(String::as_str).unwrap_or_default();
                if !has_root && name != "ICD10CM.tabular" {
                    return Err("this is not the tabular list of ICD-10-CM");
                }
                has_root = true;
                into = match (parent, name.as_str()) {
                    (_, "diag") => {
                        if let Some(above) = open.last_mut() {
                            above.has_codes = true;
                        }
                        open.push(Diagnosis::default());
                        Into::Nothing
                    }
                    ("diag", "name") => Into::Code,
                    ("diag", "desc") => Into::Title,
                    ("sevenChrDef", "extension") => {
                        let letter = seventh(&tag)?;
                        if let Some(it) = open.last_mut() {
                            it.sevenths.push((letter, String::new()));
                        }
                        Into::Seventh
                    }
                    _ => Into::Nothing,
                };
                path.push(name);
                if path.len() > DEEPEST {
                    return Err("the list nests too deeply");
                }
            }
            Event::Text(it) => put(&mut open, into, &it.xml10_content()),
            Event::CData(it) => put(&mut open, into, &it),
            Event::GeneralRef(it) => {
                let number = it.resolve_char_ref().map_err(|_| BROKEN)?.map(String::from);
                let known = number.or_else(|| quick_xml::escape::resolve_xml_entity(&it).map(str::to_owned));
                put(&mut open, into, &known.ok_or("the list has an entity that XML does not know")?);
            }
            Event::End(tag) => {
                into = Into::Nothing;
                path.pop();
                if tag.name().as_ref() == "diag"
                    && let Some(it) = open.pop()
                {
                    told(&mut lines, it, &open);
                }
            }
            Event::Eof if has_root && path.is_empty() => return Ok(lines),
            Event::Eof => return Err(BROKEN),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn seventh(tag: &BytesStart<'_>) -> Result<char, &'static str> {
    const UNNAMED: &str = "a seventh character is not named";
    let value = tag.try_get_attribute("char").map_err(|_| BROKEN)?.ok_or(UNNAMED)?.value;
    match value.chars().collect::<Vec<_>>().as_slice() {
        [letter] if letter.is_ascii_alphanumeric() => Ok(*letter),
        _ => Err(UNNAMED),
    }
}

fn put(open: &mut [Diagnosis], into: Into, text: &str) {
    let Some(at) = open.last_mut() else { return };
    match into {
        Into::Nothing => {}
        Into::Code => at.code.push_str(text.trim()),
        Into::Title => at.title.push_str(text),
        Into::Seventh => {
            if let Some((_, meaning)) = at.sevenths.last_mut() {
                meaning.push_str(text);
            }
        }
    }
}

/// What a code comes to, once everything inside of it was read.
fn told(lines: &mut Vec<Line>, it: Diagnosis, above: &[Diagnosis]) {
    if it.code.is_empty() {
        return;
    }
    let (code, title) = (it.code.trim().to_owned(), plain(&it.title));
    let is_leaf = !it.has_codes;
    let around = std::iter::once(&it).chain(above.iter().rev());
    let sevenths = around.map(|it| &it.sevenths).find(|it| !it.is_empty()).filter(|_| is_leaf);
    let concept = |code: &str, title: String, is_billable: bool| Line::Concept {
        code: code.to_owned(),
        display: Some(title),
        is_active: Some(true),
        properties: vec![("billable", is_billable.to_string())],
    };
    lines.push(concept(&code, title.clone(), is_leaf && sevenths.is_none()));
    if let Some(parent) = above.last().filter(|it| !it.code.is_empty()) {
        lines.push(Line::Parent { child: code.clone(), parent: parent.code.clone() });
    }
    for (letter, meaning) in sevenths.into_iter().flatten() {
        let mut longer = code.clone();
        if !longer.contains('.') {
            longer.push('.');
        }
        while longer.len() < LONGEST {
            longer.push('X');
        }
        longer.push(*letter);
        lines.push(concept(&longer, format!("{title}, {}", plain(meaning)), true));
        lines.push(Line::Parent { child: longer, parent: code.clone() });
    }
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><version>2026</version><chapter><name>19</name><desc>Injury</desc>
<section id="S50-S59"><desc>Injuries to the forearm</desc>
<diag><name>S52</name><desc>Fracture of forearm</desc>
 <sevenChrDef><extension char="A">initial encounter</extension><extension char="D">later &amp; routine</extension></sevenChrDef>
 <diag><name>S52.5</name><desc>Lower end of radius</desc>
  <diag><name>S52.52</name><desc>Torus fracture</desc></diag></diag></diag>
<diag><name>A00</name><desc>Cholera</desc><excludes1><note>nothing</note></excludes1>
 <diag><name>A00.0</name><desc>Cholera due to Vibrio</desc></diag></diag>
</section></chapter></ICD10CM.tabular>"#;

    #[test]
    fn reads_codes_and_seventh_characters() {
        let mut told: Vec<String> = read(SAMPLE)
            .unwrap()
            .into_iter()
            .map(|it| match it {
                Line::Concept { code, display, properties, .. } => {
                    format!("{code} {} {}", display.unwrap(), properties[0].1)
                }
                Line::Parent { child, parent } => format!("{child} < {parent}"),
            })
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "A00 Cholera false",
                "A00.0 < A00",
                "A00.0 Cholera due to Vibrio true",
                "S52 Fracture of forearm false",
                "S52.5 < S52",
                "S52.5 Lower end of radius false",
                "S52.52 < S52.5",
                "S52.52 Torus fracture false",
                "S52.52XA < S52.52",
                "S52.52XA Torus fracture, initial encounter true",
                "S52.52XD < S52.52",
                "S52.52XD Torus fracture, later & routine true",
            ]
        );
        for bad in
            ["", "<a/>", "<ICD10CM.tabular><diag>", "<x></x>", &SAMPLE.replace("char=\"A\"", "char=\"\"")]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        let deep = format!("<ICD10CM.tabular>{}", "<diag>".repeat(100));
        assert!(read(&deep).is_err());
    }
}

//! The files in which big code systems are released, line by line: LOINC, RxNorm, SNOMED CT, ICD-10-CM.
//!
//! <https://loinc.org/kb/users-guide/>, <https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html>,
//! <https://confluence.ihtsdotools.org/display/DOCRELFMT>, <https://www.cms.gov/medicare/coding-billing/icd-10-codes>
//!
//! What a file holds is told by its first line. The display of a SNOMED CT concept is its fully specified
//! name: which synonym is preferred depends on a language reference set, which is not read. Of ICD-10-CM the
//! order file is read here, the tabular list (XML) by `tabular.rs`.

use std::collections::HashSet;

/// A big code system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BigSystem {
    /// LOINC
    Loinc,
    /// RxNorm
    RxNorm,
    /// SNOMED CT
    Snomed,
    /// ICD-10-CM
    Icd10Cm,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Something about a concept.
    Concept {
        /// The code.
        code: String,
        /// What it is called.
        display: Option<String>,
        /// Whether it may be used.
        is_active: Option<bool>,
        /// What else is known of it.
        properties: Vec<(&'static str, String)>,
    },
    /// One concept stands right below another.
    Parent {
        /// The lower one.
        child: String,
        /// The upper one.
        parent: String,
    },
}

/// Reads one file of a release.
#[derive(Debug)]
pub struct Release {
    system: BigSystem,
    columns: Vec<String>,
    is_begun: bool,
    seen: HashSet<String>,
}

/// SNOMED CT: is a.
const IS_A: &str = "116680003";
/// SNOMED CT: fully specified name.
const FULLY_SPECIFIED: &str = "900000000000003001";

impl BigSystem {
    /// All of them.
    pub const ALL: [BigSystem; 4] =
        [BigSystem::Loinc, BigSystem::RxNorm, BigSystem::Snomed, BigSystem::Icd10Cm];

    /// The canonical URL.
    #[must_use]
    pub fn url(self) -> &'static str {
        match self {
            BigSystem::Loinc => "http://loinc.org",
            BigSystem::RxNorm => "http://www.nlm.nih.gov/research/umls/rxnorm",
            BigSystem::Snomed => "http://snomed.info/sct",
            BigSystem::Icd10Cm => "http://hl7.org/fhir/sid/icd-10-cm",
        }
    }

    /// The one of that URL.
    #[must_use]
    pub fn of_url(url: &str) -> Option<BigSystem> {
        BigSystem::ALL.into_iter().find(|it| it.url() == url)
    }

    /// Its number in the store.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            BigSystem::Loinc => 1,
            BigSystem::RxNorm => 2,
            BigSystem::Snomed => 3,
            BigSystem::Icd10Cm => 4,
        }
    }
}

impl Release {
    /// A file that is still to be read.
    #[must_use]
    pub fn new(system: BigSystem) -> Release {
        Release { system, columns: Vec::new(), is_begun: false, seen: HashSet::new() }
    }

    /// What the next line says. Lines that say nothing that is kept give nothing.
    ///
    /// # Errors
    /// The first line is not that of any file of the release that is known.
    pub fn line(&mut self, line: &str) -> Result<Vec<Line>, &'static str> {
        let line = line.trim_end_matches(['\r', '\n']).trim_start_matches('\u{feff}');
        let is_first = !std::mem::replace(&mut self.is_begun, true);
        match self.system {
            BigSystem::Icd10Cm => self.icd10cm(line, is_first),
            BigSystem::RxNorm => rxnorm(&line.split('|').collect::<Vec<_>>(), is_first),
            BigSystem::Loinc => {
                let fields = comma_separated(line);
                self.with_columns(
                    fields,
                    is_first,
                    &[&["LOINC_NUM", "LONG_COMMON_NAME"], &["IMMEDIATE_PARENT", "CODE"]],
                )
            }
            BigSystem::Snomed => {
                let fields = line.split('\t').map(str::to_owned).collect();
                let known: &[&[&str]] =
                    &[&["id", "definitionStatusId"], &["conceptId", "term"], &["sourceId", "destinationId"]];
                self.with_columns(fields, is_first, known)
            }
        }
    }

    fn with_columns(
        &mut self,
        fields: Vec<String>,
        is_first: bool,
        known: &[&[&str]],
    ) -> Result<Vec<Line>, &'static str> {
        if is_first {
            let has = |name: &&str| fields.iter().any(|it| it == name);
            if !known.iter().any(|it| it.iter().all(has)) {
                return Err("the first line is not that of a file of this release");
            }
            self.columns = fields;
            return Ok(Vec::new());
        }
        let field = |name: &str| {
            let place = self.columns.iter().position(|it| it == name)?;
            fields.get(place).map(String::as_str).filter(|it| !it.is_empty())
        };
        Ok(match self.system {
            BigSystem::Loinc => loinc(&field),
            _ => snomed(&field),
        })
    }

    /// Order number, code, whether it is for billing, short and long title, at fixed places.
    fn icd10cm(&mut self, line: &str, is_first: bool) -> Result<Vec<Line>, &'static str> {
        let part = |from: usize, to: usize| line.get(from..to.min(line.len())).unwrap_or_default().trim();
        let (order, code, long, short) = (part(0, 5), part(6, 13), part(77, line.len()), part(16, 76));
        if order.len() != 5 || !order.bytes().all(|it| it.is_ascii_digit()) || code.len() < 3 {
            return if is_first { Err("this is not an order file of ICD-10-CM") } else { Ok(Vec::new()) };
        }
        let title = if long.is_empty() { short } else { long };
        let is_billable = part(14, 15) == "1";
        let mut lines = vec![Line::Concept {
            code: dotted(code),
            display: Some(title.to_owned()),
            is_active: Some(true),
            properties: vec![("billable", is_billable.to_string())],
        }];
        let above =
            (3..code.len()).rev().filter_map(|end| code.get(..end)).find(|it| self.seen.contains(*it));
        lines.extend(above.map(|it| Line::Parent { child: dotted(code), parent: dotted(it) }));
        self.seen.insert(code.to_owned());
        Ok(lines)
    }
}

fn loinc<'f>(field: &dyn Fn(&str) -> Option<&'f str>) -> Vec<Line> {
    if let Some(code) = field("LOINC_NUM") {
        let names =
            ["COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS", "STATUS"];
        let properties = names.into_iter().filter_map(|name| Some((name, field(name)?.to_owned())));
        return vec![Line::Concept {
            code: code.to_owned(),
            display: field("LONG_COMMON_NAME").map(str::to_owned),
            is_active: field("STATUS").map(|it| it != "DEPRECATED"),
            properties: properties.collect(),
        }];
    }
    let Some(code) = field("CODE") else { return Vec::new() };
    let display = field("CODE_TEXT").map(str::to_owned);
    let is_part = code.starts_with("LP");
    let named = Line::Concept {
        code: code.to_owned(),
        display: display.filter(|_| is_part),
        is_active: is_part.then_some(true),
        properties: Vec::new(),
    };
    let parent = field("IMMEDIATE_PARENT");
    let parent = parent.map(|it| Line::Parent { child: code.to_owned(), parent: it.to_owned() });
    [Some(named), parent].into_iter().flatten().collect()
}

fn snomed<'f>(field: &dyn Fn(&str) -> Option<&'f str>) -> Vec<Line> {
    let is_active = field("active") == Some("1");
    let concept = |code: &str, display: Option<&str>, is_active| Line::Concept {
        code: code.to_owned(),
        display: display.map(str::to_owned),
        is_active,
        properties: Vec::new(),
    };
    if let (Some(child), Some(parent)) = (field("sourceId"), field("destinationId")) {
        let (child, parent) = (child.to_owned(), parent.to_owned());
        let is_kept = is_active && field("typeId") == Some(IS_A);
        return if is_kept { vec![Line::Parent { child, parent }] } else { Vec::new() };
    }
    if let Some(code) = field("conceptId") {
        let is_name = is_active && field("typeId") == Some(FULLY_SPECIFIED);
        return if is_name { vec![concept(code, field("term"), None)] } else { Vec::new() };
    }
    field("id").map(|it| concept(it, None, Some(is_active))).into_iter().collect()
}

/// RXNCONSO: RXCUI|LAT|…|SAB|TTY|CODE|STR|SRL|SUPPRESS|CVF|. RXNREL: RXCUI1|…|RXCUI2|…|RELA|…
fn rxnorm(fields: &[&str], is_first: bool) -> Result<Vec<Line>, &'static str> {
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    match fields.len() {
        18.. if field(11) == "RXNORM" && field(12) != "SY" && field(12) != "TMSY" => {
            Ok(vec![Line::Concept {
                code: field(0).to_owned(),
                display: Some(field(14).to_owned()),
                is_active: Some(matches!(field(16), "N" | "")),
                properties: vec![("TTY", field(12).to_owned())],
            }])
        }
        // The relationship is the one that the second concept has to the first.
        16..18 if field(7) == "isa" && !field(0).is_empty() && !field(4).is_empty() => {
            Ok(vec![Line::Parent { child: field(4).to_owned(), parent: field(0).to_owned() }])
        }
        ..16 if is_first => Err("this is neither RXNCONSO nor RXNREL"),
        _ => Ok(Vec::new()),
    }
}

/// `A000` is written `A00.0`.
fn dotted(code: &str) -> String {
    match code.split_at_checked(3) {
        Some((category, rest)) if !rest.is_empty() => format!("{category}.{rest}"),
        _ => code.to_owned(),
    }
}

/// <https://www.rfc-editor.org/rfc/rfc4180>, without line breaks inside of quotes: LOINC has none.
fn comma_separated(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(system: BigSystem, text: &str) -> Vec<String> {
        let mut release = Release::new(system);
        let lines = text.lines().flat_map(|it| release.line(it).unwrap());
        lines
            .map(|it| match it {
                Line::Concept { code, display, is_active, .. } => format!("{code} {display:?} {is_active:?}"),
                Line::Parent { child, parent } => format!("{child} < {parent}"),
            })
            .collect()
    }

    #[test]
    fn reads_each_release() {
        assert_eq!(
            read(
                BigSystem::Loinc,
                "\"LOINC_NUM\",\"COMPONENT\",\"STATUS\",\"LONG_COMMON_NAME\"\n\"1-8\",\"X\",\"ACTIVE\",\"An \"\"X\"\", really\"\n"
            ),
            [r#"1-8 Some("An \"X\", really") Some(true)"#]
        );
        assert_eq!(
            read(
                BigSystem::Loinc,
                "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\nLP1,1,LP1,LP2-1,Part\nLP1,2,LP2-1,1-8,X\n"
            ),
            [r#"LP2-1 Some("Part") Some(true)"#, "LP2-1 < LP1", "1-8 None None", "1-8 < LP2-1"]
        );
        assert_eq!(
            read(
                BigSystem::Snomed,
                "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n7\t2020\t1\tm\td\n8\t2020\t0\tm\td\n"
            ),
            ["7 None Some(true)", "8 None Some(false)"]
        );
        assert_eq!(
            read(
                BigSystem::Snomed,
                "id\tactive\tconceptId\ttypeId\tterm\n1\t1\t7\t900000000000003001\tThing (thing)\n2\t1\t7\t900000000000013009\tThing\n"
            ),
            [r#"7 Some("Thing (thing)") None"#]
        );
        assert_eq!(
            read(
                BigSystem::Snomed,
                "id\tactive\tsourceId\tdestinationId\ttypeId\n1\t1\t7\t9\t116680003\n2\t1\t7\t8\t1\n3\t0\t7\t6\t116680003\n"
            ),
            ["7 < 9"]
        );
        assert_eq!(
            read(
                BigSystem::RxNorm,
                "161|ENG||||||||||RXNORM|IN|161|acetaminophen||N|4096|\n161|ENG||||||||||MTHSPL|SU|x|ACETAMINOPHEN||N||\n"
            ),
            [r#"161 Some("acetaminophen") Some(true)"#]
        );
        assert_eq!(
            read(BigSystem::RxNorm, "161||CUI|RN|209387||CUI|isa|1||RXNORM||||||\n"),
            ["209387 < 161"]
        );
        let line = |order: &str, code: &str, flag: &str, title: &str| {
            format!("{order} {code:<7} {flag} {title:<60} {title}\n")
        };
        let text =
            [line("00001", "A00", "0", "Cholera"), line("00002", "A000", "1", "Cholera due to Vibrio")]
                .concat();
        assert_eq!(
            read(BigSystem::Icd10Cm, &text),
            [
                r#"A00 Some("Cholera") Some(true)"#,
                r#"A00.0 Some("Cholera due to Vibrio") Some(true)"#,
                "A00.0 < A00"
            ]
        );
        for system in BigSystem::ALL {
            assert!(Release::new(system).line("nonsense").is_err(), "{system:?}");
        }
    }
}

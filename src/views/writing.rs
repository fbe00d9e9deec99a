//! Rows as bytes, as they come: NDJSON, JSON, CSV or Parquet.

use super::definition::View;
use super::parquet::ParquetWriting;
use super::rows::Row;
use crate::fhir::json::quote;
use crate::fhir::outcome::Outcome;
use serde::{Deserialize, Serialize};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// One object a line.
    Ndjson,
    /// An array of objects.
    Json,
    /// RFC 4180.
    Csv,
    /// CSV without the line of names.
    CsvWithoutHeader,
    /// Apache Parquet.
    Parquet,
}

/// Rows on their way into one file.
pub struct Writing {
    format: Format,
    /// `"name":` of each column.
    keys: Vec<String>,
    header: String,
    count: u64,
    parquet: Option<Box<ParquetWriting>>,
}

impl Format {
    /// The format of that name or media type.
    #[must_use]
    pub fn named(text: &str) -> Option<Format> {
        // A + that was not escaped arrives as a space.
        let name = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().replace(' ', "+");
        Some(match name.as_str() {
            "ndjson" | "application/x-ndjson" | "application/ndjson" | "application/fhir+ndjson" => {
                Format::Ndjson
            }
            "json" | "application/json" => Format::Json,
            "csv" | "text/csv" => Format::Csv,
            "parquet" | "application/vnd.apache.parquet" | "application/parquet" => Format::Parquet,
            _ => return None,
        })
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Ndjson => "application/x-ndjson",
            Format::Json => "application/json",
            Format::Csv => "text/csv;charset=utf-8;header=present",
            Format::CsvWithoutHeader => "text/csv;charset=utf-8;header=absent",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// How names of its files end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Json => "json",
            Format::Csv | Format::CsvWithoutHeader => "csv",
            Format::Parquet => "parquet",
        }
    }
}

impl Writing {
    /// A file of a view's rows.
    ///
    /// # Errors
    /// The format has no place for such columns.
    pub fn of(view: &View, format: Format) -> Result<Writing, Outcome> {
        let names: Vec<String> = view.columns.iter().map(|it| it.name.clone()).collect();
        let parquet = match format {
            Format::Parquet => Some(Box::new(ParquetWriting::of(view)?)),
            _ => None,
        };
        let keys = names.iter().map(|it| format!("{}:", quote(it))).collect();
        Ok(Writing { format, keys, header: names.join(",") + "\r\n", count: 0, parquet })
    }

    /// How many rows there are so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds rows, and to `out` what of the file is known by now.
    ///
    /// # Errors
    /// A value cannot be written so.
    pub fn push(&mut self, rows: Vec<Row>, out: &mut Vec<u8>) -> Result<(), Outcome> {
        if let Some(parquet) = &mut self.parquet {
            self.count += rows.len() as u64;
            return parquet.push(rows, out);
        }
        let mut text = String::new();
        for row in rows {
            match self.format {
                Format::Csv | Format::CsvWithoutHeader => {
                    if self.count == 0 && self.format == Format::Csv {
                        text.push_str(&self.header);
                    }
                    for (place, cell) in row.iter().enumerate() {
                        if place > 0 {
                            text.push(',');
                        }
                        if let Some(value) = cell.text() {
                            push_field(&value, &mut text);
                        }
                    }
                    text.push_str("\r\n");
                }
                _ => {
                    if self.format == Format::Json {
                        text.push(if self.count == 0 { '[' } else { ',' });
                    }
                    text.push('{');
                    for (place, (key, cell)) in self.keys.iter().zip(&row).enumerate() {
                        if place > 0 {
                            text.push(',');
                        }
                        text.push_str(key);
                        cell.push_json(&mut text);
                    }
                    text.push_str(if self.format == Format::Json { "}" } else { "}\n" });
                }
            }
            self.count += 1;
        }
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A value cannot be written so.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), Outcome> {
        match (self.format, self.parquet) {
            (_, Some(parquet)) => return parquet.finish(out),
            (Format::Json, _) if self.count == 0 => out.extend_from_slice(b"[]"),
            (Format::Json, _) => out.push(b']'),
            (Format::Csv, _) if self.count == 0 => out.extend_from_slice(self.header.as_bytes()),
            _ => {}
        }
        Ok(())
    }
}

/// RFC 4180: in quotes where it must be. An empty text is not nothing, so it has quotes, too.
fn push_field(value: &str, out: &mut String) {
    if value.is_empty() || value.contains(['"', ',', '\r', '\n']) {
        out.push('"');
        out.push_str(&value.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::id::ResourceType;
    use crate::views::cell::{Cell, Kind};
    use crate::views::definition::Column;

    fn written(format: Format, rows: Vec<Row>) -> Vec<u8> {
        let column = |name: &str, kind, is_collection| Column { name: name.to_owned(), kind, is_collection };
        let view = View {
            name: "v".to_owned(),
            resource_type: ResourceType::parse("Patient").unwrap(),
            columns: vec![
                column("a", Kind::Text, false),
                column("b", Kind::Decimal, false),
                column("c", Kind::Text, true),
            ],
            constants: Vec::new(),
            wheres: Vec::new(),
            selects: Vec::new(),
        };
        let mut out = Vec::new();
        let mut writing = Writing::of(&view, format).unwrap();
        for row in rows {
            writing.push(vec![row], &mut out).unwrap();
        }
        writing.finish(&mut out).unwrap();
        out
    }

    fn rows() -> Vec<Row> {
        let text = |it: &str| Cell::Text(it.into());
        vec![
            vec![text("x, \"y\""), Cell::Decimal("1.00".into()), Cell::List(vec![text("p"), text("q")])],
            vec![text(""), Cell::Null, Cell::List(Vec::new())],
        ]
    }

    #[test]
    fn text_formats_keep_digits_and_quotes() {
        let text = |format, rows| String::from_utf8(written(format, rows)).unwrap();
        assert_eq!(
            text(Format::Csv, rows()),
            "a,b,c\r\n\"x, \"\"y\"\"\",1.00,\"[\"\"p\"\",\"\"q\"\"]\"\r\n\"\",,[]\r\n"
        );
        assert_eq!(
            text(Format::Json, rows()),
            r#"[{"a":"x, \"y\"","b":1.00,"c":["p","q"]},{"a":"","b":null,"c":[]}]"#
        );
        assert_eq!(text(Format::Ndjson, rows()).lines().count(), 2);
        assert_eq!(text(Format::Json, Vec::new()), "[]");
        assert_eq!(text(Format::Csv, Vec::new()), "a,b,c\r\n");
        assert_eq!(text(Format::CsvWithoutHeader, Vec::new()), "");
    }

    #[test]
    fn parquet_has_its_magic_at_both_ends() {
        for rows in [rows(), Vec::new()] {
            let bytes = written(Format::Parquet, rows);
            assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1") && bytes.len() > 100);
        }
    }

    #[test]
    fn formats_are_known_by_name_and_by_media_type() {
        assert_eq!(Format::named("text/csv;header=present"), Some(Format::Csv));
        assert_eq!(Format::named("application/fhir ndjson"), Some(Format::Ndjson));
        assert_eq!(Format::named("xml"), None);
    }
}

//! Counts the rows in a stream of PostgreSQL's binary COPY format.
//!
//! <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>: a header of 11 bytes, flags, an extension
//! that is counted; then for each row the number of its fields, each with its length before it; then -1.

/// How far into the stream it is.
#[derive(Debug)]
enum At {
    /// So many bytes of signature and flags are to come.
    Header(usize),
    /// The length of the extension.
    Extension,
    /// The number of fields of a row.
    Row,
    /// The length of a field, and how many follow it.
    Field(u16),
    /// So many bytes of a field, and how many fields follow it.
    Value(usize, u16),
    /// After the last row.
    End,
}

/// The rows that went by.
#[derive(Debug)]
pub(super) struct RowCounter {
    at: At,
    /// The bytes of a number that was cut by the end of a piece.
    number: Vec<u8>,
    rows: u64,
}

impl RowCounter {
    pub(super) fn new() -> RowCounter {
        RowCounter { at: At::Header(15), number: Vec::with_capacity(4), rows: 0 }
    }

    /// A piece of the stream goes by.
    pub(super) fn see(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            match self.at {
                At::Header(left) => self.at = skip(&mut piece, left).map_or(At::Extension, At::Header),
                At::Value(left, fields) => {
                    self.at = skip(&mut piece, left).map_or(after(fields), |left| At::Value(left, fields));
                }
                At::Extension => {
                    if let Some(length) = self.number::<4>(&mut piece).map(u32::from_be_bytes) {
                        self.at = match length {
                            0 => At::Row,
                            length => At::Value(usize::try_from(length).unwrap_or_default(), 0),
                        };
                    }
                }
                At::Row => {
                    if let Some(fields) = self.number::<2>(&mut piece).map(i16::from_be_bytes) {
                        self.at = match u16::try_from(fields) {
                            Ok(fields) => {
                                self.rows += 1;
                                after(fields)
                            }
                            Err(_) => At::End,
                        };
                    }
                }
                At::Field(fields) => {
                    if let Some(length) = self.number::<4>(&mut piece).map(i32::from_be_bytes) {
                        self.at = match usize::try_from(length) {
                            Ok(length) if length > 0 => At::Value(length, fields),
                            _ => after(fields),
                        };
                    }
                }
                At::End => return,
            }
        }
    }

    /// How many rows there were; none if the stream did not come to its end.
    pub(super) fn end(&self) -> Option<u64> {
        matches!(self.at, At::End).then_some(self.rows)
    }

    /// A number, once all its bytes are there.
    fn number<const N: usize>(&mut self, piece: &mut &[u8]) -> Option<[u8; N]> {
        let wanted = (N - self.number.len()).min(piece.len());
        let (taken, rest) = piece.split_at(wanted);
        self.number.extend_from_slice(taken);
        *piece = rest;
        let whole = self.number.as_slice().try_into().ok()?;
        self.number.clear();
        Some(whole)
    }
}

/// What follows when so many fields of a row are to come.
fn after(fields: u16) -> At {
    match fields.checked_sub(1) {
        Some(rest) => At::Field(rest),
        None => At::Row,
    }
}

/// Skips bytes: how many are still to be skipped in the next piece, if any.
fn skip(piece: &mut &[u8], left: usize) -> Option<usize> {
    let here = left.min(piece.len());
    *piece = piece.get(here..).unwrap_or_default();
    Some(left - here).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
        bytes.extend([0; 8]);
        for row in rows {
            bytes.extend(u16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                let length = field.as_ref().map_or(-1, |it| i32::try_from(it.len()).unwrap());
                bytes.extend(length.to_be_bytes());
                bytes.extend(field.iter().flatten());
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn counts_rows_however_the_stream_is_cut(
            rows in prop::collection::vec(prop::collection::vec(any::<Option<Vec<u8>>>(), 0..4), 0..6),
            piece in 1_usize..9,
        ) {
            let bytes = stream(&rows);
            let mut counter = RowCounter::new();
            bytes.chunks(piece).for_each(|it| counter.see(it));
            prop_assert_eq!(counter.end(), Some(u64::try_from(rows.len()).unwrap()));
            let mut cut = RowCounter::new();
            cut.see(&bytes[..bytes.len() - 1]);
            prop_assert_eq!(cut.end(), None);
        }
    }
}

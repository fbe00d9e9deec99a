//! Rows as Parquet: <https://parquet.apache.org/docs/file-format/>
//!
//! Rows wait until there are enough for a row group, so memory holds one group, whatever the size of the file.
//!
//! # Decision 2026-11-25
//! | column | Parquet |
//! |---|---|
//! | boolean | BOOLEAN |
//! | integer, positiveInt, unsignedInt | INT32 |
//! | integer64 | INT64 |
//! | decimal | DOUBLE: what analysts compute with; the exact digits are in the other formats |
//! | date | DATE: the first day that a partial date may mean |
//! | dateTime, instant | TIMESTAMP in UTC, microseconds: the first moment that a partial one may mean |
//! | all others, and columns without a type | STRING |
//! | a collection | LIST of these |
//!
//! Whoever wants dates as they are written gives the column the type `string`. DECIMAL was the road not taken: it
//! has one scale for a whole column, and FHIR's decimals have one each.

use super::cell::{Cell, Kind};
use super::definition::{Column, View};
use super::rows::Row;
use crate::fhir::date_time::DateTime;
use crate::fhir::outcome::Outcome;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A row group has as many cells.
const CELLS: usize = 200_000;
/// Microseconds in a day.
const DAY: i64 = 86_400_000_000;

/// Rows on their way into a Parquet file.
pub(super) struct ParquetWriting {
    columns: Vec<Column>,
    waiting: Vec<Row>,
    cells: usize,
    written: Pipe,
    writer: SerializedFileWriter<Pipe>,
}

/// What the writer wrote and nobody took yet.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn take(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ParquetWriting {
    pub(super) fn of(view: &View) -> Result<ParquetWriting, Outcome> {
        let written = Pipe::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("Vesta".to_owned())
            .build();
        let writer = schema(view)
            .and_then(|schema| SerializedFileWriter::new(written.clone(), schema, Arc::new(properties)));
        let writer = writer.map_err(Outcome::exception)?;
        Ok(ParquetWriting { columns: view.columns.clone(), waiting: Vec::new(), cells: 0, written, writer })
    }

    pub(super) fn push(&mut self, rows: Vec<Row>, out: &mut Vec<u8>) -> Result<(), Outcome> {
        for row in rows {
            self.cells += row.iter().map(size).sum::<usize>();
            self.waiting.push(row);
            if self.cells >= CELLS {
                self.group().map_err(Outcome::exception)?;
            }
        }
        self.written.take(out);
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), Outcome> {
        if !self.waiting.is_empty() {
            self.group().map_err(Outcome::exception)?;
        }
        self.writer.close().map_err(Outcome::exception)?;
        self.written.take(out);
        Ok(())
    }

    fn group(&mut self) -> ParquetResult<()> {
        let rows = std::mem::take(&mut self.waiting);
        self.cells = 0;
        let mut group = self.writer.next_row_group()?;
        let mut place = 0;
        while let Some(mut writer) = group.next_column()? {
            let Some(column) = self.columns.get(place) else {
                return Err(ParquetError::General("there are more columns than the view has".to_owned()));
            };
            let cells = rows.iter().map(|row| row.get(place).unwrap_or(&Cell::Null));
            let levels = Levels::of(column, cells);
            levels.write(column.kind, writer.untyped())?;
            writer.close()?;
            place += 1;
        }
        group.close()?;
        Ok(())
    }
}

/// How much memory a cell takes, about: long texts count for more.
fn size(cell: &Cell) -> usize {
    match cell {
        Cell::Text(it) | Cell::Decimal(it) => 1 + it.len() / 64,
        Cell::List(cells) => 1 + cells.iter().map(size).sum::<usize>(),
        Cell::Null | Cell::Boolean(_) | Cell::Integer(_) => 1,
    }
}

fn schema(view: &View) -> ParquetResult<TypePtr> {
    let fields = view.columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Kind::Boolean => (Physical::BOOLEAN, None),
            Kind::Integer => (Physical::INT32, None),
            Kind::Long => (Physical::INT64, None),
            Kind::Decimal => (Physical::DOUBLE, None),
            Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
            Kind::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Kind::Text | Kind::Any => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let of = |name: &str| {
            Type::primitive_type_builder(name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical.clone())
                .build()
        };
        if !column.is_collection {
            return of(&column.name).map(Arc::new);
        }
        // https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(of("element")?)])
            .build()?;
        let outer = Type::group_type_builder(&column.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(list)])
            .build()?;
        Ok(Arc::new(outer))
    });
    let fields = fields.collect::<ParquetResult<Vec<TypePtr>>>()?;
    Ok(Arc::new(Type::group_type_builder("view").with_fields(fields).build()?))
}

/// The values of a column, and where there are none.
struct Levels<'r> {
    values: Vec<&'r Cell>,
    definition: Vec<i16>,
    /// For a collection.
    repetition: Option<Vec<i16>>,
}

impl<'r> Levels<'r> {
    fn of(column: &Column, cells: impl Iterator<Item = &'r Cell>) -> Levels<'r> {
        let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
        for cell in cells {
            match cell {
                Cell::List(items) if column.is_collection => {
                    if items.is_empty() {
                        definition.push(1);
                        repetition.push(0);
                    }
                    for (place, item) in items.iter().enumerate() {
                        let is_there = *item != Cell::Null;
                        definition.push(if is_there { 3 } else { 2 });
                        repetition.push(i16::from(place > 0));
                        values.extend(is_there.then_some(item));
                    }
                }
                Cell::Null => {
                    definition.push(0);
                    repetition.push(0);
                }
                cell => {
                    definition.push(1);
                    repetition.push(0);
                    values.push(cell);
                }
            }
        }
        Levels { values, definition, repetition: column.is_collection.then_some(repetition) }
    }

    fn write(&self, kind: Kind, writer: &mut ColumnWriter<'_>) -> ParquetResult<()> {
        match writer {
            ColumnWriter::BoolColumnWriter(it) => self.batch(it, |cell| matches!(cell, Cell::Boolean(true))),
            ColumnWriter::Int32ColumnWriter(it) if kind == Kind::Date => self.batch(it, |cell| {
                let day = moment(cell).div_euclid(DAY);
                i32::try_from(day).unwrap_or_default()
            }),
            ColumnWriter::Int32ColumnWriter(it) => {
                self.batch(it, |cell| i32::try_from(integer(cell)).unwrap_or_default())
            }
            ColumnWriter::Int64ColumnWriter(it) if kind == Kind::Moment => self.batch(it, moment),
            ColumnWriter::Int64ColumnWriter(it) => self.batch(it, integer),
            ColumnWriter::DoubleColumnWriter(it) => self.batch(it, |cell| match cell {
                Cell::Decimal(it) => it.parse().unwrap_or(f64::NAN),
                _ => f64::NAN,
            }),
            ColumnWriter::ByteArrayColumnWriter(it) => {
                self.batch(it, |cell| ByteArray::from(cell.text().unwrap_or_default().into_bytes()))
            }
            _ => Err(ParquetError::General("a column has a type that no view has".to_owned())),
        }
    }

    fn batch<T: DataType>(
        &self,
        writer: &mut parquet::column::writer::ColumnWriterImpl<'_, T>,
        value: impl Fn(&Cell) -> T::T,
    ) -> ParquetResult<()> {
        let values: Vec<T::T> = self.values.iter().map(|it| value(it)).collect();
        writer.write_batch(&values, Some(&self.definition), self.repetition.as_deref()).map(drop)
    }
}

fn integer(cell: &Cell) -> i64 {
    match cell {
        Cell::Integer(it) => *it,
        _ => 0,
    }
}

/// The first microsecond that a date may mean. Rows hold only dates that can be read.
fn moment(cell: &Cell) -> i64 {
    let Cell::Text(text) = cell else { return 0 };
    DateTime::parse_search(text).map_or(0, |it| it.interval().low)
}

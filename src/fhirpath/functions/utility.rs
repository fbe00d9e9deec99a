//! Time, traces, variables. <http://hl7.org/fhirpath/N1/#utility-functions>, and the parts of a date,
//! <http://hl7.org/fhirpath/#extract-datetime-components>

use super::{Given, Table, given_one};
use crate::fhir::date_time::{DateTime, Precision, Time};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::evaluate::{Items, Result, Scope};
use crate::fhirpath::moment;
use crate::fhirpath::value::Value;
use jiff::tz::Offset;
use rust_decimal::Decimal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Trace,
    DefineVariable,
    Now,
    Today,
    TimeOfDay,
    Part(Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Offset,
    Date,
    Time,
}

pub(super) const TABLE: &Table<Name> = &[
    ("trace", Name::Trace, 1, 2),
    ("defineVariable", Name::DefineVariable, 1, 2),
    ("now", Name::Now, 0, 0),
    ("today", Name::Today, 0, 0),
    ("timeOfDay", Name::TimeOfDay, 0, 0),
    ("yearOf", Name::Part(Part::Year), 0, 0),
    ("monthOf", Name::Part(Part::Month), 0, 0),
    ("dayOf", Name::Part(Part::Day), 0, 0),
    ("hourOf", Name::Part(Part::Hour), 0, 0),
    ("minuteOf", Name::Part(Part::Minute), 0, 0),
    ("secondOf", Name::Part(Part::Second), 0, 0),
    ("millisecondOf", Name::Part(Part::Millisecond), 0, 0),
    ("timezoneOffsetOf", Name::Part(Part::Offset), 0, 0),
    ("dateOf", Name::Part(Part::Date), 0, 0),
    ("timeOf", Name::Part(Part::Time), 0, 0),
];

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    match name {
        // There is nobody to tell: what a resource holds is not for a log.
        Name::Trace => {
            if given.has(1) {
                for (index, item) in focus.iter().enumerate() {
                    given.each(1, item, index)?;
                }
            }
            Ok(focus)
        }
        Name::DefineVariable => define(focus, given),
        Name::Now | Name::Today | Name::TimeOfDay => {
            let now = given.on.env.now.ok_or(EvaluationError::Unknown("time"))?;
            let civil = Offset::UTC.to_datetime(now);
            let time = moment::time_text(civil.time(), Precision::Fraction(3));
            let date = civil.date().to_string();
            Ok(given_one(Some(match name {
                Name::Now => Value::Date(format!("{date}T{time}+00:00").into()),
                Name::Today => Value::Date(date.into()),
                _ => Value::Time(time.into()),
            })))
        }
        Name::Part(part) => match given.on.single(&focus)? {
            None => Ok(Items::new()),
            Some(Value::Date(text)) => Ok(given_one(part_of_date(part, &text))),
            Some(Value::Time(text)) => Ok(given_one(part_of_time(part, &text))),
            Some(_) => Err(EvaluationError::Operand),
        },
    }
}

/// Seen by what follows in the same chain, and nowhere else.
fn define<'a>(focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let Some(name) = given.text(0)? else { return Err(EvaluationError::Argument) };
    let on = given.on;
    let is_taken = on.environment(&name).is_some() || on.variables.borrow().iter().any(|(it, _)| *it == name);
    if is_taken {
        return Err(EvaluationError::Argument);
    }
    let value = match (given.call.arguments.get(1), focus.as_slice()) {
        (None, _) => focus.clone(),
        (Some(ast), [item]) => on.apart(ast, &Scope { this: item.clone(), ..given.scope.clone() })?,
        (Some(ast), _) => on.apart(ast, given.scope)?,
    };
    on.variables.borrow_mut().push((name.into_owned(), value));
    Ok(focus)
}

fn part_of_date<'a>(part: Part, text: &str) -> Option<Value<'a>> {
    let date = DateTime::parse_literal(text)?;
    let civil = date.civil();
    let from = |precision, value: i64| (date.precision() >= precision).then_some(Value::Integer(value));
    match part {
        Part::Year => from(Precision::Year, civil.year().into()),
        Part::Month => from(Precision::Month, civil.month().into()),
        Part::Day => from(Precision::Day, civil.day().into()),
        Part::Hour => from(Precision::Hour, civil.hour().into()),
        Part::Minute => from(Precision::Minute, civil.minute().into()),
        Part::Second => from(Precision::Second, civil.second().into()),
        Part::Millisecond => from(Precision::Fraction(0), civil.millisecond().into()),
        Part::Offset => date
            .offset_minutes()
            .map(|minutes| Value::Decimal((Decimal::from(minutes) / Decimal::from(60)).normalize())),
        Part::Date => text.split('T').next().map(|it| Value::Date(it.to_owned().into())),
        Part::Time => {
            let time = text.split_once('T')?.1.strip_suffix(moment::offset_of(text))?;
            (!time.is_empty()).then(|| Value::Time(time.to_owned().into()))
        }
    }
}

fn part_of_time<'a>(part: Part, text: &str) -> Option<Value<'a>> {
    let time = Time::parse_literal(text)?;
    let civil = time.civil();
    let from = |precision, value: i64| (time.precision() >= precision).then_some(Value::Integer(value));
    match part {
        Part::Hour => from(Precision::Hour, civil.hour().into()),
        Part::Minute => from(Precision::Minute, civil.minute().into()),
        Part::Second => from(Precision::Second, civil.second().into()),
        Part::Millisecond => from(Precision::Fraction(0), civil.millisecond().into()),
        _ => None,
    }
}

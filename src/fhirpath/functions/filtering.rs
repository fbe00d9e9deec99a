//! Filtering and projection. <http://hl7.org/fhirpath/N1/#filtering-and-projection>

use super::{Given, Table};
use crate::fhirpath::EvaluationError;
use crate::fhirpath::ast::Ast;
use crate::fhirpath::equality::compare;
use crate::fhirpath::evaluate::{Items, Result, Scope};
use crate::fhirpath::value::{Element, Item, Value};
use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fhirpath) enum Name {
    Where,
    Select,
    Repeat,
    RepeatAll,
    Aggregate,
    Sort,
    Iif,
    Coalesce,
}

pub(super) const TABLE: &Table<Name> = &[
    ("where", Name::Where, 1, 1),
    ("select", Name::Select, 1, 1),
    ("repeat", Name::Repeat, 1, 1),
    ("repeatAll", Name::RepeatAll, 1, 1),
    ("aggregate", Name::Aggregate, 1, 2),
    ("sort", Name::Sort, 0, 16),
    ("iif", Name::Iif, 2, 3),
    ("coalesce", Name::Coalesce, 1, 16),
];

pub(super) fn call<'a>(name: Name, focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    match name {
        Name::Where => {
            let mut out = Items::new();
            for (index, item) in focus.into_iter().enumerate() {
                if given.holds(0, &item, index)? {
                    out.push(item);
                }
            }
            Ok(out)
        }
        Name::Select => {
            let mut out = Items::new();
            for (index, item) in focus.iter().enumerate() {
                out.extend(given.each(0, item, index)?);
            }
            Ok(out)
        }
        Name::Repeat => repeat(focus, given, true),
        Name::RepeatAll => repeat(focus, given, false),
        Name::Aggregate => aggregate(&focus, given),
        Name::Sort => sort(focus, given),
        Name::Iif => iif(&focus, given),
        Name::Coalesce => {
            for place in 0..given.call.arguments.len() {
                let items = given.argument(place)?;
                if !items.is_empty() {
                    return Ok(items);
                }
            }
            Ok(Items::new())
        }
    }
}

/// Only what is new goes on, so that a projection that gives its own input ends. Elements are the
/// same where their text is: that is equality, short of `1.0` and `1`, and costs no comparison of all
/// with all.
fn repeat<'a>(focus: Items<'a>, given: &Given<'_, '_, 'a>, is_distinct: bool) -> Result<Items<'a>> {
    let mut out = Items::new();
    let mut texts: HashSet<&'a str> = HashSet::new();
    let mut queue: VecDeque<Item<'a>> = focus.into_iter().collect();
    while let Some(item) = queue.pop_front() {
        for found in given.each(0, &item, 0)? {
            given.on.charge(1)?;
            let is_new = match &found {
                _ if !is_distinct => true,
                Item::Element(Element { node: Some(node), .. }) => texts.insert(node.raw()),
                other => !given.on.is_in(other, &out)?,
            };
            if is_new {
                out.push(found.clone());
                queue.push_back(found);
            }
        }
    }
    Ok(out)
}

fn aggregate<'a>(focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let mut total = if given.has(1) { given.argument(1)? } else { Items::new() };
    for (index, item) in focus.iter().enumerate() {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        total = given.on.apart(given.ast(0)?, &Scope { this: item.clone(), index, total })?;
    }
    Ok(total)
}

/// Each argument is a key; a minus before it turns the order around. What has no key stands first.
fn sort<'a>(focus: Items<'a>, given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let mut keyed: Vec<(Vec<Option<Value<'a>>>, Item<'a>)> = Vec::with_capacity(focus.len());
    let keys: Vec<(&Ast, bool)> = given
        .call
        .arguments
        .iter()
        .map(|ast| match ast {
            Ast::Negate(inner) => (&**inner, true),
            other => (other, false),
        })
        .collect();
    for item in focus {
        let scope = Scope { this: item.clone(), index: 0, total: Items::new() };
        let values = if keys.is_empty() {
            vec![given.on.single(std::slice::from_ref(&item))?]
        } else {
            let value = |(ast, _): &(&Ast, bool)| given.on.single(&given.on.apart(ast, &scope)?);
            keys.iter().map(value).collect::<Result<_>>()?
        };
        keyed.push((values, item));
    }
    let mut failure = None;
    let mut order = |one: &Option<Value<'a>>, other: &Option<Value<'a>>| match (one, other) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(one), Some(other)) => match compare(one, other) {
            Ok(order) => order.unwrap_or(Ordering::Equal),
            Err(error) => {
                failure = Some(error);
                Ordering::Equal
            }
        },
    };
    let length = keyed.len();
    given.on.charge(u32::try_from(length.saturating_mul(16)).unwrap_or(u32::MAX))?;
    // Partial dates have no total order, and std's sort may panic where there is none: a merge of
    // our own does not mind.
    let places = merge_sort(length, &mut |left, right| {
        let (Some((left, _)), Some((right, _))) = (keyed.get(left), keyed.get(right)) else {
            return Ordering::Equal;
        };
        for (place, (one, other)) in left.iter().zip(right).enumerate() {
            let found = order(one, other);
            if found.is_ne() {
                let is_turned = keys.get(place).is_some_and(|(_, is_turned)| *is_turned);
                return if is_turned { found.reverse() } else { found };
            }
        }
        Ordering::Equal
    });
    match failure {
        Some(error) => Err(error),
        None => {
            Ok(places.iter().filter_map(|place| keyed.get(*place)).map(|(_, item)| item.clone()).collect())
        }
    }
}

fn merge_sort(length: usize, order: &mut impl FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    let mut width = 1;
    while width < length {
        let mut merged = Vec::with_capacity(length);
        for run in places.chunks(width * 2) {
            let (left, right) = run.split_at(width.min(run.len()));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
                let next = if order(**one, **other).is_gt() { right.next() } else { left.next() };
                merged.extend(next);
            }
            merged.extend(left);
            merged.extend(right);
        }
        places = merged;
        width *= 2;
    }
    places
}

fn iif<'a>(focus: &[Item<'a>], given: &Given<'_, '_, 'a>) -> Result<Items<'a>> {
    let scope = match focus {
        [] => given.scope.clone(),
        [item] => Scope { this: item.clone(), ..given.scope.clone() },
        _ => return Err(EvaluationError::NotSingle),
    };
    let criterion = given.on.apart(given.ast(0)?, &scope)?;
    let is_true = match given.on.single(&criterion)? {
        None => false,
        Some(Value::Boolean(it)) => it,
        Some(_) => return Err(EvaluationError::Operand),
    };
    match given.call.arguments.get(if is_true { 1 } else { 2 }) {
        Some(ast) => given.on.apart(ast, &scope),
        None => Ok(Items::new()),
    }
}

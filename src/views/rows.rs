//! The rows that a view makes of one resource, within bounds on steps and on cells.
//!
//! Elements stay where they stand: only what goes into a cell is copied.

use super::cell::Cell;
use super::definition::{Column, Over, Path, ROW_INDEX, Select, View};
use crate::fhir::json::Node;
use crate::fhir::outcome::Outcome;
use crate::fhir::types::Types;
use crate::fhirpath::value::{Item, Value};
use crate::fhirpath::{Environment, EvaluationError};
use std::cell::Cell as Counter;

/// As many steps for all expressions on one resource: a tenth of a second at most.
const MOST_STEPS: u32 = 2_000_000;
/// As many cells may be made of one resource.
const MOST_CELLS: usize = 500_000;
/// As many items may `repeat` go through.
const MOST_REPEATED: usize = 50_000;

/// The values of a row, one for each column.
pub type Row = Vec<Cell>;

impl View {
    /// The rows of a resource: none where it is of another type, or no condition holds.
    ///
    /// # Errors
    /// A value is not of its column's type, an expression fails, or there would be too much of it.
    pub fn rows(&self, types: &Types, resource: Node<'_>) -> Result<Vec<Row>, Outcome> {
        if resource.get("resourceType").is_none_or(|it| !it.is(self.resource_type.name())) {
            return Ok(Vec::new());
        }
        let Some(focus) = Item::of_resource(types, resource) else { return Ok(Vec::new()) };
        let mut env = Environment { most_steps: MOST_STEPS, ..Environment::of(types, focus.clone()) };
        env.constants.push((ROW_INDEX.to_owned(), vec![Item::Value(Value::Integer(0))]));
        let constants = self.constants.iter();
        env.constants.extend(constants.map(|(name, value)| (name.clone(), vec![Item::Value(value.clone())])));
        let mut walk = Walk { env, spent: Counter::new(0), cells: 0 };
        for condition in &self.wheres {
            if !walk.holds(condition, &focus)? {
                return Ok(Vec::new());
            }
        }
        walk.selects(&self.selects, &focus, 0)
    }
}

struct Walk<'a> {
    env: Environment<'a>,
    spent: Counter<u32>,
    cells: usize,
}

impl<'a> Walk<'a> {
    fn evaluate(&mut self, path: &Path, focus: &Item<'a>, index: usize) -> Result<Vec<Item<'a>>, Outcome> {
        if let Some((_, items)) = self.env.constants.first_mut() {
            *items = vec![Item::Value(Value::Integer(i64::try_from(index).unwrap_or(i64::MAX)))];
        }
        path.expression.evaluate_within(&self.env, focus.clone(), &self.spent).map_err(|error| match error {
            EvaluationError::TooCostly => Outcome::too_costly("the view takes too long").at(&path.place),
            error => Outcome::value(error.to_string()).at(&path.place),
        })
    }

    fn holds(&mut self, condition: &Path, focus: &Item<'a>) -> Result<bool, Outcome> {
        match self.evaluate(condition, focus, 0)?.as_slice() {
            [] => Ok(false),
            [item] => match item.value(self.env.types) {
                Some(Value::Boolean(it)) => Ok(it),
                _ => Err(Outcome::value("a condition is true or false").at(&condition.place)),
            },
            _ => Err(Outcome::value("a condition is true or false").at(&condition.place)),
        }
    }

    fn selects(&mut self, selects: &[Select], focus: &Item<'a>, index: usize) -> Result<Vec<Row>, Outcome> {
        let mut rows = vec![Row::new()];
        for select in selects {
            let more = self.select(select, focus, index)?;
            rows = self.product(rows, more)?;
            if rows.is_empty() {
                break;
            }
        }
        Ok(rows)
    }

    fn select(&mut self, select: &Select, focus: &Item<'a>, index: usize) -> Result<Vec<Row>, Outcome> {
        let foci = match &select.over {
            Over::This => return self.inside(select, focus, index),
            Over::Each(path) | Over::EachOrNull(path) => self.evaluate(path, focus, index)?,
            Over::Repeat(paths) => self.repeat(paths, focus, index)?,
        };
        if foci.is_empty() && matches!(select.over, Over::EachOrNull(_)) {
            return Ok(vec![vec![Cell::Null; select.width]]);
        }
        let mut rows = Vec::new();
        for (index, focus) in foci.iter().enumerate() {
            rows.extend(self.inside(select, focus, index)?);
        }
        Ok(rows)
    }

    /// Everything that the paths lead to, and what they lead to from there: parents first.
    fn repeat(&mut self, paths: &[Path], focus: &Item<'a>, index: usize) -> Result<Vec<Item<'a>>, Outcome> {
        let mut found = Vec::new();
        let mut waiting = self.children(paths, focus, index)?;
        while let Some(item) = waiting.pop() {
            waiting.extend(self.children(paths, &item, index)?);
            found.push(item);
            if found.len() + waiting.len() > MOST_REPEATED {
                return Err(too_much(paths.first()));
            }
        }
        Ok(found)
    }

    /// The last one first.
    fn children(&mut self, paths: &[Path], of: &Item<'a>, index: usize) -> Result<Vec<Item<'a>>, Outcome> {
        let mut children = Vec::new();
        for path in paths {
            children.extend(self.evaluate(path, of, index)?);
        }
        children.reverse();
        Ok(children)
    }

    /// The rows of a select for one item.
    fn inside(&mut self, select: &Select, focus: &Item<'a>, index: usize) -> Result<Vec<Row>, Outcome> {
        let mut own = Row::with_capacity(select.width);
        for (column, path) in &select.columns {
            let items = self.evaluate(path, focus, index)?;
            own.push(self.cell(column, path, &items)?);
        }
        self.charge(own.len())?;
        let inner = self.selects(&select.selects, focus, index)?;
        let rows = self.product(vec![own], inner)?;
        if select.unions.is_empty() || rows.is_empty() {
            return Ok(rows);
        }
        let mut all = Vec::new();
        for part in &select.unions {
            all.extend(self.select(part, focus, index)?);
        }
        self.product(rows, all)
    }

    fn cell(&self, column: &Column, path: &Path, items: &[Item<'a>]) -> Result<Cell, Outcome> {
        let value = |item: &Item<'a>| {
            column.kind.cell(self.env.types, item).ok_or_else(|| {
                let reason = format!("a value is not of the type of the column {}", column.name);
                Outcome::value(reason).at(&path.place)
            })
        };
        match (column.is_collection, items) {
            (true, items) => Ok(Cell::List(items.iter().map(value).collect::<Result<_, _>>()?)),
            (false, []) => Ok(Cell::Null),
            (false, [item]) => value(item),
            (false, _) => {
                let reason = format!("the column {} has several values and is no collection", column.name);
                Err(Outcome::value(reason).at(&path.place))
            }
        }
    }

    /// Each of these with each of those.
    fn product(&mut self, left: Vec<Row>, right: Vec<Row>) -> Result<Vec<Row>, Outcome> {
        if let [only] = left.as_slice()
            && only.is_empty()
        {
            return Ok(right);
        }
        let width = |rows: &[Row]| rows.first().map_or(0, Vec::len);
        let cells = left.len().saturating_mul(right.len());
        self.charge(cells.saturating_mul(width(&left) + width(&right)))?;
        if let ([_], [_]) = (left.as_slice(), right.as_slice()) {
            return Ok(vec![left.into_iter().chain(right).flatten().collect()]);
        }
        let mut rows = Vec::with_capacity(cells);
        for one in &left {
            rows.extend(right.iter().map(|other| [one.as_slice(), other.as_slice()].concat()));
        }
        Ok(rows)
    }

    fn charge(&mut self, cells: usize) -> Result<(), Outcome> {
        self.cells = self.cells.saturating_add(cells);
        if self.cells > MOST_CELLS { Err(too_much(None)) } else { Ok(()) }
    }
}

fn too_much(path: Option<&Path>) -> Outcome {
    let outcome = Outcome::too_costly("the view makes too much of one resource");
    match path {
        Some(path) => outcome.at(&path.place),
        None => outcome,
    }
}

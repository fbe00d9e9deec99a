//! Walking the tree over elements. <http://hl7.org/fhirpath/N1/>

use super::ast::{Ast, Literal, Operator};
use super::functions;
use super::value::{Element, Item, Value};
use super::{Environment, EvaluationError};
use crate::fhir::date_time::DateTime;
use crate::fhir::json::Node;
use rust_decimal::Decimal;
use smallvec::SmallVec;
use std::cell::Cell;
use std::cmp::Ordering;

/// A collection; most hold one item.
pub(super) type Items<'a> = SmallVec<[Item<'a>; 2]>;

pub(super) struct Evaluator<'e, 'a> {
    pub(super) env: &'e Environment<'a>,
    pub(super) steps: Cell<u32>,
}

/// What `$this` and its like mean here.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub(super) this: Items<'a>,
    pub(super) index: i64,
    pub(super) total: Items<'a>,
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn eval(&self, ast: &Ast, scope: &Scope<'a>) -> Result<Items<'a>, EvaluationError> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > self.env.most_steps {
            return Err(EvaluationError::TooCostly);
        }
        match ast {
            Ast::Empty => Ok(Items::new()),
            Ast::Literal(literal) => Ok(literal_value(literal).map(Item::Value).into_iter().collect()),
            Ast::This => Ok(scope.this.clone()),
            Ast::Index => Ok(one(Value::Integer(scope.index))),
            Ast::Total => Ok(scope.total.clone()),
            Ast::Variable(name) => self.variable(name),
            Ast::Member(None, name) => Ok(self.member_or_type(&scope.this, name)),
            Ast::Member(Some(on), name) => {
                let on = self.eval(on, scope)?;
                Ok(self.members(&on, name))
            }
            Ast::Function(on, name, arguments) => {
                let focus = match on {
                    Some(on) => self.eval(on, scope)?,
                    None => scope.this.clone(),
                };
                functions::call(self, name, focus, arguments, scope)
            }
            Ast::Indexer(on, index) => {
                let on = self.eval(on, scope)?;
                let index = match self.eval(index, scope)?.first().and_then(|it| it.value(self.env.types)) {
                    Some(Value::Integer(index)) => usize::try_from(index).ok(),
                    _ => None,
                };
                Ok(index.and_then(|index| on.get(index).cloned()).into_iter().collect())
            }
            Ast::Negate(inner) => {
                let inner = self.eval(inner, scope)?;
                Ok(match self.single(&inner)? {
                    Some(Value::Integer(it)) => one(Value::Integer(-it)),
                    Some(Value::Decimal(it)) => one(Value::Decimal(-it)),
                    Some(Value::Quantity(it, unit)) => one(Value::Quantity(-it, unit)),
                    _ => Items::new(),
                })
            }
            Ast::Is(on, name) => {
                let on = self.eval(on, scope)?;
                Ok(on
                    .first()
                    .map(|it| Item::Value(Value::Boolean(self.is_type(it, name))))
                    .into_iter()
                    .collect())
            }
            Ast::As(on, name) => {
                let on = self.eval(on, scope)?;
                Ok(on.into_iter().filter(|it| self.is_type(it, name)).collect())
            }
            Ast::Binary(operator, left, right) => self.binary(*operator, left, right, scope),
        }
    }

    fn variable(&self, name: &str) -> Result<Items<'a>, EvaluationError> {
        let item = match name {
            "resource" => Some(self.env.resource.clone()),
            "rootResource" => Some(self.env.root_resource.clone()),
            "context" => Some(self.env.context.clone().unwrap_or_else(|| self.env.resource.clone())),
            "ucum" => Some(string("http://unitsofmeasure.org")),
            "sct" => Some(string("http://snomed.info/sct")),
            "loinc" => Some(string("http://loinc.org")),
            _ => {
                let under = |prefix: &str, folder: &str| {
                    let id = name.strip_prefix(prefix)?;
                    Some(Item::Value(Value::String(format!("http://hl7.org/fhir/{folder}/{id}").into())))
                };
                under("vs-", "ValueSet").or_else(|| under("ext-", "StructureDefinition"))
            }
        };
        item.map(|item| [item].into_iter().collect()).ok_or(EvaluationError::Unknown("variable"))
    }

    /// At the start of a path a type's name means the focus itself, if it is of that type.
    fn member_or_type(&self, this: &Items<'a>, name: &str) -> Items<'a> {
        if name.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            return this.iter().filter(|it| self.is_type(it, name)).cloned().collect();
        }
        self.members(this, name)
    }

    pub(super) fn members(&self, on: &Items<'a>, name: &str) -> Items<'a> {
        let mut out = Items::new();
        for item in on {
            if let Item::Element(element) = item {
                self.push_members(element, name, &mut out);
            }
        }
        out
    }

    fn push_members(&self, element: &Element<'a>, name: &str, out: &mut Items<'a>) {
        let types = self.env.types;
        if let Some(node) = element.node.filter(|node| node.is_object()) {
            if let Some(member) =
                types.member(element.type_id, name).filter(|member| !member.element.is_choice)
            {
                self.push_values(node, name, member.type_id, out);
                return;
            }
            // A choice: value → valueQuantity.
            let Some(of) = types.get(element.type_id) else { return };
            if let Some(choice) = of.elements.iter().find(|it| it.is_choice && *it.name == *name) {
                for (key, _) in node.members() {
                    let Some(key) = key.as_str() else { continue };
                    let plain = key.strip_prefix('_').unwrap_or(&key);
                    if !plain.starts_with(name) || (key.starts_with('_') && node.get(plain).is_some()) {
                        continue;
                    }
                    if let Some(member) = types.member(element.type_id, plain)
                        && std::ptr::eq(member.element, choice)
                    {
                        self.push_values(node, plain, member.type_id, out);
                    }
                }
            }
        }
        if let Some(companion) = element.companion {
            let type_id = match name {
                "extension" => types.id("Extension"),
                "id" => types.id("string"),
                _ => None,
            };
            if let Some(type_id) = type_id {
                self.push_values(companion, name, type_id, out);
            }
        }
    }

    fn push_values(
        &self,
        of: Node<'a>,
        name: &str,
        type_id: crate::fhir::types::TypeId,
        out: &mut Items<'a>,
    ) {
        let types = self.env.types;
        let value = of.get(name);
        let companion = if types.is_primitive(type_id) { of.get(&format!("_{name}")) } else { None };
        let mut companions = companion.into_iter().flat_map(Node::each);
        for node in value.into_iter().flat_map(Node::each) {
            let companion = companions.next().filter(|it| !it.is_null());
            let node = Some(node).filter(|node| !node.is_null());
            if node.is_none() && companion.is_none() {
                continue;
            }
            // A resource inside a resource says itself what it is.
            let inner = node.and_then(|node| Item::of_resource(types, node));
            out.push(inner.unwrap_or(Item::Element(Element { node, companion, type_id })));
        }
        for companion in companions.filter(|it| !it.is_null()) {
            out.push(Item::Element(Element { node: None, companion: Some(companion), type_id }));
        }
    }

    pub(super) fn is_type(&self, item: &Item<'a>, name: &str) -> bool {
        let types = self.env.types;
        let (space, plain) = match name.split_once('.') {
            Some((space @ ("FHIR" | "System"), plain)) => (Some(space), plain),
            _ => (None, name),
        };
        match item {
            Item::Element(element) => {
                if space == Some("System") {
                    return false;
                }
                types.id(plain).is_some_and(|wanted| types.is_a(element.type_id, wanted))
            }
            Item::Value(value) => space != Some("FHIR") && system_type(value) == plain,
        }
    }

    /// The value of a collection of one; nothing for none; more are an error.
    pub(super) fn single(&self, items: &Items<'a>) -> Result<Option<Value<'a>>, EvaluationError> {
        match items.as_slice() {
            [] => Ok(None),
            [item] => Ok(item.value(self.env.types)),
            _ => Err(EvaluationError::NotSingle),
        }
    }

    /// A collection as a condition: one item that is not a boolean is true.
    pub(super) fn condition(&self, items: &Items<'a>) -> Result<Option<bool>, EvaluationError> {
        match items.as_slice() {
            [] => Ok(None),
            [item] => Ok(Some(!matches!(item.value(self.env.types), Some(Value::Boolean(false))))),
            _ => Err(EvaluationError::NotSingle),
        }
    }

    fn binary(
        &self,
        operator: Operator,
        left: &Ast,
        right: &Ast,
        scope: &Scope<'a>,
    ) -> Result<Items<'a>, EvaluationError> {
        let left = self.eval(left, scope)?;
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                let left = self.condition(&left)?;
                match (operator, left) {
                    (Operator::And, Some(false)) => return Ok(boolean(false)),
                    (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => {
                        return Ok(boolean(true));
                    }
                    _ => {}
                }
                let right = self.eval(right, scope)?;
                let right = self.condition(&right)?;
                let result = match (operator, left, right) {
                    (Operator::And, _, Some(false)) => Some(false),
                    (Operator::And, Some(true), Some(true)) => Some(true),
                    (Operator::Or | Operator::Implies, _, Some(true)) => Some(true),
                    (Operator::Or, Some(false), Some(false))
                    | (Operator::Implies, Some(true), Some(false)) => Some(false),
                    (Operator::Xor, Some(left), Some(right)) => Some(left != right),
                    _ => None,
                };
                return Ok(result.map(Value::Boolean).map(Item::Value).into_iter().collect());
            }
            _ => {}
        }
        let right = self.eval(right, scope)?;
        match operator {
            Operator::Union => Ok(self.distinct(left.into_iter().chain(right))),
            Operator::Equal | Operator::NotEqual => {
                if left.is_empty() || right.is_empty() {
                    return Ok(Items::new());
                }
                let equal = self.equal_all(&left, &right);
                Ok(equal.map(|it| it == (operator == Operator::Equal)).map_or_else(Items::new, boolean))
            }
            Operator::Equivalent | Operator::NotEquivalent => {
                let is_equivalent = left.len() == right.len()
                    && left.iter().all(|it| right.iter().any(|other| self.equivalent(it, other)));
                Ok(boolean(is_equivalent == (operator == Operator::Equivalent)))
            }
            Operator::In | Operator::Contains => {
                let (item, list) = if operator == Operator::In { (&left, &right) } else { (&right, &left) };
                match item.as_slice() {
                    [] => Ok(Items::new()),
                    [item] => Ok(boolean(list.iter().any(|other| self.equal(item, other) == Some(true)))),
                    _ => Err(EvaluationError::NotSingle),
                }
            }
            Operator::Concatenate => {
                let text = |items: &Items<'a>| {
                    Ok(self.single(items)?.map(|it| functions::to_text(&it)).unwrap_or_default())
                };
                Ok(one(Value::String((text(&left)? + &text(&right)?).into())))
            }
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                let (Some(left), Some(right)) = (self.single(&left)?, self.single(&right)?) else {
                    return Ok(Items::new());
                };
                let result = compare(&left, &right).map(|order| match operator {
                    Operator::Less => order == Ordering::Less,
                    Operator::LessOrEqual => order != Ordering::Greater,
                    Operator::Greater => order == Ordering::Greater,
                    _ => order != Ordering::Less,
                });
                Ok(result.map_or_else(Items::new, boolean))
            }
            _ => {
                let (Some(left), Some(right)) = (self.single(&left)?, self.single(&right)?) else {
                    return Ok(Items::new());
                };
                Ok(arithmetic(operator, left, right).map_or_else(Items::new, one))
            }
        }
    }

    pub(super) fn distinct(&self, items: impl Iterator<Item = Item<'a>>) -> Items<'a> {
        let mut out = Items::new();
        for item in items {
            if !out.iter().any(|other| self.equal(&item, other) == Some(true)) {
                out.push(item);
            }
        }
        out
    }

    fn equal_all(&self, left: &Items<'a>, right: &Items<'a>) -> Option<bool> {
        if left.len() != right.len() {
            return Some(false);
        }
        let mut is_known = true;
        for (left, right) in left.iter().zip(right) {
            match self.equal(left, right) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    pub(super) fn equal(&self, left: &Item<'a>, right: &Item<'a>) -> Option<bool> {
        match (left.value(self.env.types), right.value(self.env.types)) {
            (Some(left), Some(right)) => match compare(&left, &right) {
                Some(order) => Some(order == Ordering::Equal),
                None if matches!(
                    (&left, &right),
                    (Value::Date(_), Value::Date(_)) | (Value::Time(_), Value::Time(_))
                ) =>
                {
                    None
                }
                None => Some(false),
            },
            (None, None) => match (left, right) {
                (Item::Element(left), Item::Element(right)) => Some(same_tree(left.node, right.node)),
                _ => Some(false),
            },
            _ => Some(false),
        }
    }

    fn equivalent(&self, left: &Item<'a>, right: &Item<'a>) -> bool {
        match (left.value(self.env.types), right.value(self.env.types)) {
            (Some(Value::String(left)), Some(Value::String(right))) => {
                let folded =
                    |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                folded(&left) == folded(&right)
            }
            _ => self.equal(left, right) == Some(true),
        }
    }
}

fn same_tree(left: Option<Node<'_>>, right: Option<Node<'_>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            left.is_same(right)
                || crate::fhir::tree::Tree::of(left).is_equal(&crate::fhir::tree::Tree::of(right))
        }
        (None, None) => true,
        _ => false,
    }
}

pub(super) fn one(value: Value<'_>) -> Items<'_> {
    [Item::Value(value)].into_iter().collect()
}

pub(super) fn boolean<'a>(it: bool) -> Items<'a> {
    one(Value::Boolean(it))
}

fn string<'a>(text: &'static str) -> Item<'a> {
    Item::Value(Value::String(text.into()))
}

pub(super) fn system_type(value: &Value<'_>) -> &'static str {
    match value {
        Value::Boolean(_) => "Boolean",
        Value::Integer(_) => "Integer",
        Value::Decimal(_) => "Decimal",
        Value::String(_) => "String",
        Value::Date(text) if text.contains('T') => "DateTime",
        Value::Date(_) => "Date",
        Value::Time(_) => "Time",
        Value::Quantity(..) => "Quantity",
    }
}

fn literal_value<'a>(literal: &Literal) -> Option<Value<'a>> {
    Some(match literal {
        Literal::Boolean(it) => Value::Boolean(*it),
        Literal::String(text) => Value::String(text.clone().into()),
        Literal::Number(text) if text.contains('.') => Value::Decimal(text.parse().ok()?),
        Literal::Number(text) => Value::Integer(text.parse().ok()?),
        Literal::Date(text) | Literal::DateTime(text) => Value::Date(text.clone().into()),
        Literal::Time(text) => Value::Time(text.clone().into()),
        Literal::Quantity(number, unit) => Value::Quantity(number.parse().ok()?, unit.clone().into()),
    })
}

pub(super) fn decimal(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(it) => Some(Decimal::from(*it)),
        Value::Decimal(it) => Some(*it),
        _ => None,
    }
}

pub(super) fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Boolean(left), Value::Boolean(right)) => Some(left.cmp(right)),
        (Value::Date(left), Value::Date(right)) => compare_dates(left, right),
        (Value::Date(left), Value::String(right)) | (Value::String(left), Value::Date(right)) => {
            compare_dates(left, right)
        }
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Quantity(left, one), Value::Quantity(right, other)) if one == other => Some(left.cmp(right)),
        _ => Some(decimal(left)?.cmp(&decimal(right)?)),
    }
}

/// Dates compare as far as both are written; beyond that nobody knows.
fn compare_dates(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (DateTime::parse_literal(left)?, DateTime::parse_literal(right)?);
    let (one, other) = (left.interval(), right.interval());
    if one.high < other.low {
        return Some(Ordering::Less);
    }
    if one.low > other.high {
        return Some(Ordering::Greater);
    }
    (left.precision() == right.precision()).then(|| one.low.cmp(&other.low))
}

fn arithmetic<'a>(operator: Operator, left: Value<'a>, right: Value<'a>) -> Option<Value<'a>> {
    if let (Value::String(left), Value::String(right), Operator::Add) = (&left, &right, operator) {
        return Some(Value::String(format!("{left}{right}").into()));
    }
    if let (Value::Integer(left), Value::Integer(right)) = (&left, &right) {
        let (left, right) = (*left, *right);
        match operator {
            Operator::Add => return left.checked_add(right).map(Value::Integer),
            Operator::Subtract => return left.checked_sub(right).map(Value::Integer),
            Operator::Multiply => return left.checked_mul(right).map(Value::Integer),
            Operator::Div => return left.checked_div(right).map(Value::Integer),
            Operator::Mod => return left.checked_rem(right).map(Value::Integer),
            _ => {}
        }
    }
    let (left, right) = (decimal(&left)?, decimal(&right)?);
    match operator {
        Operator::Add => left.checked_add(right).map(Value::Decimal),
        Operator::Subtract => left.checked_sub(right).map(Value::Decimal),
        Operator::Multiply => left.checked_mul(right).map(Value::Decimal),
        Operator::Divide => left.checked_div(right).map(Value::Decimal),
        Operator::Div => {
            let whole = left.checked_div(right)?.trunc();
            i64::try_from(whole).ok().map(Value::Integer)
        }
        Operator::Mod => left.checked_rem(right).map(Value::Decimal),
        _ => None,
    }
}

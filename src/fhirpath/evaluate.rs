//! Walking the tree over elements. <http://hl7.org/fhirpath/N1/>

use super::arithmetic;
use super::ast::{Ast, Operator, Space, TypeName};
use super::equality::{compare, equal_values, equivalent_values};
use super::functions;
use super::value::{Item, SystemType, Value};
use super::{Environment, EvaluationError};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

/// A collection; most hold one item.
pub(super) type Items<'a> = SmallVec<[Item<'a>; 2]>;

pub(super) type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) struct Evaluator<'e, 'a> {
    pub(super) env: &'e Environment<'a>,
    pub(super) steps: Cell<u32>,
    /// What `defineVariable` has defined, innermost last.
    pub(super) variables: RefCell<Vec<(String, Items<'a>)>>,
}

/// What `$this` and its like mean here.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub(super) this: Item<'a>,
    pub(super) index: i64,
    pub(super) total: Items<'a>,
}

impl<'a> Evaluator<'_, 'a> {
    pub(super) fn eval(&self, ast: &Ast, scope: &Scope<'a>) -> Result<Items<'a>> {
        self.charge(1)?;
        match ast {
            Ast::Empty => Ok(Items::new()),
            Ast::Literal(value) => Ok(one(value.clone())),
            Ast::This => Ok([scope.this.clone()].into_iter().collect()),
            Ast::Index => Ok(one(Value::Integer(scope.index))),
            Ast::Total => Ok(scope.total.clone()),
            Ast::Variable(name) => self.variable(name),
            Ast::Member(None, name) => self.member_or_type(&scope.this, name),
            Ast::Member(Some(on), name) => match &**on {
                Ast::This => self.members(std::slice::from_ref(&scope.this), name),
                on => self.members(&self.eval(on, scope)?, name),
            },
            Ast::Call(call) => {
                let focus = match &call.on {
                    Some(on) => self.eval(on, scope)?,
                    None => [scope.this.clone()].into_iter().collect(),
                };
                functions::call(self, call, focus, scope)
            }
            Ast::Indexer(on, index) => {
                let on = self.eval(on, scope)?;
                let index = self.apart(index, scope)?;
                Ok(match self.single(&index)? {
                    None => Items::new(),
                    Some(Value::Integer(index)) => {
                        let item = usize::try_from(index).ok().and_then(|index| on.get(index).cloned());
                        item.into_iter().collect()
                    }
                    Some(_) => return Err(EvaluationError::Operand),
                })
            }
            Ast::Negate(inner) | Ast::Affirm(inner) => {
                let inner = self.eval(inner, scope)?;
                let is_negated = matches!(ast, Ast::Negate(_));
                Ok(match self.single(&inner)? {
                    None => Items::new(),
                    Some(value) => one(arithmetic::sign(value, is_negated)?),
                })
            }
            Ast::Is(on, name) => {
                let on = self.eval(on, scope)?;
                self.is(&on, name)
            }
            Ast::As(on, name) => {
                let on = self.eval(on, scope)?;
                self.of_type(on, name)
            }
            Ast::Binary(operator, left, right) => self.binary(*operator, left, right, scope),
        }
    }

    /// Evaluates a part whose variables nobody else sees.
    pub(super) fn apart(&self, ast: &Ast, scope: &Scope<'a>) -> Result<Items<'a>> {
        let defined = self.variables.borrow().len();
        let result = self.eval(ast, scope);
        self.variables.borrow_mut().truncate(defined);
        result
    }

    /// Pays for work; an expression that asks for too much ends here.
    pub(super) fn charge(&self, steps: u32) -> Result<()> {
        let steps = self.steps.get().saturating_add(steps);
        self.steps.set(steps);
        if steps > self.env.most_steps { Err(EvaluationError::TooCostly) } else { Ok(()) }
    }

    /// Pays for a text that an expression makes: it may not grow without bound.
    pub(super) fn charge_text(&self, length: usize) -> Result<()> {
        const LONGEST: usize = 1 << 20;
        if length > LONGEST {
            return Err(EvaluationError::TooCostly);
        }
        self.charge(u32::try_from(length / 256).unwrap_or(u32::MAX))
    }

    fn variable(&self, name: &str) -> Result<Items<'a>> {
        if let Some((_, items)) = self.variables.borrow().iter().rev().find(|(it, _)| it == name) {
            return Ok(items.clone());
        }
        self.environment(name).ok_or(EvaluationError::Unknown("variable"))
    }

    /// What a name means in the surroundings.
    pub(super) fn environment(&self, name: &str) -> Option<Items<'a>> {
        let text = |text: &'static str| Some(one(Value::String(text.into())));
        match name {
            "resource" => Some([self.env.resource.clone()].into_iter().collect()),
            "rootResource" => Some([self.env.root_resource.clone()].into_iter().collect()),
            "context" => {
                Some([self.env.context.as_ref().unwrap_or(&self.env.resource).clone()].into_iter().collect())
            }
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            _ => {
                if let Some((_, items)) = self.env.constants.iter().find(|(it, _)| it == name) {
                    return Some(items.iter().cloned().collect());
                }
                let under = |prefix: &str, folder: &str| {
                    let id = name.strip_prefix(prefix).filter(|id| !id.is_empty())?;
                    Some(one(Value::String(format!("http://hl7.org/fhir/{folder}/{id}").into())))
                };
                under("vs-", "ValueSet").or_else(|| under("ext-", "StructureDefinition"))
            }
        }
    }

    /// Whether an item is of a type; a name that no type has is an error.
    pub(super) fn is_type(&self, item: &Item<'a>, name: &TypeName) -> Result<bool> {
        let types = self.env.types;
        let wanted = types.id(&name.name);
        let is_known = match name.space {
            None => wanted.is_some() || name.system.is_some(),
            Some(Space::Fhir) => wanted.is_some(),
            // `System.Patient` is no type, and nothing is of it.
            Some(Space::System) => true,
            Some(Space::Other) => false,
        };
        if !is_known {
            return Err(EvaluationError::Unknown("type"));
        }
        Ok(match item {
            Item::Element(element) if name.space != Some(Space::System) => {
                wanted.is_some_and(|wanted| types.is_a(element.type_id, wanted))
            }
            Item::Value(value) if name.space != Some(Space::Fhir) => {
                name.system.is_some_and(|it| it == SystemType::Any || it == value.system_type())
            }
            _ => false,
        })
    }

    pub(super) fn is(&self, on: &[Item<'a>], name: &TypeName) -> Result<Items<'a>> {
        match on {
            [] => Ok(Items::new()),
            [item] => Ok(boolean(self.is_type(item, name)?)),
            _ => Err(EvaluationError::NotSingle),
        }
    }

    /// Those of a type.
    ///
    /// # Decision 2026-11-24
    /// A primitive must be of the very type: `gender.ofType(string)` is empty, as HL7's own cases
    /// have it, and a `canonical` does not pass for a `uri` in R4's search parameters; what `is`
    /// answers follows the specification and counts specialisations.
    pub(super) fn of_type(&self, items: Items<'a>, name: &TypeName) -> Result<Items<'a>> {
        let types = self.env.types;
        let wanted = types.id(&name.name);
        let mut out = Items::new();
        for item in items {
            let is_other = matches!(&item, Item::Element(it)
                if types.is_primitive(it.type_id) && wanted != Some(it.type_id));
            if self.is_type(&item, name)? && !is_other {
                out.push(item);
            }
        }
        Ok(out)
    }

    /// The value of a collection of one; nothing for none; more are an error.
    pub(super) fn single(&self, items: &[Item<'a>]) -> Result<Option<Value<'a>>> {
        match items {
            [] => Ok(None),
            [item] => match item.value(self.env.types) {
                Some(value) => Ok(Some(value)),
                None if self.is_structure(item) => Err(EvaluationError::Operand),
                None => Ok(None),
            },
            _ => Err(EvaluationError::NotSingle),
        }
    }

    /// Whether an item is an element with children and no value of its own.
    fn is_structure(&self, item: &Item<'a>) -> bool {
        matches!(item, Item::Element(it) if it.node.is_some() && !self.env.types.is_primitive(it.type_id))
    }

    /// A collection as text: a string, or a date as it is written.
    pub(super) fn text(&self, items: &[Item<'a>]) -> Result<Option<Cow<'a, str>>> {
        match self.single(items)? {
            None => Ok(None),
            Some(Value::String(text) | Value::Date(text) | Value::Time(text)) => Ok(Some(text)),
            Some(_) => Err(EvaluationError::Operand),
        }
    }

    /// A collection as a whole number.
    pub(super) fn integer(&self, items: &[Item<'a>]) -> Result<Option<i64>> {
        match self.single(items)? {
            None => Ok(None),
            Some(Value::Integer(it)) => Ok(Some(it)),
            Some(_) => Err(EvaluationError::Operand),
        }
    }

    /// A collection as a condition: one item that is not a boolean is true.
    /// <http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections>
    pub(super) fn condition(&self, items: &[Item<'a>]) -> Result<Option<bool>> {
        match items {
            [] => Ok(None),
            [item] => Ok(Some(match item {
                Item::Value(Value::Boolean(it)) => *it,
                Item::Value(_) => true,
                Item::Element(it) => it.node.and_then(|node| node.as_bool()).unwrap_or(true),
            })),
            _ => Err(EvaluationError::NotSingle),
        }
    }

    fn binary(&self, operator: Operator, left: &Ast, right: &Ast, scope: &Scope<'a>) -> Result<Items<'a>> {
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                return self.logic(operator, left, right, scope);
            }
            Operator::Equal
            | Operator::NotEqual
            | Operator::Equivalent
            | Operator::NotEquivalent
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => {
                let left = self.apart(left, scope)?;
                // What is compared with a literal needs no copy of the literal.
                if let (Ast::Literal(right), [item]) = (right, left.as_slice()) {
                    self.charge(1)?;
                    return self.compare_with(operator, item, right);
                }
                let right = self.apart(right, scope)?;
                return self.compare_items(operator, &left, &right);
            }
            _ => {}
        }
        let left = self.apart(left, scope)?;
        let right = self.apart(right, scope)?;
        match operator {
            Operator::Union => self.distinct(left.into_iter().chain(right)),
            Operator::In | Operator::Contains => {
                let (item, list) = if operator == Operator::In { (&left, &right) } else { (&right, &left) };
                match item.as_slice() {
                    [] => Ok(Items::new()),
                    [item] => Ok(boolean(self.is_in(item, list)?)),
                    _ => Err(EvaluationError::NotSingle),
                }
            }
            Operator::Concatenate => {
                let left = self.text(&left)?.unwrap_or_default();
                let right = self.text(&right)?.unwrap_or_default();
                self.charge_text(left.len() + right.len())?;
                Ok(one(Value::String(left + right)))
            }
            _ => {
                let (Some(left), Some(right)) = (self.single(&left)?, self.single(&right)?) else {
                    return Ok(Items::new());
                };
                if let (Value::String(left), Value::String(right)) = (&left, &right) {
                    self.charge_text(left.len() + right.len())?;
                }
                Ok(arithmetic::compute(operator, left, right)?.map_or_else(Items::new, one))
            }
        }
    }

    fn compare_with(&self, operator: Operator, item: &Item<'a>, literal: &Value<'_>) -> Result<Items<'a>> {
        let value = item.value(self.env.types);
        let is_order = !matches!(
            operator,
            Operator::Equal | Operator::NotEqual | Operator::Equivalent | Operator::NotEquivalent
        );
        let result = match (value, operator) {
            (None, _) if is_order => {
                if self.is_structure(item) {
                    return Err(EvaluationError::Operand);
                }
                None
            }
            (None, Operator::Equal | Operator::Equivalent) => Some(false),
            (None, _) => Some(true),
            (Some(value), Operator::Equal) => equal_values(&value, literal),
            (Some(value), Operator::NotEqual) => equal_values(&value, literal).map(|it| !it),
            (Some(value), Operator::Equivalent) => Some(equivalent_values(&value, literal)),
            (Some(value), Operator::NotEquivalent) => Some(!equivalent_values(&value, literal)),
            (Some(value), _) => ordered(operator, &value, literal)?,
        };
        Ok(result.map_or_else(Items::new, boolean))
    }

    fn compare_items(&self, operator: Operator, left: &Items<'a>, right: &Items<'a>) -> Result<Items<'a>> {
        let result = match operator {
            Operator::Equal => self.equal_all(left, right)?,
            Operator::NotEqual => self.equal_all(left, right)?.map(|it| !it),
            Operator::Equivalent => Some(self.equivalent_all(left, right)?),
            Operator::NotEquivalent => Some(!self.equivalent_all(left, right)?),
            _ => match (self.single(left)?, self.single(right)?) {
                (Some(left), Some(right)) => ordered(operator, &left, &right)?,
                _ => None,
            },
        };
        Ok(result.map_or_else(Items::new, boolean))
    }

    fn logic(&self, operator: Operator, left: &Ast, right: &Ast, scope: &Scope<'a>) -> Result<Items<'a>> {
        let left = self.condition(&self.apart(left, scope)?)?;
        match (operator, left) {
            (Operator::And, Some(false)) => return Ok(boolean(false)),
            (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => return Ok(boolean(true)),
            _ => {}
        }
        let right = self.condition(&self.apart(right, scope)?)?;
        let result = match (operator, left, right) {
            (Operator::And, _, Some(false)) => Some(false),
            (Operator::And, Some(true), Some(true)) => Some(true),
            (Operator::Or | Operator::Implies, _, Some(true)) => Some(true),
            (Operator::Or, Some(false), Some(false)) | (Operator::Implies, Some(true), Some(false)) => {
                Some(false)
            }
            (Operator::Xor, Some(left), Some(right)) => Some(left != right),
            _ => None,
        };
        Ok(result.map_or_else(Items::new, boolean))
    }
}

fn ordered(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Result<Option<bool>> {
    Ok(compare(left, right)?.map(|order| match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

pub(super) fn one(value: Value<'_>) -> Items<'_> {
    [Item::Value(value)].into_iter().collect()
}

pub(super) fn boolean<'a>(it: bool) -> Items<'a> {
    one(Value::Boolean(it))
}

//! A ViewDefinition, checked and compiled: every mistake in it is told before anything is read.
//!
//! <https://sql-on-fhir.org/ig/latest/StructureDefinition-ViewDefinition.html>

use super::cell::Kind;
use crate::fhir::id::ResourceType;
use crate::fhir::issue_type::IssueType;
use crate::fhir::json::{Json, Limits, Node};
use crate::fhir::outcome::{Issue, Outcome};
use crate::fhir::types::Types;
use crate::fhirpath::Expression;
use crate::fhirpath::value::Value;
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::collections::HashSet;
use std::str::FromStr as _;

/// The variable that counts what a select goes through.
pub(super) const ROW_INDEX: &str = "rowIndex";
/// Selects in selects, so deep.
const DEEPEST: usize = 16;
/// As many columns.
const MOST_COLUMNS: usize = 1_000;
/// As long a definition, in bytes.
const LONGEST: usize = 1 << 20;

/// A view, compiled.
#[derive(Clone, Debug)]
pub struct View {
    /// The name; `view` where it has none.
    pub name: String,
    /// Of which resources.
    pub resource_type: ResourceType,
    /// What every row holds, in order.
    pub columns: Vec<Column>,
    pub(super) constants: Vec<(String, Value<'static>)>,
    pub(super) wheres: Vec<Path>,
    pub(super) selects: Vec<Select>,
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it holds several.
    pub is_collection: bool,
}

/// An expression, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) expression: Expression,
    pub(super) place: String,
}

/// A part of a view: the rows that it makes of one item.
#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) over: Over,
    pub(super) columns: Vec<(Column, Path)>,
    pub(super) selects: Vec<Select>,
    pub(super) unions: Vec<Select>,
    /// How many columns it has in all.
    pub(super) width: usize,
}

/// What a select goes through.
#[derive(Clone, Debug)]
pub(super) enum Over {
    /// The item itself.
    This,
    /// `forEach`
    Each(Path),
    /// `forEachOrNull`
    EachOrNull(Path),
    /// `repeat`
    Repeat(Vec<Path>),
}

impl View {
    /// Compiles a ViewDefinition.
    ///
    /// # Errors
    /// It is none, with the element that is wrong.
    pub fn parse(types: &Types, text: &str) -> Result<View, Outcome> {
        let limits = Limits { size_bytes: LONGEST, ..Limits::default() };
        let json = Json::parse(text, &limits)
            .map_err(|error| Outcome::structure(error.to_string()).at("ViewDefinition"))?;
        let root = json.root();
        if root.string("resourceType").is_some_and(|it| it != "ViewDefinition") {
            return Err(wrong(root, "a ViewDefinition is expected"));
        }
        let Some(of) = root.string("resource") else {
            return Err(Outcome::required("the type of resource is required").at("ViewDefinition.resource"));
        };
        let Some(resource_type) = ResourceType::parse(&of) else {
            return Err(Outcome::value("R4 has no such type").at("ViewDefinition.resource"));
        };
        let constants = root.get("constant").into_iter().flat_map(Node::each).map(constant);
        let constants = constants.collect::<Result<Vec<_>, Outcome>>()?;
        let compiler = Compiler { types, constants: &constants };
        let mut wheres = Vec::new();
        for condition in root.get("where").into_iter().flat_map(Node::each) {
            wheres.push(compiler.path(condition, "path")?);
        }
        let selects = compiler.selects(root, "select", 0)?;
        if selects.is_empty() {
            return Err(Outcome::required("a view selects something").at("ViewDefinition.select"));
        }
        let columns: Vec<Column> = selects.iter().flat_map(Select::columns).collect();
        let mut names = HashSet::new();
        if let Some(twice) = columns.iter().find(|it| !names.insert(it.name.as_str())) {
            let reason = format!("the column {} stands twice", twice.name);
            return Err(Outcome::invalid(reason).at("ViewDefinition.select"));
        }
        if columns.is_empty() || columns.len() > MOST_COLUMNS {
            let reason = format!("a view has 1 to {MOST_COLUMNS} columns");
            return Err(Outcome::invalid(reason).at("ViewDefinition.select"));
        }
        let name = root.string("name").filter(|it| is_name(it));
        let name = name.map_or_else(|| "view".to_owned(), Cow::into_owned);
        Ok(View { name, resource_type, columns, constants, wheres, selects })
    }
}

impl Select {
    /// Its columns, in order: those of a union are the columns of its first part.
    fn columns(&self) -> Vec<Column> {
        let own = self.columns.iter().map(|(column, _)| column.clone());
        let inner = self.selects.iter().flat_map(Select::columns);
        own.chain(inner).chain(self.unions.first().into_iter().flat_map(Select::columns)).collect()
    }
}

struct Compiler<'c> {
    types: &'c Types,
    constants: &'c [(String, Value<'static>)],
}

impl Compiler<'_> {
    fn selects(&self, of: Node<'_>, name: &str, depth: usize) -> Result<Vec<Select>, Outcome> {
        if depth > DEEPEST {
            return Err(wrong(of, "selects nest too deeply"));
        }
        let selects = of.get(name).into_iter().flat_map(Node::each);
        selects.map(|it| self.select(it, depth + 1)).collect()
    }

    fn select(&self, node: Node<'_>, depth: usize) -> Result<Select, Outcome> {
        if !node.is_object() {
            return Err(wrong(node, "an object is expected"));
        }
        let over = self.over(node)?;
        let columns = node.get("column").into_iter().flat_map(Node::each).map(|it| self.column(it));
        let columns = columns.collect::<Result<Vec<_>, Outcome>>()?;
        let selects = self.selects(node, "select", depth)?;
        let unions = self.selects(node, "unionAll", depth)?;
        if let Some((first, rest)) = unions.split_first() {
            let expected = first.columns();
            if rest.iter().any(|it| it.columns() != expected) {
                let reason =
                    "the parts of unionAll have the same columns, of the same types, in the same order";
                return Err(wrong(node.get("unionAll").unwrap_or(node), reason));
            }
        }
        let mut select = Select { over, columns, selects, unions, width: 0 };
        select.width = select.columns().len();
        if select.width == 0 {
            return Err(wrong(node, "a select has a column, a select or a unionAll"));
        }
        Ok(select)
    }

    fn over(&self, node: Node<'_>) -> Result<Over, Outcome> {
        let given = ["forEach", "forEachOrNull", "repeat"].map(|it| node.get(it).map(|_| it));
        let mut given = given.into_iter().flatten();
        let (first, second) = (given.next(), given.next());
        if second.is_some() {
            return Err(wrong(node, "one of forEach, forEachOrNull and repeat"));
        }
        Ok(match first {
            None => Over::This,
            Some("forEach") => Over::Each(self.path(node, "forEach")?),
            Some("forEachOrNull") => Over::EachOrNull(self.path(node, "forEachOrNull")?),
            Some(_) => {
                let paths = node.get("repeat").into_iter().flat_map(Node::each);
                Over::Repeat(paths.map(|it| self.compiled(it)).collect::<Result<Vec<_>, Outcome>>()?)
            }
        })
    }

    fn column(&self, node: Node<'_>) -> Result<(Column, Path), Outcome> {
        let name = node.string("name").unwrap_or_default();
        if !is_name(&name) {
            let reason =
                "a column needs a name of letters, digits and underscores, at most 255, a letter first";
            return Err(wrong(node.get("name").unwrap_or(node), reason));
        }
        let kind = match node.string("type") {
            None => Kind::Any,
            Some(name) => Kind::named(self.types, &name).ok_or_else(|| {
                wrong(node.get("type").unwrap_or(node), "the type of a column is a primitive type")
            })?,
        };
        let is_collection = match node.get("collection") {
            None => false,
            Some(it) => it.as_bool().ok_or_else(|| wrong(it, "true or false"))?,
        };
        let path = self.path(node, "path")?;
        Ok((Column { name: name.into_owned(), kind, is_collection }, path))
    }

    fn path(&self, of: Node<'_>, name: &str) -> Result<Path, Outcome> {
        match of.get(name) {
            Some(node) => self.compiled(node),
            None => Err(wrong(of, &format!("{name} is required"))),
        }
    }

    fn compiled(&self, node: Node<'_>) -> Result<Path, Outcome> {
        let Some(text) = node.as_str() else { return Err(wrong(node, "a FHIRPath expression is expected")) };
        let expression = Expression::parse(&text).map_err(|error| wrong(node, &error.to_string()))?;
        let defined = expression.defines_variables();
        for name in expression.variables() {
            let is_constant = self.constants.iter().any(|(it, _)| it == name);
            if !defined && !is_constant && !is_known(name) {
                return Err(wrong(node, "the expression names a constant that the view does not have"));
            }
        }
        Ok(Path { expression, place: place(node) })
    }
}

/// What has a meaning in every view.
fn is_known(name: &str) -> bool {
    let known = [ROW_INDEX, "context", "resource", "rootResource", "ucum", "sct", "loinc"];
    known.contains(&name) || name.starts_with("vs-") || name.starts_with("ext-")
}

fn constant(node: Node<'_>) -> Result<(String, Value<'static>), Outcome> {
    let name = node.string("name").unwrap_or_default();
    if !is_name(&name) || is_known(&name) {
        return Err(wrong(node, "a constant needs a name of its own"));
    }
    let mut members = node.members();
    let given = members.find_map(|(key, value)| {
        let key = key.as_str()?;
        Some((key.strip_prefix("value")?.to_owned(), value))
    });
    let Some((of, value)) = given else { return Err(wrong(node, "a constant needs a value")) };
    let text = value.as_str().map(Cow::into_owned);
    let number = value.as_number();
    let read = match of.as_str() {
        "Boolean" => value.as_bool().map(Value::Boolean),
        "Integer" | "PositiveInt" | "UnsignedInt" | "Integer64" => {
            number.or(text.as_deref()).and_then(|it| it.parse().ok()).map(Value::Integer)
        }
        "Decimal" => number.and_then(|it| Decimal::from_str(it).ok()).map(Value::Decimal),
        "Date" | "DateTime" | "Instant" => text.map(|it| Value::Date(it.into())),
        "Time" => text.map(|it| Value::Time(it.into())),
        "String" | "Code" | "Id" | "Uri" | "Url" | "Uuid" | "Oid" | "Canonical" | "Base64Binary"
        | "Markdown" => text.map(|it| Value::String(it.into())),
        _ => None,
    };
    match read {
        Some(read) => Ok((name.into_owned(), read)),
        None => Err(wrong(value, "the value of a constant is a primitive of its type")),
    }
}

/// Whether a text can name a column, a constant or a view: something that SQL and file systems take.
fn is_name(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}

fn place(node: Node<'_>) -> String {
    match node.path() {
        path if path.is_empty() => "ViewDefinition".to_owned(),
        path => format!("ViewDefinition.{path}"),
    }
}

fn wrong(node: Node<'_>, reason: &str) -> Outcome {
    Issue::error(IssueType::Invalid, reason).at_node("ViewDefinition", node).into()
}

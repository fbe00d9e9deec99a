//! The functions. <http://hl7.org/fhirpath/N1/#functions>

use super::EvaluationError;
use super::ast::Ast;
use super::evaluate::{Evaluator, Items, Scope, boolean, decimal, one};
use super::value::{Element, Item, Value};
use crate::fhir::reference::Reference;

type Result<T> = std::result::Result<T, EvaluationError>;

pub(super) fn call<'a>(
    on: &Evaluator<'_, 'a>,
    name: &str,
    focus: Items<'a>,
    arguments: &[Ast],
    scope: &Scope<'a>,
) -> Result<Items<'a>> {
    let first = arguments.first();
    let types = on.env.types;
    // What an argument is for each item of the focus.
    let each = |item: &Item<'a>, index: usize, ast: &Ast| {
        let this = [item.clone()].into_iter().collect();
        on.eval(ast, &Scope { this, index: i64::try_from(index).unwrap_or(0), total: scope.total.clone() })
    };
    let argument = |place: usize| match arguments.get(place) {
        Some(ast) => on.eval(ast, scope),
        None => Err(EvaluationError::Argument),
    };
    let text_argument = |place: usize| -> Result<Option<String>> {
        Ok(on.single(&argument(place)?)?.map(|value| to_text(&value)))
    };
    let text = || -> Result<Option<String>> { Ok(on.single(&focus)?.map(|value| to_text(&value))) };
    let type_argument = || first.map(type_name).ok_or(EvaluationError::Argument);
    match name {
        "exists" => match first {
            None => Ok(boolean(!focus.is_empty())),
            Some(ast) => {
                for (index, item) in focus.iter().enumerate() {
                    if on.condition(&each(item, index, ast)?)? == Some(true) {
                        return Ok(boolean(true));
                    }
                }
                Ok(boolean(false))
            }
        },
        "empty" => Ok(boolean(focus.is_empty())),
        "where" | "all" | "select" | "repeat" => {
            let ast = first.ok_or(EvaluationError::Argument)?;
            let mut out = Items::new();
            let mut queue: std::collections::VecDeque<(usize, Item<'a>)> =
                focus.into_iter().enumerate().collect();
            while let Some((index, item)) = queue.pop_front() {
                let result = each(&item, index, ast)?;
                match name {
                    "where" if on.condition(&result)? == Some(true) => out.push(item),
                    "where" => {}
                    "all" if on.condition(&result)? != Some(true) => return Ok(boolean(false)),
                    "all" => {}
                    "select" => out.extend(result),
                    _ => {
                        for item in result {
                            out.push(item.clone());
                            queue.push_back((0, item));
                        }
                    }
                }
            }
            Ok(if name == "all" { boolean(true) } else { out })
        }
        "ofType" | "as" => {
            let wanted = type_argument()?;
            Ok(focus.into_iter().filter(|it| on.is_type(it, &wanted)).collect())
        }
        "is" => {
            let wanted = type_argument()?;
            Ok(focus.first().map_or_else(Items::new, |it| boolean(on.is_type(it, &wanted))))
        }
        "not" => Ok(on.condition(&focus)?.map_or_else(Items::new, |it| boolean(!it))),
        "first" => Ok(focus.into_iter().take(1).collect()),
        "last" => Ok(focus.into_iter().next_back().into_iter().collect()),
        "tail" => Ok(focus.into_iter().skip(1).collect()),
        "single" => {
            if focus.len() > 1 {
                Err(EvaluationError::NotSingle)
            } else {
                Ok(focus)
            }
        }
        "skip" | "take" => {
            let count = match on.single(&argument(0)?)? {
                Some(Value::Integer(count)) => usize::try_from(count).unwrap_or(0),
                _ => return Err(EvaluationError::Argument),
            };
            Ok(if name == "skip" {
                focus.into_iter().skip(count).collect()
            } else {
                focus.into_iter().take(count).collect()
            })
        }
        "count" => Ok(one(Value::Integer(i64::try_from(focus.len()).unwrap_or(i64::MAX)))),
        "distinct" => Ok(on.distinct(focus.into_iter())),
        "isDistinct" => {
            let count = focus.len();
            Ok(boolean(on.distinct(focus.into_iter()).len() == count))
        }
        "union" | "combine" => {
            let other = argument(0)?;
            let both = focus.into_iter().chain(other);
            Ok(if name == "union" { on.distinct(both) } else { both.collect() })
        }
        "intersect" | "exclude" => {
            let other = argument(0)?;
            let is_in = |item: &Item<'a>| other.iter().any(|it| on.equal(item, it) == Some(true));
            let kept = focus.into_iter().filter(|it| is_in(it) == (name == "intersect"));
            Ok(if name == "intersect" { on.distinct(kept) } else { kept.collect() })
        }
        "subsetOf" | "supersetOf" => {
            let other = argument(0)?;
            let (part, whole) = if name == "subsetOf" { (&focus, &other) } else { (&other, &focus) };
            Ok(boolean(part.iter().all(|it| whole.iter().any(|other| on.equal(it, other) == Some(true)))))
        }
        "allTrue" | "anyTrue" | "allFalse" | "anyFalse" => {
            let wanted = name.ends_with("True");
            let mut matches = focus.iter().map(|it| it.value(types) == Some(Value::Boolean(wanted)));
            Ok(boolean(if name.starts_with("all") { matches.all(|it| it) } else { matches.any(|it| it) }))
        }
        "iif" => {
            let is_true = on.condition(&argument(0)?)? == Some(true);
            match arguments.get(if is_true { 1 } else { 2 }) {
                Some(ast) => on.eval(ast, scope),
                None => Ok(Items::new()),
            }
        }
        "children" => Ok(children(on, &focus)),
        "descendants" => {
            let mut out = Items::new();
            let mut level = children(on, &focus);
            while !level.is_empty() {
                let next = children(on, &level);
                out.extend(level);
                level = next;
            }
            Ok(out)
        }
        "extension" => {
            let url = text_argument(0)?.unwrap_or_default();
            let extensions = on.members(&focus, "extension");
            let is_wanted = |item: &Item<'a>| matches!(item, Item::Element(Element { node: Some(node), .. }) if node.get("url").is_some_and(|it| it.is(&url)));
            Ok(extensions.into_iter().filter(is_wanted).collect())
        }
        "hasValue" => Ok(boolean(matches!(focus.as_slice(), [item] if item.value(types).is_some()))),
        "getValue" => Ok(on.single(&focus)?.map_or_else(Items::new, one)),
        "resolve" => Ok(focus.iter().filter_map(|item| resolve(on, item)).collect()),
        "htmlChecks" => Ok(boolean(true)),
        "trace" => Ok(focus),
        "startsWith" | "endsWith" | "contains" | "indexOf" | "matches" | "replace" | "replaceMatches"
        | "split" => {
            let Some(subject) = text()? else { return Ok(Items::new()) };
            let Some(wanted) = text_argument(0)? else { return Ok(Items::new()) };
            Ok(match name {
                "startsWith" => boolean(subject.starts_with(&wanted)),
                "endsWith" => boolean(subject.ends_with(&wanted)),
                "contains" => boolean(subject.contains(&wanted)),
                "indexOf" => one(Value::Integer(
                    subject.find(&wanted).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1),
                )),
                "split" => subject
                    .split(&wanted)
                    .map(|it| Item::Value(Value::String(it.to_owned().into())))
                    .collect(),
                "replace" => one(Value::String(
                    subject.replace(&wanted, &text_argument(1)?.unwrap_or_default()).into(),
                )),
                _ => {
                    let pattern = regex::RegexBuilder::new(&wanted)
                        .size_limit(1 << 20)
                        .dot_matches_new_line(true)
                        .build();
                    let pattern = pattern.map_err(|_| EvaluationError::Argument)?;
                    if name == "matches" {
                        boolean(pattern.is_match(&subject))
                    } else {
                        let with = text_argument(1)?.unwrap_or_default();
                        one(Value::String(pattern.replace_all(&subject, with.as_str()).into_owned().into()))
                    }
                }
            })
        }
        "length" => Ok(text()?.map_or_else(Items::new, |it| {
            one(Value::Integer(i64::try_from(it.chars().count()).unwrap_or(0)))
        })),
        "upper" => Ok(text()?.map_or_else(Items::new, |it| one(Value::String(it.to_uppercase().into())))),
        "lower" => Ok(text()?.map_or_else(Items::new, |it| one(Value::String(it.to_lowercase().into())))),
        "trim" => Ok(text()?.map_or_else(Items::new, |it| one(Value::String(it.trim().to_owned().into())))),
        "toString" => Ok(text()?.map_or_else(Items::new, |it| one(Value::String(it.into())))),
        "substring" => {
            let Some(subject) = text()? else { return Ok(Items::new()) };
            let number = |place: usize| -> Result<Option<usize>> {
                match on.single(&argument(place)?)? {
                    Some(Value::Integer(it)) => Ok(usize::try_from(it).ok()),
                    _ => Ok(None),
                }
            };
            let Some(start) = number(0)? else { return Ok(Items::new()) };
            let length = if arguments.len() > 1 { number(1)? } else { None };
            if start >= subject.chars().count() {
                return Ok(Items::new());
            }
            let part: String = subject.chars().skip(start).take(length.unwrap_or(usize::MAX)).collect();
            Ok(one(Value::String(part.into())))
        }
        "join" => {
            let joint = if arguments.is_empty() { None } else { text_argument(0)? };
            let parts: Vec<String> =
                focus.iter().filter_map(|it| it.value(types)).map(|it| to_text(&it)).collect();
            Ok(one(Value::String(parts.join(&joint.unwrap_or_default()).into())))
        }
        "toInteger" => Ok(match on.single(&focus)? {
            Some(Value::Boolean(it)) => one(Value::Integer(i64::from(it))),
            Some(Value::Integer(it)) => one(Value::Integer(it)),
            Some(Value::String(it)) => it.parse().ok().map_or_else(Items::new, |it| one(Value::Integer(it))),
            _ => Items::new(),
        }),
        "toDecimal" => Ok(match on.single(&focus)? {
            Some(Value::String(it)) => it.parse().ok().map_or_else(Items::new, |it| one(Value::Decimal(it))),
            Some(it) => decimal(&it).map_or_else(Items::new, |it| one(Value::Decimal(it))),
            None => Items::new(),
        }),
        _ => Err(EvaluationError::Unknown("function")),
    }
}

fn type_name(ast: &Ast) -> String {
    match ast {
        Ast::Member(None, name) => name.clone(),
        Ast::Member(Some(on), name) => format!("{}.{name}", type_name(on)),
        _ => String::new(),
    }
}

fn children<'a>(on: &Evaluator<'_, 'a>, focus: &Items<'a>) -> Items<'a> {
    let mut out = Items::new();
    for item in focus {
        let Item::Element(element) = item else { continue };
        let Some(of) = on.env.types.get(element.type_id) else { continue };
        for child in &of.elements {
            out.extend(on.members(&[item.clone()].into_iter().collect(), &child.name));
        }
    }
    out
}

/// What can be resolved without asking anybody: contained resources, and of the others their type.
fn resolve<'a>(on: &Evaluator<'_, 'a>, item: &Item<'a>) -> Option<Item<'a>> {
    let types = on.env.types;
    let reference = match item {
        Item::Element(element) => {
            let node = element.node?;
            if node.is_object() { node.string("reference")? } else { node.as_str()? }
        }
        Item::Value(Value::String(text)) => text.clone(),
        Item::Value(_) => return None,
    };
    match Reference::parse(&reference)? {
        Reference::Contained(id) => {
            let Item::Element(Element { node: Some(root), .. }) = on.env.root_resource else { return None };
            let contained =
                root.get("contained")?.items().find(|it| it.get("id").is_some_and(|it| it.is(id)))?;
            Item::of_resource(types, contained)
        }
        Reference::Resource { resource_type, .. } => {
            let type_id = types.id(resource_type.name())?;
            Some(Item::Element(Element { node: None, companion: None, type_id }))
        }
        _ => None,
    }
}

pub(super) fn to_text(value: &Value<'_>) -> String {
    match value {
        Value::Boolean(it) => it.to_string(),
        Value::Integer(it) => it.to_string(),
        Value::Decimal(it) => it.to_string(),
        Value::String(it) | Value::Date(it) | Value::Time(it) => it.to_string(),
        Value::Quantity(number, unit) => format!("{number} '{unit}'"),
    }
}

//! JSON that can be changed: for patches.
//!
//! Leaves keep their text, so digits stay as they were; members keep their order.

use super::json::{Json, Kind, Node, quote};

/// A value that can be changed.
#[derive(Clone, Debug)]
pub enum Tree {
    /// Anything that is not an object or array: its JSON text.
    Leaf(String),
    /// The members of an object in order; names are unescaped.
    Object(Vec<(String, Tree)>),
    /// The items of an array.
    Array(Vec<Tree>),
}

impl Tree {
    /// A copy of a value that can be changed.
    #[must_use]
    pub fn of(node: Node<'_>) -> Tree {
        match node.kind() {
            Kind::Object => {
                let members = node
                    .members()
                    .map(|(name, value)| (name.as_str().unwrap_or_default().into_owned(), Tree::of(value)));
                Tree::Object(members.collect())
            }
            Kind::Array => Tree::Array(node.items().map(Tree::of).collect()),
            _ => Tree::Leaf(node.raw().to_owned()),
        }
    }

    /// A string.
    #[must_use]
    pub fn string(text: &str) -> Tree {
        Tree::Leaf(quote(text))
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tree> {
        match self {
            Tree::Object(members) => members.iter().find(|(it, _)| it == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The member of that name, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Tree> {
        match self {
            Tree::Object(members) => members.iter_mut().find(|(it, _)| it == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Removes every empty object and array inside, and what becomes empty by that.
    pub fn prune(&mut self) {
        match self {
            Tree::Leaf(_) => {}
            Tree::Object(members) => members.retain_mut(|(_, value)| {
                value.prune();
                !value.is_empty()
            }),
            Tree::Array(items) => items.retain_mut(|item| {
                item.prune();
                !item.is_empty()
            }),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Tree::Leaf(_) => false,
            Tree::Object(members) => members.is_empty(),
            Tree::Array(items) => items.is_empty(),
        }
    }

    /// The value as JSON text, without white space.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Tree::Leaf(text) => out.push_str(text),
            Tree::Object(members) => {
                out.push('{');
                for (position, (name, value)) in members.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    out.push_str(&quote(name));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
            Tree::Array(items) => {
                out.push('[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
        }
    }

    /// Whether two values are the same JSON: members in any order, numbers by value.
    #[must_use]
    pub fn is_equal(&self, other: &Tree) -> bool {
        match (self, other) {
            (Tree::Leaf(left), Tree::Leaf(right)) => left == right || is_same_leaf(left, right),
            (Tree::Array(left), Tree::Array(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.is_equal(right))
            }
            (Tree::Object(left), Tree::Object(_)) => {
                let count = if let Tree::Object(right) = other { right.len() } else { 0 };
                left.len() == count
                    && left.iter().all(|(name, value)| other.get(name).is_some_and(|it| value.is_equal(it)))
            }
            _ => false,
        }
    }
}

/// Numbers are equal by value, strings by what they mean: `1.0` and `1`, `"\u0041"` and `"A"`.
fn is_same_leaf(left: &str, right: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    match (value(left), value(right)) {
        (Some(serde_json::Value::Number(left)), Some(serde_json::Value::Number(right))) => {
            left.as_f64().is_some_and(|left| right.as_f64() == Some(left))
        }
        (Some(left), Some(right)) => left == right,
        _ => false,
    }
}

impl From<&Json> for Tree {
    fn from(json: &Json) -> Tree {
        Tree::of(json.root())
    }
}

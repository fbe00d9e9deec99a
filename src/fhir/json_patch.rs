//! JSON Patch.
//!
//! <https://www.rfc-editor.org/rfc/rfc6902>, with pointers of <https://www.rfc-editor.org/rfc/rfc6901>
//!
//! All or nothing: the first operation that fails refuses the whole patch.

use super::json::{Json, Limits, Node};
use super::outcome::Outcome;
use super::tree::Tree;

/// The most operations in one patch.
const MOST_OPERATIONS: usize = 1_000;

/// Applies a patch document to a resource: the new text.
///
/// # Errors
/// The patch is not one, or an operation cannot be done; the location names the operation.
pub fn apply(resource: &Json, patch: &str) -> Result<String, Outcome> {
    let patch = Json::parse(patch, &Limits::default())?;
    if !patch.root().is_array() {
        return Err(Outcome::structure("a JSON Patch is an array of operations"));
    }
    if patch.root().items().count() > MOST_OPERATIONS {
        return Err(Outcome::too_costly("too many operations in one patch"));
    }
    let mut tree = Tree::from(resource);
    for (position, operation) in patch.root().items().enumerate() {
        run(&mut tree, operation).map_err(|outcome| outcome.at(format!("[{position}]")))?;
    }
    // FHIR has no empty arrays or objects: one that the patch emptied goes, so that a removal leaves
    // a resource and not a syntax error.
    tree.prune();
    Ok(tree.to_json())
}

fn run(tree: &mut Tree, operation: Node<'_>) -> Result<(), Outcome> {
    let path = pointer(operation, "path")?;
    let value = || operation.get("value").map(Tree::of).ok_or_else(|| Outcome::required("value is missing"));
    match operation.string("op").as_deref() {
        Some("add") => add(tree, &path, value()?),
        Some("remove") => remove(tree, &path).map(drop),
        Some("replace") => {
            let value = value()?;
            *find(tree, &path)? = value;
            Ok(())
        }
        Some("move") => {
            let from = pointer(operation, "from")?;
            // RFC 6902 4.4: the "from" location must not be a proper prefix of the "path" location.
            if path.len() > from.len() && path.starts_with(&from) {
                return Err(Outcome::invalid("a value cannot move into itself"));
            }
            let moved = remove(tree, &from)?;
            add(tree, &path, moved)
        }
        Some("copy") => {
            let copied = find(tree, &pointer(operation, "from")?)?.clone();
            add(tree, &path, copied)
        }
        Some("test") => {
            let value = value()?;
            let is_equal = find(tree, &path)?.is_equal(&value);
            if is_equal { Ok(()) } else { Err(Outcome::business_rule("the test operation failed")) }
        }
        Some(_) => Err(Outcome::value("op is one of add, remove, replace, move, copy, test")),
        None => Err(Outcome::required("op is missing")),
    }
}

/// The segments of a JSON Pointer.
fn pointer(operation: Node<'_>, name: &str) -> Result<Vec<String>, Outcome> {
    let Some(text) = operation.string(name) else {
        return Err(Outcome::required(format!("{name} is missing")));
    };
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(Outcome::value(format!("{name} is not a JSON Pointer")));
    };
    Ok(rest.split('/').map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect())
}

fn find<'t>(tree: &'t mut Tree, path: &[String]) -> Result<&'t mut Tree, Outcome> {
    path.iter().try_fold(tree, |here, segment| {
        let next = match here {
            Tree::Object(_) => here.get_mut(segment),
            Tree::Array(items) => index(segment).and_then(|at| items.get_mut(at)),
            Tree::Leaf(_) => None,
        };
        next.ok_or_else(nothing_there)
    })
}

fn add(tree: &mut Tree, path: &[String], value: Tree) -> Result<(), Outcome> {
    let Some((last, parents)) = path.split_last() else {
        *tree = value;
        return Ok(());
    };
    match find(tree, parents)? {
        Tree::Object(members) => {
            match members.iter_mut().find(|(name, _)| name == last) {
                Some((_, old)) => *old = value,
                None => members.push((last.clone(), value)),
            }
            Ok(())
        }
        Tree::Array(items) => {
            let at = if last == "-" { Some(items.len()) } else { index(last) };
            match at.filter(|at| *at <= items.len()) {
                Some(at) => {
                    items.insert(at, value);
                    Ok(())
                }
                None => Err(nothing_there()),
            }
        }
        Tree::Leaf(_) => Err(nothing_there()),
    }
}

fn remove(tree: &mut Tree, path: &[String]) -> Result<Tree, Outcome> {
    let Some((last, parents)) = path.split_last() else {
        return Err(Outcome::invalid("the whole resource cannot be removed"));
    };
    match find(tree, parents)? {
        Tree::Object(members) => {
            let at = members.iter().position(|(name, _)| name == last).ok_or_else(nothing_there)?;
            Ok(members.remove(at).1)
        }
        Tree::Array(items) => {
            let at = index(last).filter(|at| *at < items.len()).ok_or_else(nothing_there)?;
            Ok(items.remove(at))
        }
        Tree::Leaf(_) => Err(nothing_there()),
    }
}

/// RFC 6901 4: digits without a leading zero.
fn index(segment: &str) -> Option<usize> {
    let is_index =
        segment == "0" || (!segment.starts_with('0') && segment.bytes().all(|byte| byte.is_ascii_digit()));
    if is_index { segment.parse().ok() } else { None }
}

fn nothing_there() -> Outcome {
    Outcome::invalid("there is nothing at that path")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patch: &str, expected: &str) {
        let json = Json::parse(r#"{"a":1.00,"b":["x","y"],"c":{"d~/e":true}}"#, &Limits::default()).unwrap();
        let shown = match apply(&json, patch) {
            Ok(text) => text,
            Err(outcome) => {
                format!("{} {:?}", outcome.issues()[0].diagnostics, outcome.issues()[0].expression)
            }
        };
        assert_eq!(shown, expected, "{patch}");
    }

    #[test]
    fn does_what_rfc_6902_says() {
        check(r#"[]"#, r#"{"a":1.00,"b":["x","y"],"c":{"d~/e":true}}"#);
        check(
            r#"[{"op":"add","path":"/b/1","value":"z"}]"#,
            r#"{"a":1.00,"b":["x","z","y"],"c":{"d~/e":true}}"#,
        );
        check(
            r#"[{"op":"add","path":"/b/-","value":2.50}]"#,
            r#"{"a":1.00,"b":["x","y",2.50],"c":{"d~/e":true}}"#,
        );
        check(r#"[{"op":"remove","path":"/c/d~0~1e"}]"#, r#"{"a":1.00,"b":["x","y"]}"#);
        check(
            r#"[{"op":"move","from":"/b/0","path":"/b/1"}]"#,
            r#"{"a":1.00,"b":["y","x"],"c":{"d~/e":true}}"#,
        );
        check(r#"[{"op":"copy","from":"/a","path":"/c"}]"#, r#"{"a":1.00,"b":["x","y"],"c":1.00}"#);
        check(
            r#"[{"op":"remove","path":"/c/d~0~1e"},{"op":"add","path":"/c/f","value":1}]"#,
            r#"{"a":1.00,"b":["x","y"],"c":{"f":1}}"#,
        );
        check(
            r#"[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":null}]"#,
            r#"{"a":null,"b":["x","y"],"c":{"d~/e":true}}"#,
        );
    }

    #[test]
    fn refuses_the_rest() {
        check(r#"{}"#, "a JSON Patch is an array of operations []");
        check(r#"[{"op":"test","path":"/a","value":2}]"#, "the test operation failed [\"[0]\"]");
        check(r#"[{"op":"remove","path":"/b/01"}]"#, "there is nothing at that path [\"[0]\"]");
        check(r#"[{"op":"add","path":"/b/3","value":1}]"#, "there is nothing at that path [\"[0]\"]");
        check(r#"[{"op":"move","from":"/c","path":"/c/x"}]"#, "a value cannot move into itself [\"[0]\"]");
        check(r#"[{"op":"add","path":"/b"}]"#, "value is missing [\"[0]\"]");
        check(r#"[{"op":"add","path":"b","value":1}]"#, "path is not a JSON Pointer [\"[0]\"]");
        check(r#"[{"path":"/b"}]"#, "op is missing [\"[0]\"]");
        check(
            r#"[{"op":"drop","path":"/b"}]"#,
            "op is one of add, remove, replace, move, copy, test [\"[0]\"]",
        );
        check(r#"[{"op":"replace","path":"/zz","value":1}]"#, "there is nothing at that path [\"[0]\"]");
    }
}

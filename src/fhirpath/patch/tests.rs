use super::place::{self, Place};
use super::value::Spelled;
use crate::fhir::json::{Json, Limits};
use crate::fhir::tree::Tree;

fn tree(text: &str) -> Tree {
    Tree::from(&Json::parse(text, &Limits::default()).unwrap())
}

fn given(value: Option<&str>, companion: Option<&str>) -> Spelled {
    Spelled { name: "a".to_owned(), value: value.map(tree), companion: companion.map(tree) }
}

#[test]
fn values_and_companions_move_together() {
    let mut it = tree(r#"{"a":["x","y"],"_a":[null,{"id":"i"}],"b":1}"#);
    place::put(&mut it, given(None, Some(r#"{"id":"n"}"#)), Some(1)).unwrap();
    assert_eq!(it.to_json(), r#"{"a":["x",null,"y"],"_a":[null,{"id":"n"},{"id":"i"}],"b":1}"#);
    let taken = place::take(&mut it, "a", Some(2)).unwrap();
    assert_eq!(taken.companion.unwrap().to_json(), r#"{"id":"i"}"#);
    assert_eq!(it.to_json(), r#"{"a":["x",null],"_a":[null,{"id":"n"}],"b":1}"#);
    place::take(&mut it, "a", Some(1)).unwrap();
    assert_eq!(it.to_json(), r#"{"a":["x"],"b":1}"#);
    place::exchange(&mut it, "a", Some(0), given(Some("\"z\""), None)).unwrap();
    assert_eq!(it.to_json(), r#"{"a":["z"],"b":1}"#);
    place::take(&mut it, "a", Some(0)).unwrap();
    assert_eq!(it.to_json(), r#"{"b":1}"#);
}

#[test]
fn a_single_value_keeps_its_spot() {
    let mut it = tree(r#"{"x":0,"old":"v","_old":{"id":"i"},"b":1}"#);
    place::exchange(&mut it, "old", None, given(Some("2"), Some(r#"{"id":"n"}"#))).unwrap();
    assert_eq!(it.to_json(), r#"{"x":0,"a":2,"_a":{"id":"n"},"b":1}"#);
}

#[test]
fn a_place_is_where_the_element_stands() {
    let json = Json::parse(r#"{"n":[{"g":["x",null],"_g":[null,{"id":"i"}]}]}"#, &Limits::default()).unwrap();
    let name = json.root().get("n").unwrap().items().next().unwrap();
    let companion = name.get("_g").unwrap().items().nth(1);
    let element = crate::fhirpath::value::Element {
        node: None,
        companion,
        type_id: {
            let mut types = crate::fhir::types::Types::default();
            types.declare("string", crate::fhir::types::TypeKind::Primitive)
        },
    };
    let (_, member, index) = Place::of(&element).unwrap().split().unwrap();
    assert_eq!((member.as_str(), index), ("g", Some(1)));
}

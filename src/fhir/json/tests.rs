use super::*;

fn parse(text: &str) -> Json {
    Json::parse(text, &Limits::default()).unwrap()
}

fn refused(text: &[u8]) -> String {
    let error =
        Json::parse(text, &Limits { depth: 4, array_length: 3, values: 20, size_bytes: 100 }).unwrap_err();
    format!("{} | {} | {}", error.reason, error.path, error.offset)
}

#[test]
fn keeps_text_order_and_digits() {
    let text = r#"{ "z": 1.00, "a": [0.1234567890123456789012345678901, -0, 1e+5], "z2":{} }"#;
    let json = parse(text);
    assert_eq!(json.text(), text);
    let digits: Vec<_> = json.root().get("a").unwrap().items().filter_map(Node::as_number).collect();
    assert_eq!(digits, ["0.1234567890123456789012345678901", "-0", "1e+5"]);
    let names: Vec<_> = json.root().members().map(|(name, _)| name.as_str().unwrap()).collect();
    assert_eq!(names, ["z", "a", "z2"]);
}

#[test]
fn unescapes_strings() {
    let json = parse(r#"["a\"b\\\/\n\u00e9\ud83d\ude00z", "plain"]"#);
    let strings: Vec<_> = json.root().items().filter_map(Node::as_str).collect();
    assert_eq!(strings, ["a\"b\\/\n\u{e9}\u{1f600}z", "plain"]);
}

#[test]
fn knows_the_way_to_a_value() {
    let json = parse(r#"{"name":[{"family":"x"},{"given":["a","b"]}]}"#);
    let name = json.root().get("name").unwrap();
    let second = name.items().nth(1).unwrap().get("given").unwrap().items().nth(1).unwrap();
    assert_eq!(second.path(), "name[1].given[1]");
    assert_eq!(second.raw(), "\"b\"");
    assert_eq!(json.root().path(), "");
}

#[test]
fn one_or_many_read_alike() {
    let json = parse(r#"{"one":1,"many":[1,2]}"#);
    assert_eq!(json.root().get("one").unwrap().each().count(), 1);
    assert_eq!(json.root().get("many").unwrap().each().count(), 2);
}

#[test]
fn refuses_what_is_not_json() {
    for (text, expected) in [
        (&b"{\"a\":1,\"a\":2}"[..], "a duplicate member | a | 10"),
        (b"{\"a\":{\"b\":[1,{\"c\":1,\"\\u0063\":2}]}}", "a duplicate member | a.b[1].c | 28"),
        (b"{\"a\":[1,2,3,4]}", "too many items in one array | a | 12"),
        (b"[[[[[]]]]]", "nested too deeply | [0][0][0][0] | 4"),
        (b"\"\\ud800\"", "not a valid unicode escape |  | 1"),
        (b"\"\\u0000\"", "a NUL character in a string |  | 1"),
        (b"\"\\u+123\"", "not a valid unicode escape |  | 1"),
        (b"\"a\x01\"", "a control character in a string |  | 2"),
        (b"{\"a\":\xff}", "not valid UTF-8 |  | 5"),
        (b"{\"a\":01}", "a number with a leading zero | a | 6"),
        (b"{\"a\":1.}", "a digit is expected | a | 7"),
        (b"{\"a\":tru}", "not the start of a value | a | 5"),
        (b"{\"a\":1", "a comma or a closing brace is expected |  | 6"),
        (b"[1,]", "not the start of a value | [1] | 3"),
        (b"1 2", "text after the end of the document |  | 2"),
        (b"", "the document ends too early |  | 0"),
    ] {
        assert_eq!(refused(text), expected, "{}", String::from_utf8_lossy(text));
    }
    assert!(
        Json::parse(vec![b' '; 101], &Limits { size_bytes: 100, ..Limits::default() })
            .unwrap_err()
            .is_too_costly
    );
}

#[test]
fn finds_duplicates_in_large_objects() {
    let members: Vec<_> = (0..100).map(|number| format!("\"m{number}\":0")).collect();
    assert!(Json::parse(format!("{{{}}}", members.join(",")), &Limits::default()).is_ok());
    let text = format!("{{{},\"m77\":1}}", members.join(","));
    assert_eq!(Json::parse(text, &Limits::default()).unwrap_err().path, "m77");
}

#[test]
fn splices_leave_the_rest_alone() {
    let json = parse(r#"{"id":"x", "n": 1.0 }"#);
    let mut splices = Splices::default();
    splices.replace(json.root().get("n").unwrap().span(), "2");
    splices.replace(1..1, r#""a":0,"#);
    splices.replace(json.root().get("id").unwrap().span(), quote("y\n"));
    assert_eq!(splices.apply(&json), r#"{"a":0,"id":"y\n", "n": 2 }"#);
}

use super::*;
use crate::fhir::json::Limits;
use crate::fhir::types::{Element, TypeKind};

/// Enough of R4 to see every spelling.
fn types() -> Types {
    let mut types = Types::default();
    let names = ["string", "boolean", "decimal", "uri", "xhtml"];
    let [string, boolean, decimal, uri, xhtml] = names.map(|name| types.declare(name, TypeKind::Primitive));
    let extension = types.declare("Extension", TypeKind::Complex);
    let resource = types.declare("Resource", TypeKind::Resource);
    let basic = types.declare("Basic", TypeKind::Resource);
    let element = |name: &str, max, of: &[_], is_choice| Element {
        name: name.into(),
        min: 0,
        max,
        types: of.to_vec(),
        is_choice,
        is_summary: false,
        is_modifier: false,
    };
    let own =
        || vec![element("id", Some(1), &[string], false), element("extension", None, &[extension], false)];
    for primitive in [string, boolean, decimal, uri, xhtml] {
        types.define(primitive, None, own());
    }
    let mut of_extension = own();
    of_extension.push(element("url", Some(1), &[uri], false));
    of_extension.push(element("value", Some(1), &[string, boolean, decimal], true));
    types.define(extension, None, of_extension);
    types.define(
        basic,
        Some(resource),
        vec![
            element("id", Some(1), &[string], false),
            element("div", Some(1), &[xhtml], false),
            element("contained", None, &[resource], false),
            element("extension", None, &[extension], false),
            element("name", None, &[string], false),
            element("active", Some(1), &[boolean], false),
        ],
    );
    types
}

fn both_ways(xml: &str, json: &str) {
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{xml}");
    assert_eq!(to_json(&types(), &xml).unwrap(), json);
    let json = Json::parse(json, &Limits::default()).unwrap();
    assert_eq!(from_json(&types(), &json).unwrap(), xml);
}

#[test]
fn says_the_same_in_both_spellings() {
    both_ways(
        r#"<Basic xmlns="http://hl7.org/fhir"><id value="a"/><active value="true"/></Basic>"#,
        r#"{"resourceType":"Basic","id":"a","active":true}"#,
    );
    both_ways(
        r#"<Basic xmlns="http://hl7.org/fhir"><extension id="e" url="u"><valueDecimal value="1.00"/></extension><name value="a&amp;&#xA;&quot;b"/><name id="n"><extension url="v"><valueString value="x"/></extension></name></Basic>"#,
        r#"{"resourceType":"Basic","extension":[{"id":"e","url":"u","valueDecimal":1.00}],"name":["a&\n\"b",null],"_name":[null,{"id":"n","extension":[{"url":"v","valueString":"x"}]}]}"#,
    );
    both_ways(
        r#"<Basic xmlns="http://hl7.org/fhir"><div xmlns="http://www.w3.org/1999/xhtml"><p>a &lt; <br/></p></div><contained><Basic><id value="c"/></Basic></contained></Basic>"#,
        r#"{"resourceType":"Basic","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &lt; <br/></p></div>","contained":[{"resourceType":"Basic","id":"c"}]}"#,
    );
}

#[test]
fn refuses_the_rest_and_says_where() {
    let check = |inside: &str, message: &str, location: &str| {
        let outcome = to_json(&types(), &format!(r#"<Basic xmlns="http://hl7.org/fhir">{inside}</Basic>"#));
        let outcome = outcome.unwrap_err();
        let issue = &outcome.issues()[0];
        assert_eq!((&*issue.diagnostics, &*issue.expression.concat()), (message, location), "{inside}");
    };
    check("<other/>", "an element is not known here", "Basic");
    check("text", "text may stand only in attributes and narratives", "Basic");
    check(r#"<active value="yes"/>"#, "true or false is expected", "Basic.active");
    check(r#"<name value="a"/><name/>"#, "a value or an extension is missing", "Basic.name[1]");
    check(r#"<id value="a"/><id value="b"/>"#, "the element may stand only once", "Basic.id");
    check(r#"<name xmlns="urn:x" value="a"/>"#, "an element is not in the namespace of FHIR", "Basic");
    check("<name value='&bomb;'/>", "an attribute holds an unknown entity", "Basic.name[0]");
    let not_xml = "the document holds a character that XML does not have";
    check("<name value='a\0'/>", not_xml, "");
    let refers = "an attribute refers to a character that XML does not have";
    check("<name value='&#1;'/>", refers, "Basic.name[0]");
    check("<name value='a'>", "not well-formed XML", "Basic.name[0]");
    let bomb = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><Basic xmlns='http://hl7.org/fhir'/>";
    assert_eq!(
        to_json(&types(), bomb).unwrap_err().issues()[0].diagnostics,
        "a document type is not allowed"
    );
    let deep = "<extension url='u'>".repeat(100);
    check(&deep, "the elements nest too deeply", &format!("Basic{}", ".extension[0]".repeat(65)));
}

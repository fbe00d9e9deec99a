//! FHIR XML in and out: the same resources, the same refusals.

use crate::support::server::{Answer, Caller, TestServer, send};
use serde_json::json;

const XML: &str = "application/fhir+xml; charset=utf-8";

fn patient(family: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Patient xmlns=\"http://hl7.org/fhir\">\
         <text><status value=\"generated\"/><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>A &amp; B</p></div></text>\
         <active value=\"true\"/><name><family value=\"{family}\"/><given value=\"Eva &lt;3\"/></name></Patient>"
    )
}

async fn post(caller: &Caller, path: &str, content_type: &str, body: impl Into<String>) -> Answer {
    let request = caller.request("POST", path).header("content-type", content_type);
    send(request.header("accept", "application/fhir+xml").body(body.into())).await
}

async fn accepting(caller: &Caller, path: &str, accept: &str) -> Answer {
    send(caller.request("GET", path).header("accept", accept)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_goes_in_and_out_in_either_format() {
    let server = TestServer::start().await;
    let system = server.system();
    let created = post(&system, "Patient", "application/fhir+xml", patient("Hahn")).await.assert_status(201);
    assert_eq!(created.header("content-type"), XML);
    let location = created.header("location").to_owned();
    let path = location.split("/fhir/").nth(1).unwrap().split("/_history").next().unwrap().to_owned();
    let in_json = system.get(&path).await.assert_status(200).json();
    assert_eq!(in_json["name"][0]["given"][0], "Eva <3");
    assert!(in_json["text"]["div"].as_str().unwrap().contains("<p>A &amp; B</p>"));
    let in_xml = accepting(&system, &path, "application/fhir+xml").await.assert_status(200);
    assert_eq!(in_xml.header("content-type"), XML);
    assert!(!in_xml.header("etag").is_empty());
    assert!(in_xml.text().contains("<given value=\"Eva &lt;3\"/>"), "{}", in_xml.text());
    assert!(in_xml.text().contains("<p>A &amp; B</p></div>"));
    // And back: what was read in XML is what JSON says.
    let request = system.request("PUT", &path).header("content-type", "text/xml; charset=utf-8");
    send(request.body(in_xml.body)).await.assert_status(200);
    let mut again = system.get(&path).await.assert_status(200).json();
    assert_eq!(again["meta"]["versionId"], "2");
    again["meta"] = in_json["meta"].clone();
    assert_eq!(again, in_json);
    for (accept, content_type) in [
        ("application/xml", "application/xml; charset=utf-8"),
        ("text/xml", "text/xml; charset=utf-8"),
        ("application/fhir+json;q=0.4, application/fhir+xml;q=0.5", XML),
        ("application/fhir+json, application/fhir+xml;q=0.5", "application/fhir+json; charset=utf-8"),
        ("image/png, */*;q=0.1", "application/fhir+json; charset=utf-8"),
    ] {
        let answer = accepting(&system, &path, accept).await.assert_status(200);
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
    }
    let asked = accepting(&system, &format!("{path}?_format=xml"), "application/fhir+json").await;
    assert_eq!(asked.assert_status(200).header("content-type"), XML);
    for accept in ["text/html", "application/fhir+xml;q=0", "application/fhir+xml; fhirVersion=5.0"] {
        let refused = accepting(&system, &path, accept).await.assert_status(406);
        assert_eq!(refused.issue(), "not-supported", "{accept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_bundles_and_patches_speak_xml() {
    let server = TestServer::start().await;
    let system = server.system();
    let bundle = format!(
        "<Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"transaction\"/><entry>\
         <fullUrl value=\"urn:uuid:0190a0b0-1111-7222-8333-444455556666\"/><resource>{}</resource>\
         <request><method value=\"PUT\"/><url value=\"Patient/x\"/></request></entry></Bundle>",
        patient("Xaver").replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", "").replace(
            "<Patient xmlns=\"http://hl7.org/fhir\">",
            "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"x\"/>"
        )
    );
    let done = post(&system, "", "application/fhir+xml", bundle).await.assert_status(200);
    assert!(done.text().contains("<type value=\"transaction-response\"/>"), "{}", done.text());
    let found = accepting(&system, "Patient?family=Xaver", "application/fhir+xml").await.assert_status(200);
    assert_eq!(found.header("content-type"), XML);
    let text = found.text();
    assert!(text.contains("<mode value=\"match\"/>") && text.contains("<family value=\"Xaver\"/>"), "{text}");
    // Large enough to be compressed.
    let zipped = system.request("GET", "Patient?family=Xaver").header("accept", "application/fhir+xml");
    let zipped = send(zipped.header("accept-encoding", "gzip")).await.assert_status(200);
    assert_eq!(zipped.header("content-encoding"), if text.len() >= 1000 { "gzip" } else { "" });
    let patch = "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"operation\"/>\
        <part><name value=\"type\"/><valueCode value=\"replace\"/></part>\
        <part><name value=\"path\"/><valueString value=\"Patient.active\"/></part>\
        <part><name value=\"value\"/><valueBoolean value=\"false\"/></part></parameter></Parameters>";
    let request = system.request("PATCH", "Patient/x").header("content-type", "application/fhir+xml");
    send(request.body(patch)).await.assert_status(200);
    assert_eq!(system.get("Patient/x").await.json()["active"], false);
    let history = accepting(&system, "Patient/x/_history", "application/fhir+xml").await.assert_status(200);
    assert!(history.text().contains("<type value=\"history\"/>"));
    let statement = accepting(&system, "metadata", "application/fhir+xml").await.assert_status(200);
    for format in ["application/fhir+json", "application/fhir+xml"] {
        assert!(statement.text().contains(&format!("<format value=\"{format}\"/>")), "{format}");
        assert!(statement.text().contains(&format!("<patchFormat value=\"{format}\"/>")), "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_in_the_format_that_was_asked_for() {
    let server = TestServer::start().await;
    let system = server.system();
    for (caller, path, status) in [
        (&server.stranger(), "Patient/1", 401),
        (&system, "Patient/nobody", 404),
        (&system, "Nothing/1", 404),
        (&system, "/nothing", 404),
        (&server.user("user/Observation.rs"), "Patient?_id=1", 403),
        (&system, "Patient?_count=x", 400),
    ] {
        let answer = accepting(caller, path, "application/fhir+xml").await.assert_status(status);
        assert_eq!(answer.header("content-type"), XML, "{path}");
        assert!(answer.text().contains("<OperationOutcome xmlns=\"http://hl7.org/fhir\""), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_xml_is_the_clients_mistake() {
    let server = TestServer::start().await;
    let system = server.system();
    let deep = format!("<Basic xmlns=\"http://hl7.org/fhir\">{}", "<extension url=\"x\">".repeat(20_000));
    let laughs = "<!DOCTYPE lolz [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
        <Patient xmlns=\"http://hl7.org/fhir\"><name><family value=\"&b;\"/></name></Patient>";
    let outside = "<!DOCTYPE p [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>\
        <Patient xmlns=\"http://hl7.org/fhir\"><name><family value=\"&f;\"/></name></Patient>";
    for (case, body) in [
        ("nothing", ""),
        ("text", "Patient"),
        ("not closed", "<Patient xmlns=\"http://hl7.org/fhir\"><active value=\"true\"/>"),
        ("another namespace", "<Patient><active value=\"true\"/></Patient>"),
        ("no type of R4", "<Pacient xmlns=\"http://hl7.org/fhir\"/>"),
        ("unknown element", "<Patient xmlns=\"http://hl7.org/fhir\"><actif value=\"true\"/></Patient>"),
        ("unknown entity", "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"&x;\"/></Patient>"),
        ("a NUL", "<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"\0\"/></Patient>"),
        ("a bomb of entities", laughs),
        ("an entity from elsewhere", outside),
        ("too deep", &deep),
        ("JSON", "{\"resourceType\":\"Patient\"}"),
    ] {
        let answer = post(&system, "Patient", "application/fhir+xml", body).await;
        assert!(matches!(answer.status, 400 | 413 | 422), "{case}: {} {}", answer.status, answer.text());
        assert!(answer.text().contains("<OperationOutcome"), "{case}: {}", answer.text());
        assert!(!answer.text().contains("root:"), "{case}");
    }
    let latin = system.request("POST", "Patient").header("content-type", "application/fhir+xml");
    send(latin.body(b"<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"\xe9\"/></Patient>".to_vec()))
        .await
        .assert_status(400);
    for content_type in ["application/fhir+xml; charset=iso-8859-1", "application/fhir+turtle", "text/plain"]
    {
        post(&system, "Patient", content_type, patient("X")).await.assert_status(415);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn convert_writes_the_other_format() {
    let server = TestServer::start().await;
    let user = server.user("user/*.rs");
    let body = json!({ "resourceType": "Observation", "status": "final",
        "code": { "text": "x" }, "valueQuantity": { "value": 1.5 } });
    let json_text = body.to_string().replace("1.5", "1.50");
    let convert = |content_type: &'static str, text: String| {
        send(user.request("POST", "$convert").header("content-type", content_type).body(text))
    };
    let xml = convert("application/fhir+json", json_text.clone()).await.assert_status(200);
    assert_eq!(xml.header("content-type"), XML);
    assert!(xml.text().contains("<value value=\"1.50\"/>"), "{}", xml.text());
    let back = convert("application/fhir+xml", xml.text()).await.assert_status(200);
    assert_eq!(back.header("content-type"), "application/fhir+json; charset=utf-8");
    assert_eq!(back.json(), serde_json::from_str::<serde_json::Value>(&json_text).unwrap());
    assert!(back.text().contains("1.50"));
    let same = user.request("POST", "$convert?_format=json").header("content-type", "application/fhir+json");
    assert!(send(same.body(json_text)).await.assert_status(200).text().starts_with('{'));
    user.post("$convert", &json!({})).await.assert_status(400);
    let denied = server.user("user/Patient.rs").post("$convert", &body).await;
    denied.assert_status(403);
    server.stranger().post("$convert", &body).await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statement_is_sent_once_to_who_keeps_it() {
    let server = TestServer::start().await;
    let stranger = server.stranger();
    let first = stranger.get("metadata").await.assert_status(200);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let again = send(stranger.request("GET", "metadata").header("if-none-match", &tag)).await;
    let again = again.assert_status(304);
    assert!(again.body.is_empty());
    assert_eq!(again.header("etag"), tag);
    let other = send(stranger.request("GET", "metadata").header("if-none-match", "W/\"0\"")).await;
    other.assert_status(200);
}

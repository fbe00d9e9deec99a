//! Accounts, clients and launches, managed over HTTP by those who may, and by nobody else.

use super::{Browser, PASSWORD, exchange, operator, patient_tokens, start, text};
use crate::support::server::{Answer, Caller, TestServer, send};
use serde_json::{Value, json};
use vesta::audit::event::Kind;
use vesta::fhir::id::TenantId;
use vesta::smart::accounts::{self, User};

const USERNAME: &str = "https://vesta.example/fhir/NamingSystem/username";
/// What our tokens call two factors.
const TWO_FACTORS: &str = "urn:vesta:acr:two-factors";
const ROLE: &str = "https://vesta.example/fhir/StructureDefinition/account-role";

/// Somebody with that role and scope, whose second factor is so old.
async fn somebody(server: &TestServer, role: &str, scope: &str, seconds_ago: i64) -> Caller {
    let user = User {
        username: format!("{role}@example.org"),
        password: Some(PASSWORD.to_owned().into()),
        fhir_user: Some(format!("Practitioner/{role}")),
        role: Some(role.into()),
        ..User::default()
    };
    let id = accounts::put_user(&operator(server), &user).await.unwrap();
    let mut claims = server.claims(scope);
    claims["sub"] = id.to_string().into();
    claims["client_id"] = "console".into();
    claims["fhirUser"] = format!("Practitioner/{role}").into();
    claims["acr"] = TWO_FACTORS.into();
    claims["auth_time"] = (server.clock.now().as_second() - seconds_ago).into();
    server.bearer(server.sign(&claims))
}

fn person(username: &str, role: &str) -> Value {
    json!({
        "resourceType": "Person", "name": [{ "text": "Grace Example" }], "active": true,
        "identifier": [{ "system": USERNAME, "value": username }],
        "link": [{ "target": { "reference": "Practitioner/grace" } }],
        "extension": [{ "url": ROLE, "valueCode": role }]
    })
}

fn id_of(answer: &Answer) -> String {
    answer.header("location").rsplit('/').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_makes_changes_and_disables_an_account() {
    let server = start().await;
    let admin = somebody(&server, "admin", "user/*.cruds", 60).await;
    let made = admin.post("/admin/users", &person("grace@example.org", "nurse")).await.assert_status(201);
    let id = id_of(&made);
    let parameters = made.json();
    assert_eq!(parameters["resourceType"], "Parameters");
    let password = text(&parameters["parameter"][1], "valueString");
    admin.post("/admin/users", &person("Grace@example.org", "nurse")).await.assert_status(409);
    let path = format!("/admin/users/{id}");
    let read = admin.get(&path).await.assert_status(200);
    assert_eq!(read.header("content-type"), "application/fhir+json");
    let read = read.json();
    assert_eq!(read["identifier"][0]["value"], "grace@example.org");
    assert_eq!(read["link"][0]["target"]["reference"], "Practitioner/grace");
    assert!(!read.to_string().contains(&password) && !read.to_string().contains("argon2"));
    let named = admin.get("/admin/users?username=grace@example.org").await.assert_status(200).json();
    assert_eq!(named["entry"].as_array().unwrap().len(), 1);
    let all = admin.get("/admin/users").await.assert_status(200).json();
    assert_eq!(all["entry"].as_array().unwrap().len(), 4, "{all}");

    // The password that was told opens the first page, the second factor is enrolled.
    let sign_in = async |password: &str| {
        let mut browser = Browser::open(&server, &[]).await;
        browser.submit(&[("username", "grace@example.org"), ("password", password)]).await;
        browser.page.text()
    };
    assert!(!sign_in(&password).await.contains("is wrong"));
    let again = admin.post(&format!("{path}/$reset-password"), &json!({})).await.assert_status(200).json();
    assert!(sign_in(&password).await.contains("is wrong"));
    let password = text(&again["parameter"][1], "valueString");
    assert!(!sign_in(&password).await.contains("is wrong"));

    let mut other = person("grace@example.org", "billing");
    let put = admin.put(&path, &other).await.assert_status(200).json();
    assert_eq!(put["extension"][0]["valueCode"], "billing");
    other["active"] = false.into();
    assert_eq!(admin.put(&path, &other).await.assert_status(200).json()["active"], false);
    assert!(sign_in(&password).await.contains("is wrong"));
    other["active"] = true.into();
    admin.put(&path, &other).await.assert_status(200);
    assert!(!sign_in(&password).await.contains("is wrong"));
    admin.delete(&path).await.assert_status(204);
    assert!(sign_in(&password).await.contains("is wrong"));

    for bad in [
        person("x@example.org", "king"),
        json!({ "resourceType": "Person" }),
        json!({ "resourceType": "Patient" }),
        json!([]),
    ] {
        admin.post("/admin/users", &bad).await.assert_status(400);
    }
    admin.put(&path, &person("another@example.org", "nurse")).await.assert_status(400);
    admin.get("/admin/users/00000000-0000-7000-8000-000000000000").await.assert_status(404);
    admin.get("/admin/users/nonsense").await.assert_status(404);
    admin.post(&format!("{path}/$nonsense"), &json!({})).await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_factor_is_reset_and_apps_are_taken_out() {
    let server = start().await;
    let admin = somebody(&server, "admin", "user/Person.cruds", 60).await;
    let tokens = patient_tokens(&server, "launch/patient offline_access patient/*.rs").await;
    let app = server.bearer(text(&tokens, "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    let found = admin.get("/admin/users?username=pat").await.assert_status(200).json();
    let person = &found["entry"][0]["resource"];
    assert_eq!(person["extension"][1]["valueBoolean"], true);
    let path = format!("/admin/users/{}", text(person, "id"));
    admin.post(&format!("{path}/$sign-out"), &json!({})).await.assert_status(200);
    app.get("Patient/pat").await.assert_status(401);
    let reset =
        admin.post(&format!("{path}/$reset-second-factor"), &json!({})).await.assert_status(200).json();
    assert_eq!(reset["extension"][1]["valueBoolean"], false);
    let mut browser = Browser::open(&server, &[]).await;
    browser.submit(&[("username", "pat"), ("password", PASSWORD)]).await;
    browser.shows("svg");
    // Nobody administers themselves.
    let own = admin.get("/admin/users?username=admin@example.org").await.json();
    let own = format!("/admin/users/{}", text(&own["entry"][0]["resource"], "id"));
    admin.delete(&own).await.assert_status(403);
    admin.post(&format!("{own}/$reset-second-factor"), &json!({})).await.assert_status(403);
    let king = json!({ "resourceType": "Person", "extension": [{ "url": ROLE, "valueCode": "provider" }] });
    admin.put(&own, &king).await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_made_changed_and_taken_out() {
    let server = start().await;
    let admin = somebody(&server, "admin", "user/Device.cruds", 60).await;
    let registration = json!({
        "client_id": "made", "client_name": "Made", "redirect_uris": [super::REDIRECT],
        "token_endpoint_auth_method": "client_secret_post", "scope": "launch/patient offline_access patient/*.rs"
    });
    let made = admin.post("/admin/clients", &registration).await.assert_status(201);
    assert!(made.header("location").ends_with("/admin/clients/made"));
    let first = text(&made.json(), "client_secret");
    admin.post("/admin/clients", &registration).await.assert_status(409);
    let read = admin.get("/admin/clients/made").await.assert_status(200).json();
    assert_eq!((text(&read, "status").as_str(), text(&read, "client_name").as_str()), ("active", "Made"));
    assert!(read.get("client_secret").is_none() && !read.to_string().contains(&first));
    let all = admin.get("/admin/clients").await.assert_status(200).json();
    assert_eq!(all["clients"].as_array().unwrap().len(), 4, "{all}");

    let rotated =
        admin.post("/admin/clients/made/$rotate-secret", &json!({})).await.assert_status(200).json();
    let second = text(&rotated, "client_secret");
    let tokens = async |secret: &str| {
        let mut browser =
            Browser::open(&server, &[("client_id", "made"), ("scope", "launch/patient patient/*.rs")]).await;
        browser.sign_in("pat").await;
        browser.allow().await;
        let code = browser.code();
        let form = super::for_code(&code, &[("client_id", "made"), ("client_secret", secret)]);
        super::token_request(&server, &form).await
    };
    tokens(&first).await.assert_status(401);
    let token = text(&tokens(&second).await.assert_status(200).json(), "access_token");
    let app = server.bearer(token);
    app.get("Patient/pat").await.assert_status(200);
    admin.post("/admin/clients/made/$revoke", &json!({})).await.assert_status(200);
    app.get("Patient/pat").await.assert_status(401);
    server.clock.step(2_000_000);
    let app = server.bearer(text(&tokens(&second).await.assert_status(200).json(), "access_token"));
    app.get("Patient/pat").await.assert_status(200);
    let other = json!({ "client_name": "Other", "redirect_uris": [super::REDIRECT], "token_endpoint_auth_method": "client_secret_post" });
    let put = admin.put("/admin/clients/made", &other).await.assert_status(200).json();
    assert_eq!(put["client_name"], "Other");
    admin.delete("/admin/clients/made").await.assert_status(204);
    app.get("Patient/pat").await.assert_status(401);
    assert_eq!(admin.get("/admin/clients/made").await.json()["status"], "disabled");

    for bad in [
        json!({ "client_id": "x" }),
        json!({ "redirect_uris": ["http://evil.example/"] }),
        json!({ "redirect_uris": [super::REDIRECT], "nonsense": 1 }),
        json!({ "redirect_uris": "x" }),
    ] {
        admin.post("/admin/clients", &bad).await.assert_status(400);
    }
    admin.post("/admin/clients/app/$rotate-secret", &json!({})).await.assert_status(409);
    admin.post("/admin/clients/app/$approve", &json!({})).await.assert_status(409);
    admin.get("/admin/clients/nobody").await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn leave_and_launches_are_given() {
    let server = start().await;
    let admin = somebody(&server, "admin", "user/Device.cruds", 60).await;
    let leave =
        admin.post("/admin/registrations", &json!({ "expires_in": 60 })).await.assert_status(201).json();
    let leave = text(&leave, "initial_access_token");
    let body = json!({ "redirect_uris": [super::REDIRECT] });
    let register = || server.stranger().request("POST", "/auth/register").json(&body);
    send(register().bearer_auth(&leave)).await.assert_status(201);
    send(register().bearer_auth(&leave)).await.assert_status(401);
    admin.post("/admin/registrations", &json!({ "expires_in": 0 })).await.assert_status(400);

    let launch = json!({ "client": "app", "user": "ada", "patient": "sam", "fhirContext": [{ "reference": "Task/1" }] });
    let begun = admin.post("/admin/launches", &launch).await.assert_status(201).json();
    let name = text(&begun, "launch");
    let mut browser = Browser::open(&server, &[("launch", &name), ("scope", "launch patient/*.rs")]).await;
    browser.sign_in("ada").await;
    browser.allow().await;
    let tokens = exchange(&server, &browser.code()).await.assert_status(200).json();
    assert_eq!(
        (&tokens["patient"], &tokens["fhirContext"][0]["reference"]),
        (&json!("sam"), &json!("Task/1"))
    );
    admin.post("/admin/launches", &json!({ "client": "nobody", "user": "ada" })).await.assert_status(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_registered_itself_waits_for_an_officer() {
    let server = super::start_with(|config| config.tokens.open_registration = true).await;
    let body = json!({ "client_name": "Hopeful", "redirect_uris": [super::REDIRECT], "token_endpoint_auth_method": "none" });
    let register = server.stranger().request("POST", "/auth/register").json(&body);
    let client = send(register).await.assert_status(201).json();
    let id = text(&client, "client_id");
    let changes = [("client_id", id.as_str())];
    assert_eq!(Browser::open(&server, &changes).await.page.status, 400, "it is not let in yet");
    let officer = somebody(&server, "privacy-officer", "user/Device.cruds", 60).await;
    let path = format!("/admin/clients/{id}");
    assert_eq!(officer.get(&path).await.assert_status(200).json()["status"], "pending");
    // An officer says yes or no, and does nothing else.
    officer.put(&path, &body).await.assert_status(403);
    somebody(&server, "nurse", "user/*.cruds", 60)
        .await
        .post(&format!("{path}/$approve"), &json!({}))
        .await
        .assert_status(403);
    // A change to its registration lets nobody in.
    let admin = somebody(&server, "admin", "user/Device.cruds", 60).await;
    assert_eq!(admin.put(&path, &body).await.assert_status(200).json()["status"], "pending");
    officer.post(&format!("{path}/$approve"), &json!({})).await.assert_status(200);
    Browser::open(&server, &changes).await.shows("Hopeful");
    // So many may wait, and no more.
    let mut last = 201;
    for _ in 0..101 {
        last = send(server.stranger().request("POST", "/auth/register").json(&body)).await.status;
    }
    assert_eq!(last, 503);
    // With a token that is no leave, nobody waits.
    let forged = server.stranger().request("POST", "/auth/register").bearer_auth("made-up").json(&body);
    send(forged).await.assert_status(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_administers() {
    let server = start().await;
    let places = [
        ("GET", "/admin/users"),
        ("POST", "/admin/users"),
        ("GET", "/admin/users/x"),
        ("PUT", "/admin/users/x"),
        ("DELETE", "/admin/users/x"),
        ("POST", "/admin/users/x/$reset-password"),
        ("GET", "/admin/clients"),
        ("POST", "/admin/clients"),
        ("GET", "/admin/clients/app"),
        ("PUT", "/admin/clients/app"),
        ("DELETE", "/admin/clients/app"),
        ("POST", "/admin/clients/app/$rotate-secret"),
        ("POST", "/admin/clients/app/$approve"),
        ("POST", "/admin/registrations"),
        ("POST", "/admin/launches"),
    ];
    let ask = async |caller: &Caller, method: &str, path: &str| {
        send(caller.request(method, path).header("content-type", "application/json").body("{}")).await.status
    };
    let refused = [
        ("a provider", somebody(&server, "provider", "user/*.cruds", 60).await),
        ("a nurse", somebody(&server, "nurse", "user/*.cruds", 60).await),
        ("an auditor", somebody(&server, "auditor", "user/*.cruds", 60).await),
        ("a patient", server.patient("pat")),
        ("a system", server.system()),
        (
            "an administrator's app of another scope",
            somebody(&server, "admin", "user/Patient.cruds patient/*.cruds", 60).await,
        ),
    ];
    for (who, caller) in &refused {
        for (method, path) in places {
            assert_eq!(ask(caller, method, path).await, 403, "{who}: {method} {path}");
        }
    }
    // An old second factor looks, and changes nothing.
    let old = somebody(&server, "admin", "user/*.cruds", 3700).await;
    assert_eq!(ask(&old, "GET", "/admin/clients/app").await, 200);
    for (method, path) in places.iter().filter(|(method, _)| *method != "GET") {
        assert_eq!(ask(&old, method, path).await, 403, "{method} {path}");
    }
    let fresh = somebody(&server, "admin", "user/*.cruds", 60).await;
    for (method, path) in places {
        assert_ne!(ask(&fresh, method, path).await, 403, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_administers_is_in_the_trail() {
    let server = start().await;
    let admin = somebody(&server, "admin", "user/*.cruds", 60).await;
    let made = admin.post("/admin/users", &person("grace@example.org", "nurse")).await.assert_status(201);
    let id = id_of(&made);
    admin.get("/admin/users").await.assert_status(200);
    admin.delete("/admin/clients/app").await.assert_status(204);
    somebody(&server, "nurse", "user/*.cruds", 60)
        .await
        .delete("/admin/clients/web")
        .await
        .assert_status(403);
    let client = server.database.superuser().await;
    let rows = client
        .query("select kind, outcome, agent, rule from audit_events where tenant = $1", &[&TenantId::FIRST.0])
        .await
        .unwrap();
    let has = |kind: Kind, outcome: i16, agent: &str, rule: &str| {
        rows.iter().any(|row| {
            row.get::<_, i16>(0) == kind.code()
                && row.get::<_, i16>(1) == outcome
                && row.get::<_, String>(2) == agent
                && row.get::<_, Option<String>>(3).is_some_and(|it| it.contains(rule))
        })
    };
    assert!(has(Kind::UserChanged, 0, "Practitioner/admin", &format!("put: {id}")));
    assert!(has(Kind::RoleChanged, 0, "Practitioner/admin", &id));
    assert!(has(Kind::Operation, 0, "Practitioner/admin", "Users looked at"));
    assert!(has(Kind::ClientChanged, 0, "Practitioner/admin", "disabled"));
    assert!(has(Kind::ClientChanged, 4, "Practitioner/nurse", "the role does not administer that"));
}

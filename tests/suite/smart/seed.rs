//! A seed file, put twice.

use super::{Browser, operator, start};
use vesta::smart::seed::{Seed, plant};

const FILE: &str = r#"
[[users]]
username = "grace@example.org"
password = "four loud herons argue"
totp_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
recovery_codes = ["a-code-for-grace-alone"]
fhir_user = "Practitioner/grace"

[[clients]]
id = "chart"
client_name = "Chart"
redirect_uris = ["http://localhost:8000/"]
launch_uri = "http://localhost:8000/launch"
secret = "a-secret-of-the-chart"
token_endpoint_auth_method = "client_secret_post"

[[resources]]
resourceType = "Observation"
id = "pulse"
status = "final"
code = { coding = [{ system = "http://loinc.org", code = "8867-4" }] }
subject = { reference = "Patient/sam" }

[[care_teams]]
id = "ward"
patient = "sam"
members = ["Practitioner/nan"]

[[consents]]
id = "not-bob"
patient = "sam"
decision = "deny"
actors = ["Practitioner/bob"]
types = ["Observation"]

[[launches]]
client = "chart"
user = "grace@example.org"
patient = "sam"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_put_again_and_again_with_the_same_result() {
    let server = start().await;
    let client = server.database.superuser().await;
    let accounts = async || {
        let rows = client
            .query("select id::text, password, xmin::text from accounts order by id", &[])
            .await
            .unwrap();
        rows.iter()
            .map(|row| (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, String>(2)))
            .collect::<Vec<_>>()
    };
    let planted = plant(&operator(&server), Seed::parse(FILE).unwrap()).await.unwrap();
    assert_eq!((planted.users, planted.clients, planted.launches.len()), (1, 1, 1));
    assert_eq!(planted.resources, 3);
    let before = accounts().await;
    let again = plant(&operator(&server), Seed::parse(FILE).unwrap()).await.unwrap();
    assert_eq!(accounts().await, before);
    assert_eq!(again.resources, 0, "what is there already makes no version");
    let team = server.system().get("CareTeam/ward").await.assert_status(200).json();
    assert_eq!(team["meta"]["versionId"], "1");
    // The care team opens, and the Consent closes.
    let of_role = |role: &str, id: &str| {
        let mut claims = server.claims("user/*.rs");
        claims["sub"] = id.into();
        claims["fhirUser"] = format!("Practitioner/{id}").into();
        claims["role"] = role.into();
        server.bearer(server.sign(&claims))
    };
    of_role("nurse", "nan").get("Observation/pulse").await.assert_status(200);
    of_role("nurse", "ned").get("Observation/pulse").await.assert_status(404);
    of_role("provider", "amy").get("Observation/pulse").await.assert_status(200);
    of_role("provider", "bob").get("Observation/pulse").await.assert_status(404);
    let url = url::Url::parse(&again.launches[0]).unwrap();
    let launch = url.query_pairs().find(|(name, _)| name == "launch").unwrap().1.into_owned();
    let changes = [("client_id", "chart"), ("launch", launch.as_str()), ("scope", "launch patient/*.rs")];
    let mut browser = Browser::open(&server, &changes).await;
    browser.submit(&[("username", "grace@example.org"), ("password", "four loud herons argue")]).await;
    let code = super::otp(&server);
    browser.submit(&[("otp", &code)]).await;
    browser.shows("sam Example");
    for (bad, words) in [
        ("[[users]]\nusername = \"x\"\npassword = \"password\"", "a password has from"),
        ("[[users]]\nusername = \"x\"\npassword = \"password1234\"", "easy to guess"),
        (
            "[[users]]\nusername = \"x\"\npassword = \"four loud herons argue\"\nfhir_user = \"Device/1\"",
            "fhir_user",
        ),
        ("[[users]]\nusername = \"x\"\npassword = \"four loud herons argue\"\nrole = \"king\"", "role"),
        ("[[clients]]\nid = \"x\"", "redirect_uris is missing"),
        ("[[clients]]\nid = \"x\"\nredirect_urls = []", "there is no field redirect_urls"),
        ("[[resources]]\nresourceType = \"Patient\"", "it needs a resourceType and an id"),
        ("[[resources]]\nresourceType = \"Patient\"\nid = \"x\"\ngender = \"x\"", "resource Patient/x"),
        ("[[launches]]\nclient = \"x\"\nuser = \"y\"", "there is no such client"),
    ] {
        let error = plant(&operator(&server), Seed::parse(bad).unwrap()).await.err().unwrap();
        assert!(error.description.contains(words), "{bad}: {}", error.description);
    }
}

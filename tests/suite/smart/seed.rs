//! A seed file, put twice.

use super::{Browser, operator, start};
use vesta::smart::seed::{Seed, plant};

const FILE: &str = r#"
[[users]]
username = "grace@example.org"
password = "four loud herons argue"
totp_secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
fhir_user = "Practitioner/grace"

[[clients]]
id = "chart"
client_name = "Chart"
redirect_uris = ["http://localhost:8000/"]
launch_uri = "http://localhost:8000/launch"
secret = "a-secret-of-the-chart"
token_endpoint_auth_method = "client_secret_post"

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
    let before = accounts().await;
    let again = plant(&operator(&server), Seed::parse(FILE).unwrap()).await.unwrap();
    assert_eq!(accounts().await, before);
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
        ("[[launches]]\nclient = \"x\"\nuser = \"y\"", "there is no such client"),
    ] {
        let error = plant(&operator(&server), Seed::parse(bad).unwrap()).await.err().unwrap();
        assert!(error.description.contains(words), "{bad}: {}", error.description);
    }
}

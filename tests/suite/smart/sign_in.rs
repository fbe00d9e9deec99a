//! Signing in: both factors, the limit of tries, and how sessions end.

use super::{Browser, PASSWORD, otp, start};
use vesta::smart::accounts::{self, User};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_are_told_the_same() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    let mut words = Vec::new();
    for (username, password) in [("ada", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD), ("", "")] {
        browser.submit(&[("username", username), ("password", password)]).await;
        assert_eq!(browser.page.status, 401);
        browser.shows("the user name or the password is wrong");
        words.push(browser.page.text().replace(&browser.field("csrf"), ""));
    }
    words.dedup();
    assert_eq!(words.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_alone_opens_nothing() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    let before = browser.cookie.clone();
    browser.submit(&[("username", "PAT "), ("password", PASSWORD)]).await;
    browser.shows("name=\"otp\"");
    assert_ne!(browser.cookie, before, "the cookie changes when somebody signs in");
    let (csrf, flow) = (browser.field("csrf"), browser.field("flow"));
    for step in ["consent", "patient"] {
        let form = [
            ("csrf", csrf.as_str()),
            ("flow", &flow),
            ("step", step),
            ("decision", "allow"),
            ("scope", "patient/*.rs"),
            ("patient", "sam"),
        ];
        browser.post("/auth/flow", &form).await;
        browser.shows("name=\"otp\"");
    }
    browser.get("/auth/manage").await;
    browser.shows("name=\"otp\"");
    browser.submit(&[("otp", "000000")]).await;
    browser.shows("the code is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_password_is_good_once() {
    let server = start().await;
    let code = otp(&server);
    let mut browser = Browser::open(&server, &[]).await;
    browser.submit(&[("username", "pat"), ("password", PASSWORD)]).await;
    browser.submit(&[("otp", &code)]).await;
    browser.shows("Let Growth Chart in?");
    let mut other = Browser::open(&server, &[]).await;
    other.submit(&[("username", "pat"), ("password", PASSWORD)]).await;
    other.submit(&[("otp", &code)]).await;
    other.shows("this code was used before");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_close_the_door_for_a_quarter_of_an_hour() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    for _ in 0..5 {
        browser.submit(&[("username", "ada"), ("password", "wrong")]).await;
        assert_eq!(browser.page.status, 401);
    }
    for (username, password) in [("ada", PASSWORD), ("pat", PASSWORD)] {
        browser.submit(&[("username", username), ("password", password)]).await;
        assert_eq!(browser.page.status, 429, "the account, and the address, are closed");
        assert_ne!(browser.page.header("retry-after"), "");
        browser.shows("too many failures");
    }
    server.clock.step(901_000_000);
    let mut browser = Browser::open(&server, &[]).await;
    browser.sign_in("ada").await;
    browser.shows("Choose a patient");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_count_as_failures() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    browser.submit(&[("username", "ada"), ("password", PASSWORD)]).await;
    for _ in 0..5 {
        browser.submit(&[("otp", "000000")]).await;
    }
    let code = otp(&server);
    browser.submit(&[("otp", &code)]).await;
    assert_eq!(browser.page.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sign_in_enrols_a_second_factor() {
    let server = start().await;
    let user = User {
        username: "new".into(),
        password: Some(PASSWORD.to_owned().into()),
        fhir_user: Some("Patient/pat".into()),
        ..User::default()
    };
    accounts::put_user(&super::operator(&server), &user).await.unwrap();
    let mut browser = Browser::open(&server, &[]).await;
    browser.submit(&[("username", "new"), ("password", PASSWORD)]).await;
    browser.shows("Set up a second factor").shows("<svg");
    let text = browser.page.text();
    let secret = text.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    browser.submit(&[("otp", "000000")]).await;
    browser.shows(&secret).shows("the code is wrong");
    let secret = vesta::crypto::totp::TotpSecret::parse(&secret).unwrap();
    let code = secret.code_at(server.clock.now().as_second()).unwrap();
    browser.submit(&[("otp", &code)]).await;
    browser.shows("Keep your recovery codes");
    let text = browser.page.text();
    let recovery = text.split("<li>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let flow = browser.field("flow");
    browser.get(&format!("/auth/flow?flow={flow}")).await;
    browser.shows("Let Growth Chart in?");

    for attempt in 0..2 {
        let mut browser = Browser::open(&server, &[]).await;
        browser.submit(&[("username", "new"), ("password", PASSWORD)]).await;
        browser.submit(&[("otp", &recovery.to_uppercase())]).await;
        browser.shows(if attempt == 0 { "Let Growth Chart in?" } else { "the code is wrong" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends_and_so_does_an_old_one() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    browser.sign_in("pat").await;
    browser.get("/auth/manage").await;
    browser.shows("Your apps");
    server.clock.step(901_000_000);
    browser.get("/auth/manage").await;
    browser.shows("name=\"password\"");
    browser.ask(&[]).await;
    browser.sign_in("pat").await;
    for _ in 0..72 {
        server.clock.step(600_000_000);
        browser.get("/auth/manage").await;
    }
    browser.shows("name=\"password\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_pages_are_signed_in_to_without_an_app() {
    let server = start().await;
    let mut browser = Browser::new(&server);
    browser.get("/auth/manage").await;
    browser.submit(&[("decision", "cancel")]).await;
    browser.shows("Nobody was signed in");
    browser.get("/auth/manage").await;
    browser.sign_in("pat").await;
    browser.shows("Your apps").shows("You have let no app in");
    browser.get("/auth/logout?post_logout_redirect_uri=https://evil.example/").await;
    assert_eq!(browser.page.status, 400);
    browser.get("/auth/logout").await;
    browser.shows("Log out?");
    browser.post("/auth/logout", &[("csrf", "made-up")]).await;
    browser.shows("Log out?");
    browser.get("/auth/manage").await;
    browser.shows("Your apps");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    let mut times = std::collections::HashMap::new();
    for username in ["ada", "nobody", "ada", "nobody"] {
        let begun = std::time::Instant::now();
        browser.submit(&[("username", username), ("password", "wrong")]).await;
        let taken = begun.elapsed();
        let least = times.entry(username).or_insert(taken);
        *least = taken.min(*least);
    }
    let ratio = times["ada"].as_secs_f64() / times["nobody"].as_secs_f64();
    // A hash takes far longer than all else: one that is left out would show at once.
    assert!((0.4..2.5).contains(&ratio), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_in_the_trail() {
    let server = start().await;
    let mut browser = Browser::open(&server, &[]).await;
    browser.submit(&[("username", "pat"), ("password", "wrong")]).await;
    browser.sign_in("pat").await;
    browser.allow().await;
    super::exchange(&server, &browser.code()).await.assert_status(200);
    super::exchange(&server, "made-up").await.assert_status(400);
    let client = server.database.superuser().await;
    let rows = client.query("select kind, outcome from audit_events where kind between 12 and 17", &[]);
    let rows: Vec<(i16, i16)> = rows.await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    for expected in [(12, 4), (12, 0), (13, 0), (15, 0), (16, 0), (16, 4)] {
        assert!(rows.contains(&expected), "{expected:?} in {rows:?}");
    }
    // Neither names nor secrets lie about.
    let accounts = client.query("select name, fhir_user, password, sealed from accounts", &[]).await.unwrap();
    for row in accounts {
        let (name, sealed): (Vec<u8>, Vec<u8>) = (row.get(0), row.get(3));
        let all = [name, sealed].concat();
        for secret in [b"ada".as_slice(), b"pat", super::TOTP.as_bytes()] {
            assert!(!all.windows(secret.len()).any(|it| it == secret));
        }
        assert!(row.get::<_, String>(2).starts_with("$argon2id$"));
    }
}

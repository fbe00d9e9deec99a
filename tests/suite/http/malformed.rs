//! Thousands of requests that nobody should send, to every endpoint: each is answered or refused, never with 500, never
//! late, and nobody gets a token by it. `VESTA_FUZZ_REQUESTS=10000` asks for more of them, `VESTA_FUZZ_SEED` for others,
//! `VESTA_FUZZ_EACH=10000` for so many at each endpoint by itself.

use crate::support::server::TestServer;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vesta::http::routes::{ENDPOINTS, Endpoint};

/// A small generator of its own: a failing round is told by its number alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.roll(from.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.roll(most)).map(|_| u8::try_from(self.roll(256)).unwrap()).collect()
    }
}

const METHODS: &[&[u8]] =
    &[b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"BREW", b"get"];
const PATHS: &[&[u8]] = &[
    b"/fhir",
    b"/fhir/",
    b"/fhir/Patient",
    b"/fhir/Patient/1",
    b"/fhir/Patient/1/_history/1",
    b"/fhir/_history",
    b"/fhir/Patient/_search",
    b"/fhir/Patient/1/*",
    b"/fhir/$everything",
    b"/fhir/Patient/1/$everything",
    b"/fhir/Binary/1",
    b"/fhir/Binary",
    b"//fhir//Patient",
    b"/fhir/../etc/passwd",
    b"/fhir/Patient/%00",
    b"/fhir/%2e%2e/x",
    b"/fhir/Patient/%zz",
    b"/fhir/Patient/a%2Fb",
    b"*",
    b"http://x/fhir",
    b"/fhir/\xff\xfe",
    b"/fhir/Patient/1/$",
    b"/fhir/Observation/1/_history/'--",
];
const QUERIES: &[&[u8]] = &[
    b"",
    b"?",
    b"?name=a",
    b"?name=%ff",
    b"?name=%00",
    b"?%zz",
    b"?_count=-1",
    b"?_count=99999999999999999999",
    b"?a[]=1&&&=",
    b"?_format=xml",
    b"?_format=%00",
    b"?_sort=",
    b"?_include=*&_include:iterate=*",
    b"?_has:a:b:c:d:e=1",
    b"?date=gt9999-99-99",
    b"?name='%20or%201=1--",
    b"?_elements=,,,",
    b"?_pretty=true",
];
const HEADERS: &[&[u8]] = &[
    b"content-type: application/fhir+json",
    b"content-type: \xff",
    b"content-type: application/fhir+xml",
    b"content-type: text/xml; charset=utf-16",
    b"accept: application/fhir+xml",
    b"authorization: Basic Og==",
    b"authorization: Basic \xff",
    b"cookie: vesta-session=x; vesta-session=",
    b"if-none-match: W/\"1\", \"",
    b"content-type: application/json-patch+json",
    b"content-type: application/x-www-form-urlencoded",
    b"content-encoding: gzip",
    b"content-encoding: zstd",
    b"content-encoding: deflate",
    b"accept: text/html",
    b"accept: ;;;,q=",
    b"accept: application/fhir+json;q=nan",
    b"if-match: W/\"",
    b"if-match: \xe9",
    b"if-none-match: *",
    b"if-none-exist: ?",
    b"if-modified-since: yesterday",
    b"prefer: return=;handling==,,",
    b"x-request-id: \xff",
    b"x-forwarded-for: ,,,",
    b"origin: null",
    b"accept-encoding: gzip;q=9e99, zstd;q=",
    b"expect: 100-continue",
    b"authorization: Bearer x",
];
const BODIES: &[&[u8]] = &[
    b"",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"\0",
    b"\xff\xfe",
    b"{\"resourceType\":\"Patient\"}",
    b"{\"resourceType\":\"Patient\",\"resourceType\":\"Patient\"}",
    b"{\"resourceType\":\"Patient\",\"id\":\"\\ud800\"}",
    b"{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{}]}",
    b"{\"resourceType\":\"Parameters\"}",
    b"{\"resourceType\":\"Patient\",\"name\":1e999}",
    b"[{\"op\":\"test\",\"path\":\"/x\"}]",
    b"a=%zz&b",
    b"grant_type=client_credentials&client_id=demo-backend&client_assertion=a.b.c",
    b"grant_type=authorization_code&code=x&code=y&client_id=\x00",
    b"grant_type=refresh_token&refresh_token=&client_id=app",
    b"token=x&token_type_hint=y",
    b"flow=x&csrf=y&step=sign-in&username=a&password=b",
    b"{\"redirect_uris\":[\"javascript:x\"],\"jwks\":7}",
    b"<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"1\"/></Patient>",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]><Patient xmlns=\"http://hl7.org/fhir\"><id value=\"&a;\"/></Patient>",
    b"<Bundle xmlns=\"http://hl7.org/fhir\"><entry><resource>",
    b"<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    b"\x1f\x8b\x08\0",
];

/// What may stand where a path has a part of its own.
const PARTS: &[&[u8]] = &[
    b"Patient",
    b"Binary",
    b"AuditEvent",
    b"1",
    b"a.b-c",
    b"%00",
    b"%F0%9F%92%A9",
    b"..",
    b"validate",
    b"everything",
    b"convert",
    b"lastn",
    b"meta-add",
    b"north",
    b"99999999999999999999",
    b"%27--",
];

/// The way to some endpoint, with anything in its variable parts; sometimes that of another tenant.
fn endpoint(dice: &mut Dice, template: &'static str) -> Vec<u8> {
    let mut path = if dice.roll(10) == 0 { b"/t/north".to_vec() } else { Vec::new() };
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        path.extend_from_slice(before.as_bytes());
        path.extend_from_slice(dice.pick(PARTS));
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    path.extend_from_slice(rest.as_bytes());
    path
}

fn request(dice: &mut Dice, token: &str, of: Option<&Endpoint>) -> Vec<u8> {
    let body = match dice.roll(8) {
        0 => dice.bytes(2000),
        1 => b"[".repeat(100_000),
        2 => b"{\"a\":".repeat(dice.roll(5000)),
        _ => dice.pick(BODIES).to_vec(),
    };
    let mut out = Vec::new();
    match of.filter(|_| dice.roll(4) > 0) {
        Some(of) => out.extend_from_slice(of.method.as_bytes()),
        None => out.extend_from_slice(dice.pick(METHODS)),
    }
    out.push(b' ');
    if let Some(of) = of {
        out.extend_from_slice(&endpoint(dice, of.path));
    } else if dice.roll(2) == 0 {
        let template = ENDPOINTS[dice.roll(ENDPOINTS.len())].path;
        out.extend_from_slice(&endpoint(dice, template));
    } else {
        out.extend_from_slice(dice.pick(PATHS));
    }
    out.extend_from_slice(dice.pick(QUERIES));
    out.extend_from_slice(b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if dice.roll(4) > 0 {
        out.extend_from_slice(format!("authorization: Bearer {token}\r\n").as_bytes());
    }
    for _ in 0..dice.roll(5) {
        out.extend_from_slice(dice.pick(HEADERS));
        out.extend_from_slice(b"\r\n");
    }
    match dice.roll(10) {
        0 => out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n5\r\n{\"a\":\r\nzz\r\n"),
        1 => out.extend_from_slice(b"content-length: x\r\n\r\n"),
        _ => out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes()),
    }
    out.extend_from_slice(&body);
    if dice.roll(20) == 0 {
        let at = dice.roll(out.len());
        out[at] = u8::try_from(dice.roll(256)).unwrap();
    }
    out
}

/// The status, and whether there is a token in the answer; nothing where the connection was closed without an answer.
async fn ask(address: SocketAddr, request: Vec<u8>) -> Option<(u16, bool)> {
    let mut connection = TcpStream::connect(address).await.unwrap();
    // The server may close before it has read all.
    let _ = connection.write_all(&request).await;
    let _ = connection.shutdown().await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let answer = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
    let line = String::from_utf8_lossy(answer.get(9..12)?).into_owned();
    let has_token = [&b"\"access_token\":"[..], b"?code=", b"\"client_secret\""]
        .iter()
        .any(|it| answer.windows(it.len()).any(|window| window == *it));
    Some((line.parse().unwrap_or_else(|_| panic!("no status: {line}")), has_token))
}

/// A number that whoever runs the tests asks for.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_malformed_breaks_the_server() {
    let server = TestServer::start_with(|config| {
        config.limits.body_bytes = 1 << 20;
        config.limits.idle_seconds = 2;
    })
    .await;
    let token = server.sign(&server.claims("system/*.cruds"));
    let mut dice = Dice(setting("VESTA_FUZZ_SEED").unwrap_or(0x5eed_5eed_5eed_5eed).max(1));
    let rounds = setting("VESTA_FUZZ_REQUESTS").unwrap_or(1000).div_ceil(500);
    let mut statuses = BTreeMap::new();
    for round in 0..rounds {
        let requests = (0..500).map(|_| request(&mut dice, &token, None)).collect();
        all_answered(&server, &format!("round {round}"), &token, requests, &mut statuses).await;
    }
    let each = setting("VESTA_FUZZ_EACH").unwrap_or(10);
    for endpoint in ENDPOINTS {
        for from in (0..each).step_by(500) {
            let requests = (from..each.min(from + 500)).map(|_| request(&mut dice, &token, Some(endpoint)));
            all_answered(&server, endpoint.path, &token, requests.collect(), &mut statuses).await;
        }
    }
    println!("{} endpoints: {statuses:?}", ENDPOINTS.len());
    for expected in [200, 400, 401, 404, 405, 406, 415] {
        assert!(statuses.contains_key(&Some(expected)), "{expected} never came: {statuses:?}");
    }
    server.stranger().get("/health/live").await.assert_status(200);
}

/// Several at once, since a client that closes its half early is waited for.
async fn all_answered(
    server: &TestServer,
    place: &str,
    token: &str,
    requests: Vec<Vec<u8>>,
    statuses: &mut BTreeMap<Option<u16>, u32>,
) {
    let answers = requests
        .iter()
        .map(|it| tokio::time::timeout(Duration::from_secs(30), ask(server.address, it.clone())));
    for (request, answer) in requests.iter().zip(futures_util::future::join_all(answers).await) {
        let shown: String = String::from_utf8_lossy(request).chars().take(600).collect();
        let shown = shown.replace(token, "…");
        let status = answer.unwrap_or_else(|_| panic!("{place} hangs: {shown}"));
        let has_token = status.is_some_and(|(_, has_token)| has_token);
        let status = status.map(|(status, _)| status);
        assert_ne!(status, Some(500), "{place}: {shown}");
        assert!(!has_token, "{place} gave a token to nobody: {shown}");
        *statuses.entry(status).or_insert(0) += 1;
    }
}

//! The leak matrix: every way to ask, tried by everybody who may not know, against a running server.
//!
//! A *cell* is a surface and an attempt. In it every hidden thing is asked for, and no answer may show it: not its
//! word, not its id (unless the caller said it), not by a number, not by another status than what never was. Beside
//! each denial stands its twin: what the same token may see must come, else an empty server would pass. After the
//! writing surfaces, what was hidden must be untouched.
//!
//! It speaks HTTP alone, so any FHIR server can be held to it.

pub mod attempts;
mod export;
pub mod report;
pub mod surfaces;
pub mod world;

use attempts::{ATTEMPTS, Attempt, NEIGHBOUR};
use report::{Cell, Report, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use surfaces::{Request, SURFACES, Shows, Surface, TELLING};
use world::{Kind, THINGS, Thing};

/// The server, and whoever may write everything.
#[derive(Clone)]
pub struct Target {
    /// The FHIR base, without a closing slash.
    pub base: String,
    /// With the authorities that may have signed its certificate.
    pub client: reqwest::Client,
    /// A token that may do everything.
    pub writer: String,
    /// The tokens to try, by the name of the attempt; no token is an attempt of its own.
    pub tokens: BTreeMap<String, String>,
    /// The FHIR base of another tenant, if there is one: where the neighbour asks.
    pub neighbour: Option<String>,
}

/// What came back.
struct Answer {
    status: u16,
    /// Headers and body, in lower case.
    text: String,
    body: Value,
    /// Where an export that was asked for is told of.
    location: Option<String>,
}

/// Stores what there is to leak; again does no harm.
///
/// # Errors
/// The server cannot be reached, or refuses.
pub async fn prepare(target: &Target) -> io::Result<()> {
    for resource in world::resources() {
        let named = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let request = Request {
            method: "PUT",
            path: format!("{}/{}", named("resourceType"), named("id")),
            header: None,
            body: Some(("application/fhir+json", resource.clone())),
        };
        let answer = target.send(&request, Some(&target.writer)).await?;
        if !matches!(answer.status, 200 | 201) {
            let why = format!("{} was refused with {}: {}", request.path, answer.status, answer.body);
            return Err(io::Error::other(why));
        }
    }
    Ok(())
}

/// Tries everything, and says what came of it. `progress` is told of each attempt.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(target: &Target, mut progress: impl FnMut(&str)) -> io::Result<Report> {
    let mut report = Report::default();
    let export = target.export_of_the_writer().await?;
    for attempt in ATTEMPTS {
        progress(attempt.name);
        let token = target.tokens.get(attempt.name).cloned();
        let base = match attempt.name {
            NEIGHBOUR => target.neighbour.clone(),
            _ => Some(target.base.clone()),
        };
        let (Some(base), true) = (base, token.is_some() || attempt.name == "no-token") else {
            report.not_tried.push((attempt.name, attempt.token));
            continue;
        };
        let there = Target { base, ..target.clone() };
        let token = token.as_deref();
        let mut add = |surface, verdict| report.cells.push(Cell { attempt: attempt.name, surface, verdict });
        let before = target.versions(attempt).await?;
        for surface in SURFACES {
            add(surface.name, there.cell(attempt, surface, token).await?);
        }
        add("page link", target.someone_elses_page(attempt, token, &there).await?);
        add("as if it never was", there.looks_absent(attempt, token).await?);
        add("$export", there.export(attempt, token).await?);
        add("the export of another", there.someone_elses_export(attempt, token, &export).await?);
        let after = target.versions(attempt).await?;
        let verdict = match before == after {
            true => Verdict::Tight(after.len()),
            false => Verdict::Leaks("something hidden was changed".to_owned()),
        };
        add("untouched", verdict);
    }
    Ok(report)
}

impl Target {
    async fn cell(&self, attempt: &Attempt, surface: &Surface, token: Option<&str>) -> io::Result<Verdict> {
        let mut denied = 0;
        let changes = matches!(surface.shows, Shows::Untouched | Shows::Uncounted);
        for thing in surfaces::things(surface) {
            let is_hidden = attempt.hides(thing);
            if changes && !is_hidden {
                continue;
            }
            let request = (surface.ask)(thing);
            let answer = self.send(&request, token).await?;
            let leak = match is_hidden {
                true => leak(attempt, surface, thing, &request, &answer),
                // Nor does anything hidden stand beside what may be seen.
                false => hidden_in(attempt, &request, &answer),
            };
            if let Some(leak) = leak {
                return Ok(Verdict::Leaks(format!("{}/{}: {leak}", thing.resource_type, thing.id)));
            }
            if is_hidden {
                denied += 1;
                // A token that is none is none whatever is asked for.
                match attempt.is_stranger {
                    true => break,
                    false => continue,
                }
            }
            let is_shown = (200..300).contains(&answer.status)
                && match surface.shows {
                    Shows::Word => !proves(surface, thing) || answer.text.contains(thing.word),
                    Shows::Total => answer.total() > 0,
                    Shows::Success | Shows::Untouched | Shows::Uncounted => true,
                };
            // A surface that is closed to them altogether shows nothing, and that is no leak.
            if !is_shown && !matches!(answer.status, 403 | 404) {
                let why = format!("{}/{} is not shown ({})", thing.resource_type, thing.id, answer.status);
                return Ok(Verdict::TwinFails(why));
            }
        }
        Ok(if denied == 0 { Verdict::Empty } else { Verdict::Tight(denied) })
    }

    /// Follows a link to a second page that was made for whoever may see everything.
    async fn someone_elses_page(
        &self,
        attempt: &Attempt,
        token: Option<&str>,
        there: &Target,
    ) -> io::Result<Verdict> {
        let first = Request {
            method: "GET",
            path: "Observation?identifier=urn:leak-test%7C&_count=1&_sort=_id".to_owned(),
            header: None,
            body: None,
        };
        let answer = self.send(&first, Some(&self.writer)).await?;
        let links = answer.body.get("link").and_then(Value::as_array).cloned().unwrap_or_default();
        let next = links.iter().find(|it| it.get("relation").and_then(Value::as_str) == Some("next"));
        let Some(url) = next.and_then(|it| it.get("url")).and_then(Value::as_str) else {
            return Ok(Verdict::TwinFails("there is no second page".to_owned()));
        };
        let path = url.strip_prefix(&format!("{}/", self.base)).unwrap_or(url).to_owned();
        let request = Request { path, ..first };
        let answer = there.send(&request, token).await?;
        let hidden = THINGS.iter().filter(|it| attempt.hides(it));
        if (200..300).contains(&answer.status) {
            return Ok(Verdict::Leaks("the link of somebody else was followed".to_owned()));
        }
        let shown = hidden.into_iter().find(|it| answer.text.contains(it.word));
        Ok(match shown {
            Some(thing) => Verdict::Leaks(format!("{} stands in the answer", thing.word)),
            None => Verdict::Tight(1),
        })
    }

    /// What is hidden is as absent as what never was, to whoever reads it and to whoever writes there.
    async fn looks_absent(&self, attempt: &Attempt, token: Option<&str>) -> io::Result<Verdict> {
        const NEVER: &str = "leak-never-was";
        let mut compared = 0;
        let most = if attempt.is_stranger { 1 } else { THINGS.len() };
        for thing in THINGS.iter().filter(|it| attempt.hides(it) && !it.is_part()).take(most) {
            for request in surfaces::oracles(thing.resource_type, thing.id) {
                let never = Request {
                    path: request.path.replace(thing.id, NEVER),
                    body: request.body.as_ref().map(|(kind, body)| {
                        let text = body.to_string().replace(thing.id, NEVER);
                        (*kind, serde_json::from_str(&text).unwrap_or(Value::Null))
                    }),
                    ..request.clone()
                };
                let hidden = self.send(&request, token).await?;
                let never = self.send(&never, token).await?;
                if (hidden.status, &hidden.body) != (never.status, &never.body) {
                    let asked = format!("{} {}", request.method, request.path);
                    let why = format!("{asked}: {} where what never was is {}", hidden.status, never.status);
                    return Ok(Verdict::Leaks(why));
                }
                compared += 1;
            }
        }
        Ok(Verdict::Tight(compared))
    }

    /// Which versions of what is hidden stand now.
    async fn versions(&self, attempt: &Attempt) -> io::Result<Vec<String>> {
        let mut versions = Vec::new();
        for thing in THINGS.iter().filter(|it| attempt.hides(it) && !it.is_part()) {
            let request = Request {
                method: "GET",
                path: format!("{}/{}", thing.resource_type, thing.id),
                header: None,
                body: None,
            };
            let answer = self.send(&request, Some(&self.writer)).await?;
            let version = answer.body.pointer("/meta/versionId").map(Value::to_string);
            versions.push(format!("{} {} {version:?}", thing.id, answer.status));
        }
        Ok(versions)
    }

    async fn send(&self, request: &Request, token: Option<&str>) -> io::Result<Answer> {
        let method = request.method.parse::<reqwest::Method>().map_err(io::Error::other)?;
        let url = match request.path.as_str() {
            "" => self.base.clone(),
            path if path.starts_with('?') => format!("{}{path}", self.base),
            path => format!("{}/{path}", self.base),
        };
        let mut sending = self.client.request(method, url);
        if !matches!(request.header, Some(("accept", _))) {
            sending = sending.header("accept", "application/fhir+json");
        }
        if let Some(token) = token {
            sending = sending.bearer_auth(token);
        }
        if let Some((name, value)) = &request.header {
            sending = sending.header(*name, value);
        }
        if let Some((content_type, body)) = &request.body {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            sending = sending.header("content-type", *content_type).body(text);
        }
        let response = sending.send().await.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let location = response.headers().get("content-location").and_then(|it| it.to_str().ok());
        let location = location.map(str::to_owned);
        let headers = response.headers().iter().filter_map(|(_, value)| value.to_str().ok());
        let headers = headers.collect::<Vec<_>>().join("\n");
        let body = response.text().await.map_err(io::Error::other)?;
        let text = format!("{headers}\n{body}").to_lowercase();
        Ok(Answer { status, text, body: serde_json::from_str(&body).unwrap_or(Value::Null), location })
    }
}

impl Answer {
    fn total(&self) -> u64 {
        self.body.get("total").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// Whether that surface shows that thing to whoever may see it: parts are not shown by all that show the rest.
fn proves(surface: &Surface, thing: &Thing) -> bool {
    match thing.kind {
        Kind::Note => surface.name == "read",
        Kind::Once => matches!(surface.name, "vread" | "history of one"),
        // Whose it is, other resources say: what it was is shown to those alone who may see everybody's.
        Kind::Device | Kind::Scan | Kind::SecretScan => !surface.name.starts_with("history"),
        _ => true,
    }
}

/// What an answer about something hidden shows that it must not.
fn leak(
    attempt: &Attempt,
    surface: &Surface,
    thing: &Thing,
    request: &Request,
    answer: &Answer,
) -> Option<String> {
    if answer.status >= 500 {
        return Some(format!("the server failed with {}", answer.status));
    }
    if attempt.is_stranger && answer.status != 401 {
        return Some(format!("{} where 401 is expected", answer.status));
    }
    let is_success = (200..300).contains(&answer.status);
    let counts = matches!(surface.shows, Shows::Total | Shows::Uncounted);
    if is_success && counts && answer.total() > 0 {
        return Some("it is counted".to_owned());
    }
    if let Some(shown) = hidden_in(attempt, request, answer) {
        return Some(shown);
    }
    if surface.name == "conditional create" && matches!(answer.status, 200 | 412) {
        return Some(format!("{} tells of what the criteria match", answer.status));
    }
    let tells = !thing.is_part() && TELLING.contains(&surface.name);
    (tells && (is_success || answer.status == 304)).then(|| format!("{} tells of it", answer.status))
}

/// Something hidden that stands in an answer and was not said by whoever asked.
fn hidden_in(attempt: &Attempt, request: &Request, answer: &Answer) -> Option<String> {
    let asked = format!("{} {:?} {:?}", request.path, request.header, request.body).to_lowercase();
    let is_success = (200..300).contains(&answer.status);
    for hidden in THINGS.iter().filter(|it| attempt.hides(it)) {
        if answer.text.contains(hidden.word) && !asked.contains(hidden.word) {
            return Some(format!("{} stands in the answer", hidden.word));
        }
        let id = format!("\"id\":\"{}\"", hidden.id);
        if is_success && !hidden.is_part() && answer.text.contains(&id) {
            return Some(format!("{} is in the answer", hidden.id));
        }
    }
    None
}

//! The leak matrix: every way to ask, tried by everybody who may not know, against a running server.
//!
//! A *cell* is a surface and an attempt. In it every hidden thing is asked for, and no answer may show it: not its
//! word, not its id (unless the caller said it), not by a number, not by another status than what never was. Beside
//! each denial stands its twin: what the same token may see must come, else an empty server would pass. After the
//! writing surfaces, what was hidden must be untouched.
//!
//! It speaks HTTP alone, so any FHIR server can be held to it.

pub mod attempts;
pub mod report;
pub mod surfaces;
pub mod world;

use attempts::{ATTEMPTS, Attempt};
use report::{Cell, Report, Verdict};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use surfaces::{Request, SURFACES, Shows, Surface};
use world::{THINGS, Thing};

/// The server, and whoever may write everything.
pub struct Target {
    /// The FHIR base, without a closing slash.
    pub base: String,
    /// With the authorities that may have signed its certificate.
    pub client: reqwest::Client,
    /// A token that may do everything.
    pub writer: String,
    /// The tokens to try, by the name of the attempt; no token is an attempt of its own.
    pub tokens: BTreeMap<String, String>,
}

/// What came back.
struct Answer {
    status: u16,
    /// Headers and body, in lower case.
    text: String,
    body: Value,
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
    for attempt in ATTEMPTS {
        progress(attempt.name);
        let token = target.tokens.get(attempt.name).cloned();
        if token.is_none() && attempt.name != "no-token" {
            report.not_tried.push((attempt.name, attempt.token));
            continue;
        }
        let before = target.versions(attempt).await?;
        for surface in SURFACES {
            let verdict = target.cell(attempt, surface, token.as_deref()).await?;
            report.cells.push(Cell { attempt: attempt.name, surface: surface.name, verdict });
        }
        let verdict = target.someone_elses_page(attempt, token.as_deref()).await?;
        report.cells.push(Cell { attempt: attempt.name, surface: "page link", verdict });
        let verdict = target.looks_absent(attempt, token.as_deref()).await?;
        report.cells.push(Cell { attempt: attempt.name, surface: "the bytes of a 404", verdict });
        let after = target.versions(attempt).await?;
        let verdict = match before == after {
            true => Verdict::Tight(after.len()),
            false => Verdict::Leaks("something hidden was changed".to_owned()),
        };
        report.cells.push(Cell { attempt: attempt.name, surface: "untouched", verdict });
    }
    Ok(report)
}

impl Target {
    async fn cell(&self, attempt: &Attempt, surface: &Surface, token: Option<&str>) -> io::Result<Verdict> {
        let mut denied = 0;
        for thing in surfaces::things(surface).filter(|it| attempt.hides(it)) {
            let request = (surface.ask)(thing);
            let answer = self.send(&request, token).await?;
            if let Some(leak) = leak(attempt, surface, thing, &request, &answer) {
                return Ok(Verdict::Leaks(format!("{}/{}: {leak}", thing.resource_type, thing.id)));
            }
            denied += 1;
        }
        let changes = surface.shows == Shows::Untouched;
        for thing in surfaces::things(surface).filter(|it| !changes && !attempt.hides(it)) {
            let answer = self.send(&(surface.ask)(thing), token).await?;
            let is_shown = (200..300).contains(&answer.status)
                && match surface.shows {
                    Shows::Word => answer.text.contains(thing.word),
                    Shows::Total => answer.total() > 0,
                    Shows::Success | Shows::Untouched => true,
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
    async fn someone_elses_page(&self, attempt: &Attempt, token: Option<&str>) -> io::Result<Verdict> {
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
        let answer = self.send(&request, token).await?;
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

    /// What is hidden is as absent as what never was.
    async fn looks_absent(&self, attempt: &Attempt, token: Option<&str>) -> io::Result<Verdict> {
        let mut compared = 0;
        for thing in THINGS.iter().filter(|it| attempt.hides(it)) {
            for suffix in ["", "/_history/1", "/_history", "/$meta"] {
                let ask = |id: &str| Request {
                    method: "GET",
                    path: format!("{}/{id}{suffix}", thing.resource_type),
                    header: None,
                    body: None,
                };
                let hidden = self.send(&ask(thing.id), token).await?;
                let never = self.send(&ask("leak-never-was"), token).await?;
                if (hidden.status, &hidden.body) != (never.status, &never.body) {
                    let of = format!("{}/{}{suffix}", thing.resource_type, thing.id);
                    let why = format!("{of}: {} where what never was is {}", hidden.status, never.status);
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
        for thing in THINGS.iter().filter(|it| attempt.hides(it)) {
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
        let mut sending = self.client.request(method, url).header("accept", "application/fhir+json");
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
        let headers = response.headers().iter().filter_map(|(_, value)| value.to_str().ok());
        let headers = headers.collect::<Vec<_>>().join("\n");
        let body = response.text().await.map_err(io::Error::other)?;
        let text = format!("{headers}\n{body}").to_lowercase();
        Ok(Answer { status, text, body: serde_json::from_str(&body).unwrap_or(Value::Null) })
    }
}

impl Answer {
    fn total(&self) -> u64 {
        self.body.get("total").and_then(Value::as_u64).unwrap_or(0)
    }
}

/// What an answer shows that it must not.
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
    if is_success && surface.shows == Shows::Total && answer.total() > 0 {
        return Some("it is counted".to_owned());
    }
    let by_itself =
        matches!(surface.name, "read" | "HEAD" | "vread" | "history of one" | "$meta" | "$validate");
    if is_success && by_itself {
        return Some(format!("{} for what is hidden", answer.status));
    }
    let asked = format!("{} {:?} {:?}", request.path, request.header, request.body).to_lowercase();
    for hidden in THINGS.iter().filter(|it| attempt.hides(it)) {
        if answer.text.contains(hidden.word) && !asked.contains(hidden.word) {
            return Some(format!("{} stands in the answer", hidden.word));
        }
        let id = format!("\"id\":\"{}\"", hidden.id);
        if is_success && answer.text.contains(&id) {
            return Some(format!("{} is in the answer", hidden.id));
        }
    }
    let is_oracle =
        matches!(surface.name, "PATCH test" | "conditional PATCH" | "conditional reference") && is_success;
    is_oracle.then(|| format!("{} tells of {}", answer.status, thing.id))
}

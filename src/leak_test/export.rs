//! Bulk export as a surface: what comes out in the files, and whether anybody learns of an export that is another's.

use super::attempts::Attempt;
use super::report::Verdict;
use super::surfaces::Request;
use super::world::{Kind, THINGS};
use super::{Answer, Target, hidden_in};
use serde_json::Value;
use std::io;
use std::time::Duration;

/// How often its status is asked for.
const ASKED: u32 = 600;
/// How long between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// An export that is done: where it is told of, and its files.
pub(super) struct Exported {
    status: String,
    files: Vec<String>,
}

impl Target {
    /// An export that nobody but the writer may know of; none where the server has no such thing.
    pub(super) async fn export_of_the_writer(&self) -> io::Result<Option<Exported>> {
        let answer = self.send(&kick_off("Patient,Observation,Condition"), Some(&self.writer)).await?;
        self.exported(&answer, Some(&self.writer)).await
    }

    /// Asks for an export and looks into its files.
    pub(super) async fn export(&self, attempt: &Attempt, token: Option<&str>) -> io::Result<Verdict> {
        let request = kick_off("Observation");
        let answer = self.send(&request, token).await?;
        if answer.status != 202 {
            return Ok(match attempt.is_stranger && answer.status != 401 {
                true => Verdict::Leaks(format!("{} where 401 is expected", answer.status)),
                false => Verdict::Tight(1),
            });
        }
        let Some(done) = self.exported(&answer, token).await? else {
            return Ok(Verdict::TwinFails("an export came to no end".to_owned()));
        };
        let mut text = String::new();
        for file in &done.files {
            let request = get(file);
            let answer = self.send(&request, token).await?;
            if let Some(shown) = hidden_in(attempt, &request, &answer) {
                return Ok(Verdict::Leaks(format!("a file: {shown}")));
            }
            text.push_str(&answer.text);
        }
        let is_exported = |kind| matches!(kind, Kind::Laboratory | Kind::Vital);
        let mut seen = THINGS.iter().filter(|it| is_exported(it.kind) && !attempt.hides(it));
        match seen.find(|it| !text.contains(it.word)) {
            Some(missing) => Ok(Verdict::TwinFails(format!("{} is in no file", missing.id))),
            None => Ok(Verdict::Tight(done.files.len())),
        }
    }

    /// Asks for the status, the files and the end of an export that is somebody else's.
    pub(super) async fn someone_elses_export(
        &self,
        attempt: &Attempt,
        token: Option<&str>,
        export: &Option<Exported>,
    ) -> io::Result<Verdict> {
        let Some(export) = export else { return Ok(Verdict::Empty) };
        let end = Request { method: "DELETE", ..get(&export.status) };
        let all = export.files.iter().map(|it| get(it)).chain([get(&export.status), end]);
        let mut asked = 0;
        for request in all {
            let answer = self.send(&request, token).await?;
            let is_refused = match attempt.is_stranger {
                true => answer.status == 401,
                false => matches!(answer.status, 403 | 404),
            };
            if !is_refused {
                return Ok(Verdict::Leaks(format!("{} {}: {}", request.method, request.path, answer.status)));
            }
            asked += 1;
        }
        Ok(Verdict::Tight(asked))
    }

    /// Waits for an export that was asked for.
    async fn exported(&self, answer: &Answer, token: Option<&str>) -> io::Result<Option<Exported>> {
        let Some(status) = answer.location.as_deref().filter(|_| answer.status == 202) else {
            return Ok(None);
        };
        let status = self.path(status);
        for _ in 0..ASKED {
            let answer = self.send(&get(&status), token).await?;
            if answer.status != 202 {
                let output = answer.body.get("output").and_then(Value::as_array);
                let urls = output.into_iter().flatten().filter_map(|it| it.get("url")?.as_str());
                let files = urls.map(|it| self.path(it)).collect();
                return Ok((answer.status == 200).then_some(Exported { status, files }));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// A URL of this server as a path under its base.
    fn path(&self, url: &str) -> String {
        url.strip_prefix(&self.base).map_or(url, |it| it.trim_start_matches('/')).to_owned()
    }
}

fn kick_off(types: &str) -> Request {
    let path = format!("$export?_type={types}");
    Request { header: Some(("prefer", "respond-async".to_owned())), ..get(&path) }
}

fn get(path: &str) -> Request {
    Request { method: "GET", path: path.to_owned(), header: None, body: None }
}

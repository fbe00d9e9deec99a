//! Bundles that we send: searchset, history, batch-response, transaction-response.
//!
//! <https://hl7.org/fhir/R4/bundle.html>
//!
//! Resources go in as the text they are stored as; nothing is parsed or rendered again.

use super::json::quote;

/// What an entry asks for: <https://hl7.org/fhir/R4/valueset-http-verb.html>. In the order in which a
/// transaction is processed: <https://hl7.org/fhir/R4/http.html#trules>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// DELETE
    Delete,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// GET
    Get,
    /// HEAD
    Head,
}

impl Method {
    /// The method of that code.
    #[must_use]
    pub fn parse(code: &str) -> Option<Method> {
        Some(match code {
            "DELETE" => Method::Delete,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => return None,
        })
    }
}

/// A bundle to send.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// `searchset`, `history`, `batch-response`, `transaction-response`.
    pub kind: &'static str,
    /// When it was made: a FHIR instant.
    pub timestamp: Option<String>,
    /// `Bundle.total`, where it is known and meant.
    pub total: Option<u64>,
    /// `self`, `next` …
    pub links: Vec<(&'static str, String)>,
    /// What it holds.
    pub entries: Vec<Entry>,
}

/// One entry of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The resource's absolute URL.
    pub full_url: Option<String>,
    /// The resource, as JSON.
    pub resource: Option<String>,
    /// `match`, `include` or `outcome` in a searchset.
    pub search_mode: Option<&'static str>,
    /// Method and URL in a history.
    pub request: Option<(&'static str, String)>,
    /// What came of it, in a history or a response to a batch or transaction.
    pub response: Option<EntryResponse>,
}

/// `Bundle.entry.response`.
#[derive(Clone, Debug, Default)]
pub struct EntryResponse {
    /// `201 Created`
    pub status: String,
    /// `Patient/1/_history/1`
    pub location: Option<String>,
    /// `W/"1"`
    pub etag: Option<String>,
    /// A FHIR instant.
    pub last_modified: Option<String>,
    /// An OperationOutcome, as JSON.
    pub outcome: Option<String>,
}

impl Bundle {
    /// The bundle as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let content: usize =
            self.entries.iter().filter_map(|entry| entry.resource.as_ref()).map(String::len).sum();
        let mut out = String::with_capacity(content + 300 * self.entries.len() + 600);
        out.push_str("{\"resourceType\":\"Bundle\",\"type\":");
        out.push_str(&quote(self.kind));
        member(&mut out, "timestamp", self.timestamp.as_deref());
        if let Some(total) = self.total {
            out.push_str(&format!(",\"total\":{total}"));
        }
        if !self.links.is_empty() {
            let links = self.links.iter().map(|(relation, url)| {
                format!("{{\"relation\":{},\"url\":{}}}", quote(relation), quote(url))
            });
            out.push_str(&format!(",\"link\":[{}]", links.collect::<Vec<_>>().join(",")));
        }
        // An array must not be empty in FHIR JSON.
        if !self.entries.is_empty() {
            out.push_str(",\"entry\":[");
            for (position, entry) in self.entries.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                entry.write(&mut out);
            }
            out.push(']');
        }
        out.push('}');
        out
    }
}

impl Entry {
    fn write(&self, out: &mut String) {
        let start = out.len();
        out.push('{');
        member(out, "fullUrl", self.full_url.as_deref());
        if let Some(resource) = &self.resource {
            out.push_str(",\"resource\":");
            out.push_str(resource);
        }
        if let Some(mode) = self.search_mode {
            out.push_str(&format!(",\"search\":{{\"mode\":{}}}", quote(mode)));
        }
        if let Some((method, url)) = &self.request {
            out.push_str(&format!(",\"request\":{{\"method\":{},\"url\":{}}}", quote(method), quote(url)));
        }
        if let Some(response) = &self.response {
            out.push_str(&format!(",\"response\":{{\"status\":{}", quote(&response.status)));
            member(out, "location", response.location.as_deref());
            member(out, "etag", response.etag.as_deref());
            member(out, "lastModified", response.last_modified.as_deref());
            if let Some(outcome) = &response.outcome {
                out.push_str(",\"outcome\":");
                out.push_str(outcome);
            }
            out.push('}');
        }
        out.push('}');
        // The first member wrote a comma before itself.
        if out.get(start..start + 2) == Some("{,") {
            out.remove(start + 1);
        }
    }
}

fn member(out: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        out.push_str(&format!(",{}:{}", quote(name), quote(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_entries_as_they_are() {
        let entry = Entry {
            full_url: Some("https://h/fhir/Basic/1".into()),
            resource: Some("{ \"resourceType\":\"Basic\" }".into()),
            search_mode: Some("match"),
            ..Entry::default()
        };
        let failed = Entry {
            response: Some(EntryResponse {
                status: "404 Not Found".into(),
                outcome: Some("{}".into()),
                ..Default::default()
            }),
            ..Entry::default()
        };
        let bundle = Bundle {
            kind: "searchset",
            total: Some(1),
            links: vec![("self", "https://h/fhir/Basic?x=\"".into())],
            entries: vec![entry, failed],
            timestamp: None,
        };
        assert_eq!(
            bundle.to_json(),
            concat!(
                r#"{"resourceType":"Bundle","type":"searchset","total":1,"link":[{"relation":"self","url":"https://h/fhir/Basic?x=\""}],"#,
                r#""entry":[{"fullUrl":"https://h/fhir/Basic/1","resource":{ "resourceType":"Basic" },"search":{"mode":"match"}},"#,
                r#"{"response":{"status":"404 Not Found","outcome":{}}}]}"#
            )
        );
        assert_eq!(
            Bundle { kind: "history", ..Bundle::default() }.to_json(),
            r#"{"resourceType":"Bundle","type":"history"}"#
        );
    }
}

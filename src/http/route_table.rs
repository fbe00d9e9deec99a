//! Which path of [`ENDPOINTS`] a request is for: its segments beside those of each path.
//!
//! The framework would try a regular expression for each path, which was a quarter of what a read costs at the edge.

use super::routes::{ENDPOINTS, Endpoint, is_of_tenant};
use actix_web::http::Method;
use smallvec::SmallVec;
use std::sync::LazyLock;

/// A path of ours, and what stands in its variable parts.
#[derive(Debug)]
pub(super) struct Place {
    /// The path, as its rows write it.
    pub(super) path: &'static str,
    parts: SmallVec<[(&'static str, String); 3]>,
}

/// The part of a path that names a tenant.
const TENANT: &str = "tenant";
/// What stands before the path of every tenant but the first, with the tenant behind it.
const OF_TENANT: &str = "t";

impl Place {
    /// The first of our paths that fits. One slash more at the end makes no difference.
    pub(super) fn find(path: &str) -> Option<Place> {
        let path = path.strip_prefix('/')?;
        let segments: SmallVec<[&str; 8]> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        if let Some(place) = TABLE.iter().find_map(|row| row.fit(&segments)) {
            return Some(place);
        }
        match segments.as_slice() {
            [OF_TENANT, tenant, rest @ ..] if !tenant.is_empty() => {
                let rows = TABLE.iter().filter(|row| row.is_of_tenant);
                let mut place = rows.into_iter().find_map(|row| row.fit(rest))?;
                place.parts.push((TENANT, (*tenant).to_owned()));
                Some(place)
            }
            _ => None,
        }
    }

    /// What stands in a variable part; empty where the path has no such part.
    pub(super) fn part(&self, name: &str) -> &str {
        self.parts.iter().find(|(it, _)| *it == name).map_or("", |(_, value)| value)
    }

    /// The tenant that the path names.
    pub(super) fn tenant(&self) -> Option<&str> {
        Some(self.part(TENANT)).filter(|it| !it.is_empty())
    }

    /// The row of that method; `HEAD` follows `GET`.
    pub(super) fn endpoint(&self, method: &Method) -> Option<&'static Endpoint> {
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        ENDPOINTS.iter().find(|it| it.path == self.path && it.method == method)
    }
}

static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut table: Vec<Row> = Vec::new();
    for path in ENDPOINTS.iter().map(|it| it.path) {
        if table.iter().all(|row| row.path != path) {
            let segments = path.split('/').skip(1).map(Segment::of).collect();
            table.push(Row { path, segments, is_of_tenant: is_of_tenant(path) });
        }
    }
    table
});

struct Row {
    path: &'static str,
    segments: Vec<Segment>,
    is_of_tenant: bool,
}

enum Segment {
    Fixed(&'static str),
    /// Anything behind these letters.
    Variable {
        letters: &'static str,
        name: &'static str,
    },
}

impl Row {
    fn fit(&self, segments: &[&str]) -> Option<Place> {
        if self.segments.len() != segments.len()
            || !self.segments.iter().zip(segments).all(|(it, of)| it.fits(of))
        {
            return None;
        }
        let parts = self.segments.iter().zip(segments).filter_map(|(it, of)| it.part(of)).collect();
        Some(Place { path: self.path, parts })
    }
}

impl Segment {
    fn of(text: &'static str) -> Segment {
        match text.strip_suffix('}').and_then(|it| it.split_once('{')) {
            Some((letters, name)) => Segment::Variable { letters, name },
            None => Segment::Fixed(text),
        }
    }

    fn fits(&self, text: &str) -> bool {
        match self {
            Segment::Fixed(fixed) => *fixed == text,
            Segment::Variable { letters, .. } => text.strip_prefix(letters).is_some_and(|it| !it.is_empty()),
        }
    }

    fn part(&self, text: &str) -> Option<(&'static str, String)> {
        match self {
            Segment::Fixed(_) => None,
            Segment::Variable { letters, name } => Some((name, text.strip_prefix(letters)?.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(&'static str, String)> {
        let place = Place::find(path)?;
        let parts = place.parts.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        Some((place.path, parts.join(" ")))
    }

    #[test]
    fn the_first_path_that_fits_is_taken_with_its_parts() {
        let cases = [
            ("/fhir", "/fhir", ""),
            ("/fhir/", "/fhir", ""),
            ("/fhir/Patient/1", "/fhir/{type}/{id}", "type=Patient id=1"),
            ("/fhir/Binary/1", "/fhir/Binary/{id}", "id=1"),
            ("/fhir/Patient/$lastn", "/fhir/{type}/${operation}", "type=Patient operation=lastn"),
            (
                "/fhir/Patient/1/_history/2/",
                "/fhir/{type}/{id}/_history/{version}",
                "type=Patient id=1 version=2",
            ),
            ("/t/north/fhir/Patient/1", "/fhir/{type}/{id}", "type=Patient id=1 tenant=north"),
            (
                "/.well-known/oauth-authorization-server/t/north",
                "/.well-known/oauth-authorization-server/t/{tenant}",
                "tenant=north",
            ),
        ];
        for (path, template, parts) in cases {
            assert_eq!(found(path), Some((template, parts.to_owned())), "{path}");
        }
    }

    #[test]
    fn what_fits_no_path_is_none() {
        for path in
            ["", "*", "/", "//", "fhir", "/fhir//", "/fhir//1", "/t//fhir", "/t/north", "/t/north/metrics"]
        {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn head_follows_get() {
        let place = Place::find("/fhir/Patient/1").unwrap();
        assert_eq!(place.endpoint(&Method::HEAD).map(|it| it.method), Some("GET"));
        assert!(place.endpoint(&Method::POST).is_none());
    }
}

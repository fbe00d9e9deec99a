//! The settings of bulk export and import.

use clap::Args;

/// Bulk export and import.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Bulk data")]
pub struct Bulk {
    /// Where exports and uploads are kept, sealed: a folder, or s3://bucket/prefix with the usual AWS_
    /// variables. Default: files, in the data folder
    #[arg(
        id = "files_storage",
        long = "files",
        env = "VESTA_FILES",
        value_name = "FOLDER|URL",
        global = true
    )]
    pub files: Option<String>,

    /// How many exports and imports of one client may be under way at once
    #[arg(
        long = "bulk-jobs-per-client",
        env = "VESTA_BULK_JOBS_PER_CLIENT",
        default_value_t = 4,
        value_name = "N",
        global = true
    )]
    pub jobs_per_client: u32,

    /// How long the files of an export are kept once it is done
    #[arg(
        long = "bulk-kept-hours",
        env = "VESTA_BULK_KEPT_HOURS",
        default_value_t = 24,
        value_name = "N",
        global = true
    )]
    pub kept_hours: u32,

    /// From where files may be imported by URL, separated by commas: https://host/path/ and everything below
    /// it; http:// on this machine only. Default: from nowhere
    #[arg(
        long = "bulk-import-sources",
        env = "VESTA_BULK_IMPORT_SOURCES",
        value_name = "URLS",
        value_delimiter = ',',
        global = true
    )]
    pub import_sources: Vec<String>,
}

impl Default for Bulk {
    fn default() -> Bulk {
        Bulk { files: None, jobs_per_client: 4, kept_hours: 24, import_sources: Vec::new() }
    }
}

impl Bulk {
    /// What of it forbids to start.
    pub(super) fn complaints(&self) -> Option<String> {
        let is_safe =
            |url: &String| url.ends_with('/') && (url.starts_with("https://") || is_loopback_url(url));
        (!self.import_sources.iter().all(is_safe)).then(|| {
            "VESTA_BULK_IMPORT_SOURCES are https:// URLs that end with a slash (http:// on loopback)"
                .to_owned()
        })
    }
}

/// Plain HTTP to this very machine.
fn is_loopback_url(url: &str) -> bool {
    ["http://localhost/", "http://localhost:", "http://127.0.0.1/", "http://127.0.0.1:"]
        .iter()
        .any(|start| url.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_folders_on_the_web() {
        let complaints =
            |url: &str| Bulk { import_sources: vec![url.to_owned()], ..Bulk::default() }.complaints();
        for good in ["https://h/", "https://h/a/b/", "http://localhost:1/", "http://127.0.0.1/x/"] {
            assert_eq!(complaints(good), None, "{good}");
        }
        for bad in ["https://h", "http://h/", "http://localhost.evil.org/", "file:///", ""] {
            assert!(complaints(bad).is_some(), "{bad}");
        }
    }
}

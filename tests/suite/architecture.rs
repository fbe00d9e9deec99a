//! The house rules, as a test: who may import whom, which library lives in which room, how long a
//! file may grow. The table below *is* the architecture; `src/README.md` tells its story.

use std::fs;
use std::path::{Path, PathBuf};

/// Room → the rooms it may import. No cycles, no exceptions.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("fhir", &[]),
    ("fhirpath", &["fhir"]),
    ("terminology", &["fhir"]),
    ("conformance", &["fhir", "fhirpath", "terminology"]),
    ("search", &["fhir", "fhirpath", "conformance"]),
    ("access", &["fhir", "search", "conformance"]),
    ("demo", &["fhir"]),
    ("views", &["fhir", "fhirpath"]),
    ("crypto", &[]),
    ("deidentify", &["fhir", "terminology", "conformance", "crypto"]),
    ("clock", &[]),
    ("config", &[]),
    ("store", &["fhir", "search", "access", "crypto", "clock", "config"]),
    ("app", &["config", "clock", "conformance", "crypto", "search", "store", "fhir", "access"]),
    ("audit", &["fhir", "search", "access", "crypto", "store", "app", "clock", "config"]),
    (
        "interaction",
        &[
            "fhir",
            "fhirpath",
            "terminology",
            "conformance",
            "search",
            "access",
            "deidentify",
            "store",
            "audit",
            "app",
            "clock",
            "crypto",
            "views",
        ],
    ),
    ("telemetry", &["config"]),
    ("embedded_postgres", &["config"]),
    ("smart", &["fhir", "access", "crypto", "store", "audit", "app", "clock", "interaction", "config"]),
    ("tenancy", &["fhir", "store", "app"]),
    ("http", &["fhir", "access", "interaction", "smart", "app", "tenancy", "config", "telemetry", "views"]),
    (
        "compliance",
        &[
            "fhir",
            "access",
            "conformance",
            "crypto",
            "clock",
            "config",
            "store",
            "audit",
            "app",
            "interaction",
        ],
    ),
    ("backup", &["fhir", "crypto", "store", "audit", "interaction", "app", "embedded_postgres"]),
    (
        "bulk",
        &[
            "fhir",
            "search",
            "access",
            "deidentify",
            "store",
            "audit",
            "interaction",
            "app",
            "clock",
            "crypto",
            "views",
        ],
    ),
    (
        "jobs",
        &["bulk", "compliance", "fhir", "search", "crypto", "store", "audit", "app", "clock", "interaction"],
    ),
    ("load", &["fhir", "config"]),
    ("leak_test", &[]),
];

/// These may import everything, and nobody imports them.
const OUTERMOST: &[&str] = &["cli", "main", "lib"];

/// Library → the only places that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix_web", &["http"]),
    ("diesel", &["store"]),
    ("diesel_async", &["store"]),
    ("tokio_postgres", &["store", "embedded_postgres"]),
    ("aes_gcm", &["crypto"]),
    ("hmac", &["crypto"]),
    ("aws_lc_rs::signature", &["crypto"]),
    ("hkdf", &["crypto"]),
    ("ed25519_dalek", &["crypto"]),
    ("jsonwebtoken", &["crypto"]),
    ("cryptoki", &["crypto"]),
    ("parquet", &["views"]),
];

/// The longest a source file may be. Over 400 lines is a question, over this is a no.
const LONGEST: usize = 600;

#[test]
fn rooms_import_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        if OUTERMOST.contains(&room.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == room) else {
            broken.push(format!("{}: the room `{room}` is not in the table", path.display()));
            continue;
        };
        for imported in imports(&text) {
            if imported != room && !allowed.contains(&imported.as_str()) {
                broken.push(format!("{}: `{room}` must not import `{imported}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        for (library, rooms) in LIBRARIES {
            let is_named = code_of(&text).contains(&format!("{library}::"));
            if is_named && !rooms.contains(&room.as_str()) {
                broken.push(format!("{}: `{library}` belongs to {rooms:?}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_table_cannot_be_dodged() {
    for (path, text) in sources() {
        let code = code_of(&text);
        for dodge in ["super::super", "use crate as", "use crate;", "extern crate"] {
            assert!(!code.contains(dodge), "{}: `{dodge}`", path.display());
        }
    }
}

#[test]
fn files_open_with_their_story_and_stay_short() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LONGEST {
            broken.push(format!("{}: {lines} lines, split it by idea", path.display()));
        }
        // A file of tests has its story in the module that it tests.
        let is_tests = path.ends_with("tests.rs");
        if !is_tests && !text.starts_with("//!") && !text.starts_with("#![doc") {
            broken.push(format!("{}: does not open with //!", path.display()));
        }
        if text.lines().any(|line| line.ends_with(' ') || line.contains('\t')) {
            broken.push(format!("{}: trailing white space or tabs", path.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn the_root_shows_seven_things() {
    let mut shown: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && name != "target")
        .collect();
    shown.sort();
    let allowed = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "fhir-profiles",
        "migrations",
        "smart-apps",
        "src",
        "tests",
    ];
    for name in &shown {
        assert!(allowed.contains(&name.as_str()), "{name} does not belong at the top");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file below `src/`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root().join("src")).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 20, "the sources were not found");
    files
}

fn room_of(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The text without comments and without its inline tests.
fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms named after `crate::`, also inside `use crate::{…}`.
fn imports(text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(first_word(rest)),
            Some(group) => found.extend(top_level_items(group).iter().map(|item| first_word(item))),
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// The items of a `{ a::b, c::{d, e} }` group, read up to its closing brace.
fn top_level_items(group: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0;
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ => {}
        }
        if let Some(last) = items.last_mut() {
            last.push(letter);
        }
    }
    items
        .into_iter()
        .map(|item| item.trim_start_matches(',').trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

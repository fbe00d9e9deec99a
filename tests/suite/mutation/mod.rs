//! The leak matrix bites: each narrowing is taken out of the server (`narrowings.txt`), and a cell must fail.
//!
//! No such switch is in the source. `VESTA_TEST_MUTATIONS=FOLDER` copies the source there, takes every narrowing out of
//! the copy behind a variable, builds it once, and tries the attempts that must notice for each: an hour or so, by hand.
//! Without it, each text must stand once in the source, so that the list stays true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vesta::leak_test::attempts::ATTEMPTS;

const LIST: &str = include_str!("narrowings.txt");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// What a crate is built from.
const SOURCE: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", ".cargo", "fhir-profiles", "migrations", "smart-apps", "src", "tests"];

/// What is taken out of one place.
struct Block<'t> {
    names: Vec<Narrowing<'t>>,
    file: &'t str,
    text: String,
    without: String,
}

struct Narrowing<'t> {
    name: &'t str,
    attempts: &'t str,
    what: &'t str,
}

fn blocks() -> Vec<Block<'static>> {
    let mut blocks = Vec::new();
    let mut lines = LIST.lines().skip_while(|it| !it.starts_with('#')).peekable();
    while lines.peek().is_some() {
        let mut names = Vec::new();
        while let Some(line) = lines.next_if(|it| it.starts_with('#') || it.is_empty()) {
            let parts: Vec<&str> = line.trim_start_matches('#').splitn(3, '|').map(str::trim).collect();
            if let [name, attempts, what] = parts[..] {
                names.push(Narrowing { name, attempts, what });
            }
        }
        let Some(file) = lines.next() else { break };
        assert_eq!(lines.next(), Some("<<<<"), "{file}");
        let mut take = |end: &str| {
            let mut text = String::new();
            for line in lines.by_ref().take_while(|it| *it != end) {
                text.push_str(line);
                text.push('\n');
            }
            text
        };
        blocks.push(Block { names, file, text: take("===="), without: take(">>>>") });
    }
    blocks
}

fn read(root: &Path, file: &str) -> String {
    fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn every_narrowing_stands_in_the_source_as_the_list_has_it() {
    let blocks = blocks();
    assert!(blocks.len() >= 50, "{}", blocks.len());
    for Block { names, file, text, without } in &blocks {
        assert_eq!(read(Path::new(ROOT), file).matches(text.as_str()).count(), 1, "{file}:\n{text}");
        assert!(!names.is_empty(), "{file}:\n{text}");
        for Narrowing { name, attempts, .. } in names {
            assert!(without.contains(&format!("MUTATED(\"{name}\")")), "{name}");
            for attempt in attempts.split(',') {
                assert!(ATTEMPTS.iter().any(|it| it.name == attempt), "{name}: {attempt}");
            }
        }
    }
}

#[test]
fn without_any_one_narrowing_a_cell_fails() {
    let Some(folder) = std::env::var_os("VESTA_TEST_MUTATIONS") else { return };
    let root = PathBuf::from(folder);
    for name in SOURCE {
        copy(&Path::new(ROOT).join(name), &root.join(name));
    }
    let blocks = blocks();
    for Block { file, text, without, .. } in &blocks {
        let open = "MUTATED(";
        let switched = without.split(open).collect::<Vec<_>>();
        let switched: String =
            switched.iter().enumerate().fold(String::new(), |all, (place, part)| match place {
                0 => (*part).to_owned(),
                _ => {
                    let (name, rest) = part.split_once(')').unwrap();
                    format!("{all}(std::env::var(\"VESTA_MUTATE\").as_deref() == Ok({name})){rest}")
                }
            });
        fs::write(root.join(file), read(&root, file).replacen(text.as_str(), &switched, 1)).unwrap();
    }
    let suite = build(&root);
    let only = std::env::var_os("VESTA_TEST_MUTATION");
    let mut tried = BTreeSet::new();
    let mut missed = Vec::new();
    for Narrowing { name, attempts, what } in blocks.iter().flat_map(|it| &it.names) {
        if !tried.insert(*name) || only.as_ref().is_some_and(|it| **it != **name) {
            continue;
        }
        let caught = failed_cells(&run(&suite, &root, name, attempts));
        println!("{name:<22} {caught:>4} cells of {attempts}: {what}");
        if caught == 0 {
            missed.push(*name);
        }
    }
    assert_eq!(missed, Vec::<&str>::new(), "no cell fails without these");
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        let bytes = fs::read(from).unwrap();
        // What did not change keeps its time, so that it is not built again.
        if fs::read(to).ok().as_ref() != Some(&bytes) {
            fs::write(to, bytes).unwrap();
        }
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// The suite with every switch in it.
fn build(root: &Path) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--test", "suite", "--no-run", "--message-format=json"]).current_dir(root);
    // What cargo says of this crate is not for the copy.
    cargo.env_remove("CARGO_MANIFEST_DIR");
    let built = cargo.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8(built.stdout).unwrap();
    let messages = text.lines().filter_map(|it| serde_json::from_str::<serde_json::Value>(it).ok());
    let mut executables = messages.filter_map(|it| Some(PathBuf::from(it.get("executable")?.as_str()?)));
    executables.next_back().expect("cargo tells of the suite")
}

fn run(suite: &Path, root: &Path, name: &str, attempts: &str) -> Output {
    let mut suite = Command::new(suite);
    suite.args(["leak::no_cell_of_the_matrix_leaks", "--exact"]).current_dir(root);
    suite.env("VESTA_MUTATE", name).env("VESTA_LEAK_ATTEMPTS", attempts).output().unwrap()
}

/// How many cells failed: none where the suite did not.
fn failed_cells(output: &Output) -> usize {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|it| it.contains("of them leak or prove nothing"));
    let failed = line.and_then(|it| it.split(", ").nth(1)?.split(' ').next()?.parse().ok());
    match output.status.success() {
        true => 0,
        false => failed.unwrap_or_else(|| panic!("{text}")),
    }
}

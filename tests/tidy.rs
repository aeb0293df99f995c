//! What must stay true of the source itself.

use std::fs;
use std::path::{Path, PathBuf};

fn files(dir: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut out = Vec::new();
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let text = fs::read_to_string(&path).unwrap();
                out.push((path, text));
            }
        }
    }
    assert!(!out.is_empty(), "{dir} has no {ending}");
    out
}

/// The layer of a module, as the design counts them; a module may name those below it, and domain and spatial each other.
fn layer(module: &str) -> Option<u8> {
    Some(match module {
        "domain" | "spatial" | "error" | "thread" | "definitions" => 0,
        "store" | "index" | "tile" | "exchange" => 1,
        "query" | "coverage" | "siting" | "indicator" | "feed" | "push" | "delivery" | "calendar" | "door"
        | "audit" | "archive" | "batch" | "backup" => 2,
        "api" => 3,
        "cli" => 4,
        _ => return None,
    })
}

/// The text of a file up to its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests").next().unwrap()
}

#[test]
fn arrows_only_go_down() {
    let mut wrong = Vec::new();
    for (path, text) in files("src", ".rs") {
        let inside = path
            .strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
            .unwrap();
        let own = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .replace(".rs", "");
        let Some(own_layer) = layer(&own) else {
            continue;
        };
        for (n, line) in without_tests(&text).lines().enumerate() {
            let Some(at) = line.find("crate::") else {
                continue;
            };
            let other: String = line[at + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let Some(other_layer) = layer(&other) else {
                continue;
            };
            let sideways = own_layer == other_layer && own != other && own_layer == 1;
            if other_layer > own_layer || sideways {
                wrong.push(format!("{}:{}: {own} names {other}", inside.display(), n + 1));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn sql_stands_only_in_the_store_and_is_static() {
    for (path, text) in files("src", ".rs") {
        let inside = path.to_string_lossy().into_owned();
        if !inside.contains("src/store/") {
            assert!(!text.contains("sqlx::query"), "{inside} has SQL");
        }
        assert!(!text.contains("AssertSqlSafe"), "{inside} builds SQL");
    }
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    for (path, text) in files("src", ".rs")
        .into_iter()
        .chain(files("tests", ".rs"))
        .chain(files("web/src", ".ts"))
    {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
}

#[test]
fn only_tests_unwrap() {
    for (path, text) in files("src", ".rs") {
        if path.ends_with("tests.rs") || path.to_string_lossy().contains("/tests/") {
            continue;
        }
        for word in [".unwrap()", ".expect(", "panic!("] {
            let code = without_tests(&text)
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"));
            assert!(
                !code.into_iter().any(|l| l.contains(word)),
                "{} has {word}",
                path.display()
            );
        }
    }
}

#[test]
fn proj_is_named_in_one_file() {
    let named: Vec<_> = files("src", ".rs")
        .into_iter()
        .filter(|(_, t)| t.contains("proj::"))
        .map(|(p, _)| p)
        .collect();
    assert!(named.len() == 1 && named[0].ends_with("spatial/crs.rs"), "{named:?}");
}

#[test]
fn every_setting_is_in_both_readmes() {
    let readmes = ["README.md", "README.zh.md"]
        .map(|f| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(f)).unwrap());
    for (path, text) in files("src", ".rs") {
        for part in text.split("env = \"").skip(1) {
            let name = part.split('"').next().unwrap();
            for readme in &readmes {
                assert!(
                    readme.contains(name),
                    "{} reads {name}, which a README does not name",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_constraint_and_index_has_a_name_of_its_own() {
    for (path, text) in files("migrations", ".sql") {
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            let says = |word: &str| line.contains(word) && !line.starts_with("--") && !line.starts_with("comment");
            let unnamed = [" primary key", " references ", " unique", " check ("];
            let bare = unnamed.iter().any(|w| says(w)) && !line.contains("constraint") && !line.contains("index");
            assert!(!bare, "{}:{}: {line}", path.display(), n + 1);
        }
    }
}

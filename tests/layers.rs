//! The layers of the program: each imports only layers above it. So imports have no cycles, and a change affects only the
//! layers below.

#![allow(clippy::unwrap_used)] // helpers of tests are test code, too, which the lint cannot know

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the top. `src/lib.rs` shows the same list.
const LAYERS: [&str; 15] = [
    "limits", "types", "text", "uci", "option", "wire", "check", "config", "engine", "routing",
    "firewall", "linux", "daemon", "client", "import",
];
/// The number of layers that read no clock, do no I/O and use no heap: the build without `std` has exactly these.
const PURE: usize = 11;

/// One import: the file that has it, that file's layer, and the layer it imports.
struct Import {
    file: PathBuf,
    of: usize,
    from: String,
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false if path.extension().is_some_and(|ending| ending == "rs") => found.push(path),
            false => {}
        }
    }
}

fn layer_of(file: &Path) -> Option<usize> {
    let first = file.strip_prefix(source()).unwrap().components().next()?;
    let name = Path::new(first.as_os_str())
        .file_stem()?
        .to_str()?
        .to_owned();
    LAYERS.iter().position(|layer| *layer == name)
}

/// Every `crate::NAME` of a file, also in the middle of an expression and in braces; not those of its tests.
fn imports() -> Vec<Import> {
    let mut found = Vec::new();
    let mut all = Vec::new();
    files(&source(), &mut all);
    for file in all {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let Some(of) = layer_of(&file) else {
            assert!(
                ["lib", "main"].contains(&name.as_str()),
                "{} is in no layer",
                file.display()
            );
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (place, _) in text.match_indices("crate::") {
            let rest = &text[place + "crate::".len()..];
            let names = match rest.strip_prefix('{') {
                Some(braces) => braces.split('}').next().unwrap(),
                None => rest,
            };
            for part in names.split(',') {
                let word = |byte: char| byte.is_ascii_alphanumeric() || byte == '_';
                let from: String = part.trim().chars().take_while(|byte| word(*byte)).collect();
                found.push(Import {
                    file: file.clone(),
                    of,
                    from,
                });
                if !rest.starts_with('{') {
                    break;
                }
            }
        }
    }
    found
}

#[test]
fn a_layer_imports_only_those_above_it() {
    let imports = imports();
    assert!(
        imports.len() > 400,
        "{} imports: most are overlooked",
        imports.len()
    );
    let wrong: Vec<String> = imports
        .iter()
        .filter(|import| {
            let from = LAYERS.iter().position(|layer| *layer == import.from);
            from.is_none_or(|from| from > import.of)
        })
        .map(|import| {
            let file = import.file.strip_prefix(source()).unwrap();
            format!("{} imports {}", file.display(), import.from)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `super` leads out of a layer only from the layer's own root, which has no parent but the crate.
#[test]
fn no_layer_is_left_by_super() {
    let mut all = Vec::new();
    files(&source(), &mut all);
    for file in all.iter().filter(|file| layer_of(file).is_some()) {
        let depth = file.strip_prefix(source()).unwrap().components().count();
        let text = fs::read_to_string(file).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        let up = "super::".repeat(depth);
        assert!(
            !text.contains(&up),
            "{} leaves its layer by {up}",
            file.display()
        );
    }
}

/// A part of the daemon owns its state, and is handed what it needs of the others: only these see all parts.
#[test]
fn the_parts_of_the_daemon_do_not_know_the_whole() {
    let whole = ["commands", "reload", "start"];
    let mut parts = Vec::new();
    files(&source().join("daemon"), &mut parts);
    parts.retain(|file| {
        !whole
            .iter()
            .any(|name| file.ends_with(format!("{name}.rs")))
    });
    assert!(parts.len() > 10, "{parts:?}");
    for file in parts {
        let text = fs::read_to_string(&file).unwrap();
        let knows = text.contains("Daemon<") || text.contains("Memory");
        assert!(!knows, "{} knows the whole daemon", file.display());
    }
}

#[test]
fn the_pure_layers_are_pure() {
    let words = [
        "Instant::now",
        "SystemTime",
        "std::net",
        "std::fs",
        "std::process",
        "std::thread",
        "nix::",
        "Box<",
    ];
    let mut all = Vec::new();
    files(&source(), &mut all);
    for file in all
        .iter()
        .filter(|file| layer_of(file).is_some_and(|layer| layer < PURE))
    {
        let name = file.to_string_lossy();
        let of_tests = [
            "tests",
            "properties",
            "fixture",
            "kernel",
            "shipped",
            "described",
        ];
        if of_tests.iter().any(|part| name.contains(part)) {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in words {
                assert!(!line.contains(word), "{name}: {line}");
            }
        }
    }
}

/// The table in `src/lib.rs` is the same list.
#[test]
fn the_map_shows_the_layers() {
    let map = fs::read_to_string(source().join("lib.rs")).unwrap();
    let rows = map.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let shown: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(shown, LAYERS);
}

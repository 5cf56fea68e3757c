//! README.md and `docs/`: every link is valid, and the described command line is that of the program. Their tables of
//! options are tested in `src/config/described.rs`.

#![allow(clippy::unwrap_used)] // helpers of tests are test code, too, which the lint cannot know

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect(name)
}

/// The pages of the reference, as `docs/NAME`.
fn reference() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("docs")).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let names = entries.map(|entry| format!("docs/{}", name(entry).to_string_lossy()));
    let names: BTreeSet<String> = names.filter(|name| name.ends_with(".md")).collect();
    assert!(names.len() > 5, "{names:?}");
    names
}

/// The lines of a page that are no code: text is indented by less than four spaces.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("    "))
}

/// The targets of a page's links `[…](target)`.
fn links(text: &str) -> Vec<String> {
    let prose: Vec<&str> = prose(text).collect();
    let prose = prose.join("\n");
    let after = prose.split("](").skip(1);
    after
        .map(|rest| rest.split_once(')').unwrap().0.to_owned())
        .collect()
}

/// The anchors of a page's headings, as made by GitHub: lower case, spaces become hyphens, other characters are dropped.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            _ => (c.is_alphanumeric() || c == '-' || c == '_').then_some(c),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with a link of a page; none if it is valid.
fn broken(of: &str, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(of).parent().unwrap();
    let path = match file {
        "" => PathBuf::from(of),
        _ => folder.join(file),
    };
    let target = root().join(path);
    if !target.exists() {
        return Some(format!("{of}: {link}: there is no such file"));
    }
    let is_there =
        anchor.is_empty() || anchors(&fs::read_to_string(target).unwrap()).contains(anchor);
    (!is_there).then(|| format!("{of}: {link}: there is no such heading"))
}

#[test]
fn every_link_is_valid() {
    let mut pages = reference();
    pages.extend(["README.md", "CHANGELOG.md"].map(str::to_owned));
    let mut faults = Vec::new();
    for name in &pages {
        let links = links(&page(name));
        faults.extend(links.iter().filter_map(|link| broken(name, link)));
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn the_readme_links_to_each_page_and_each_page_links_back() {
    let from_readme = links(&page("README.md"));
    for name in reference() {
        assert!(
            from_readme.contains(&name),
            "README.md has no link to {name}"
        );
        let back = links(&page(&name)).contains(&"../README.md".to_owned());
        assert!(back, "{name} has no link to README.md");
    }
}

fn told(words: &[&str]) -> String {
    let mut failover = Command::new(env!("CARGO_BIN_EXE_failover"));
    String::from_utf8(failover.args(words).output().unwrap().stdout).unwrap()
}

/// The long options of a command.
fn options_of(command: &str) -> BTreeSet<String> {
    let help = told(&[command, "--help"]);
    let words = help.split([' ', ',', '[', ']', '\n']);
    let mut options: BTreeSet<String> = words
        .filter(|word| word.starts_with("--"))
        .map(str::to_owned)
        .collect();
    assert!(options.remove("--help"), "{options:?}");
    options
}

#[test]
fn the_commands_and_exit_codes_are_those_of_the_program() {
    let help = told(&["--help"]);
    let commands = page("docs/commands.md");
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below: Vec<&str> = below.take_while(|line| line.starts_with("  ")).collect();
    let items = below.iter().filter(|line| !line.starts_with("   "));
    let words = items.flat_map(|line| line.trim().split("  ").next().unwrap().split(", "));
    let known: BTreeSet<&str> = words
        .map(|words| words.split(' ').next().unwrap())
        .collect();
    assert!(known.len() >= 9, "{known:?}");
    // It may stand before every command and after it.
    assert!(help.contains("  --config ") && commands.contains("--config"));
    let shown = commands
        .lines()
        .filter_map(|line| line.strip_prefix("    failover "));
    let shown = shown.map(|rest| rest.split([' ', '\n']).next().unwrap());
    let shown: BTreeSet<&str> = shown.flat_map(|words| words.split('|')).collect();
    let missing: Vec<_> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "docs/commands.md lacks {missing:?}");

    for command in &known {
        for option in options_of(command) {
            assert!(
                commands.contains(&option),
                "docs/commands.md: {command} {option}"
            );
        }
    }

    let (_, codes) = help.split_once("Exit codes: ").unwrap();
    let codes = codes.split(|c: char| !c.is_ascii_digit());
    let codes: BTreeSet<&str> = codes.filter(|code| !code.is_empty()).collect();
    let (_, rows) = commands.split_once("| exit code | |\n|---|---|\n").unwrap();
    let rows = rows.lines().take_while(|row| row.starts_with('|'));
    let told: BTreeSet<&str> = rows.map(|row| row.split(' ').nth(1).unwrap()).collect();
    assert_eq!(told, codes);
}

#[test]
fn every_code_of_a_warning_is_documented() {
    let told = page("docs/status-json.md");
    let (_, told) = told.split_once("| code of a warning |").unwrap();
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(root().join("src/daemon")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(source) = fs::read_to_string(&path) else {
            continue; // a directory
        };
        // The first argument of the only function that adds a warning.
        for rest in source.split(".add(").skip(1) {
            if let Some(rest) = rest.trim_start().strip_prefix('"') {
                codes.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    assert!(codes.len() > 12, "{codes:?}");
    codes.retain(|code| !told.contains(&format!("`{code}`")));
    assert!(codes.is_empty(), "docs/status-json.md lacks {codes:?}");
}

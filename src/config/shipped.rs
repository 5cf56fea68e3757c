//! The files that are installed beside the program say what is true: every option stands in the shipped configuration and
//! in the manual, each with the default that it has.

use super::options::{KINDS, TIMING};
use super::{Config, load};

const SHIPPED: &str = include_str!("../../board/linux/failover.conf");
const MANUAL: &str = include_str!("../../board/linux/failover.8");

/// An option in the shipped configuration.
#[derive(Debug)]
struct Shown {
    /// from 0
    line: usize,
    kind: &'static str,
    /// the section itself is behind a `#`
    section_is_off: bool,
    name: &'static str,
    value: &'static str,
    is_off: bool,
    /// what it shows is no default
    is_example: bool,
}

impl Shown {
    /// Behind a `#`, in a section that is in force.
    fn is_offered(&self) -> bool {
        self.is_off && !self.section_is_off
    }
}

/// Every option, in force or behind a `#`.
fn shown() -> Vec<Shown> {
    let mut all = Vec::new();
    let (mut kind, mut section_is_off, mut comment) = ("", false, String::new());
    for (line, text) in SHIPPED.lines().enumerate() {
        let (is_off, text) = match text.strip_prefix('#') {
            Some(rest) if rest.starts_with(['\t', 'c']) => (true, rest),
            _ => (false, text),
        };
        let mut words = text.trim().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("config"), Some(found), _) => (kind, section_is_off) = (found, is_off),
            (Some("option"), Some(name), Some(value)) => all.push(Shown {
                line,
                kind,
                section_is_off,
                name,
                value: value.trim_matches('\''),
                is_off,
                is_example: comment.contains("No default"),
            }),
            (Some("#"), ..) => comment.push_str(text),
            (Some(""), ..) => comment.clear(),
            other => panic!("line {}: {other:?}", line + 1),
        }
    }
    assert!(all.len() > 40, "{all:?}");
    all
}

/// The shipped configuration, switched on, without the `#` in these lines.
fn with(lines: impl Fn(usize) -> bool) -> String {
    let put = |(line, text): (usize, &str)| match lines(line) {
        true => text.strip_prefix('#').unwrap().to_owned() + "\n",
        false => text.to_owned() + "\n",
    };
    let text: String = SHIPPED.lines().enumerate().map(put).collect();
    let on = text.replacen("option enabled '0'", "option enabled '1'", 1);
    assert_ne!(on, text);
    on
}

/// What a text comes to, without any problem.
#[track_caller]
fn good(text: &str) -> Box<Config> {
    let mut config = Box::new(Config::new());
    let mut said = Vec::new();
    let result = load(text.as_bytes(), &|_| None, &mut config, &mut |problem| {
        said.push(problem.to_string());
    });
    assert_eq!(said, [""; 0]);
    assert!(result.is_ok());
    config
}

#[test]
fn it_is_off_and_good_once_it_is_switched_on() {
    let off = good(SHIPPED);
    assert!(!off.globals.enabled);
    let mut on = good(&with(|_| false));
    assert!(on.globals.enabled);
    on.globals.enabled = false;
    assert_eq!(on, off);
    assert_eq!((on.providers.len(), on.checks.len()), (2, 2));
}

#[test]
fn every_option_is_shown_once_in_its_kind_of_section() {
    let all = shown();
    for kind in &KINDS {
        for name in kind.names() {
            let is_it = |shown: &&Shown| (shown.kind, shown.name) == (kind.name, name);
            let count = all.iter().filter(is_it).count();
            // A section that another one is an example of repeats what it needs.
            let repeats = ["type", "target", "interval"].contains(&name) || name == "device";
            assert!(count == 1 || count > 1 && repeats, "{name}: {count}");
        }
    }
}

#[test]
fn what_is_shown_as_a_default_is_one() {
    let as_shipped = good(&with(|_| false));
    let mut offered = shown();
    offered.retain(Shown::is_offered);
    for shown in &offered {
        let mut text = with(|line| line == shown.line);
        if shown.name == "interface" {
            text = text.replacen("\n\toption device 'eth1'", "\n", 1);
        }
        let is_same = good(&text) == as_shipped;
        assert_eq!(is_same, !shown.is_example, "{shown:?}");
    }
    offered.retain(|shown| !shown.is_example);
    let all_of_them = |line| offered.iter().any(|shown| shown.line == line);
    assert_eq!(good(&with(all_of_them)), as_shipped);
}

#[test]
fn sections_that_are_examples_are_good() {
    let lines: Vec<&str> = SHIPPED.lines().collect();
    let in_section = |line: usize| {
        let head = (0..=line)
            .rev()
            .find(|&line| !lines[line].starts_with("#\t"));
        lines[line].starts_with("#config")
            || lines[line].starts_with("#\t")
                && head.is_some_and(|head| lines[head].starts_with("#config"))
    };
    assert_eq!(good(&with(in_section)).checks.len(), 5);
}

/// The part of the manual on one kind of section, or on timing.
fn part(title: &str) -> &'static str {
    let from = MANUAL.find(&format!(".Ss {title}")).unwrap();
    let part = &MANUAL[from + 4..];
    let end = part.find("\n.S").unwrap();
    &part[..end]
}

#[test]
fn the_manual_has_every_option_with_its_default() {
    let all = shown();
    for kind in &KINDS {
        let section = match kind.name {
            "globals" => part("config globals").to_owned(),
            name => part(&format!("config {name} 'name'")).to_owned(),
        };
        for &name in kind.options {
            // Told where the provider's are.
            if (kind.name, name) == ("globals", "profile") {
                continue;
            }
            let item = format!("\n.It Cm {name}");
            let told = section.split_once(&item).expect(name).1;
            let told = told.lines().next().unwrap();
            let is_it = |shown: &&Shown| (shown.kind, shown.name) == (kind.name, name);
            let shown = all.iter().find(is_it).unwrap();
            // What depends on something else has its default in words.
            let in_words = ["device6", "rank", "family"].contains(&name);
            if shown.is_offered() && !shown.is_example && !in_words {
                assert_eq!(told, format!(" Pq {}", shown.value), "{name}");
            }
        }
    }
    assert!(part("config globals").contains("\n.It Cm enabled Pq 1\n"));
}

#[test]
fn the_manual_has_every_profile() {
    let timing = part("Timing and verdict");
    for (column, profile) in ["normal", "fast", "metered"].into_iter().enumerate() {
        let globals = format!("config globals 'globals'\n\toption profile '{profile}'\n");
        let base = with(|_| false).replacen("config globals 'globals'\n", &globals, 1);
        let as_profile = good(&base);
        for name in TIMING {
            let row = timing.lines().find_map(|line| {
                let row = line.strip_prefix(&format!(".It Cm {name} Ta "))?;
                row.split(" Ta ").nth(column)
            });
            let value = match row.unwrap() {
                "window" => as_profile.providers[0].timing.window.to_string(),
                value => value.to_owned(),
            };
            let given = globals.clone() + &format!("\toption {name} '{value}'\n");
            let with_it = good(&base.replacen(&globals, &given, 1));
            assert_eq!(with_it, as_profile, "{name} of {profile}");
        }
    }
}

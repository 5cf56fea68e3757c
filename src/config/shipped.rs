//! The installed configuration is true: it shows every option, each with its default.

use super::{Config, load};
use crate::option::table::{CHECK_TYPES, KINDS};

const SHIPPED: &str = include_str!("../../board/linux/failover.conf");

/// An option in the shipped configuration.
#[derive(Debug)]
struct Shown {
    /// from 0
    line: usize,
    kind: &'static str,
    /// the line of its section
    section: usize,
    /// the section itself is commented out
    section_is_off: bool,
    /// the type of its check
    of_type: &'static str,
    name: &'static str,
    value: &'static str,
    is_off: bool,
    /// a comment above it explains it
    is_told: bool,
    /// the value shown is not the default
    is_example: bool,
}

impl Shown {
    /// Commented out, in an active section.
    fn is_offered(&self) -> bool {
        self.is_off && !self.section_is_off
    }

    /// The value shown is the default. In an example section, lines without a comment are needed by the example.
    fn is_default(&self) -> bool {
        self.is_off && !self.is_example && (self.is_told || !self.section_is_off)
    }
}

/// Every option, active or commented out.
fn shown() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let (mut kind, mut section, mut section_is_off) = ("", 0, false);
    let mut comment = String::new();
    for (line, text) in SHIPPED.lines().enumerate() {
        let (is_off, text) = match text.strip_prefix('#') {
            Some(rest) if rest.starts_with(['\t', 'c']) => (true, rest),
            _ => (false, text),
        };
        let mut words = text.trim().splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("config"), Some(found), _) => {
                (kind, section, section_is_off) = (found, line, is_off);
                comment.clear();
            }
            (Some("option"), Some(name), Some(value)) => {
                all.push(Shown {
                    line,
                    kind,
                    section,
                    section_is_off,
                    of_type: "",
                    name,
                    value: value.trim_matches('\''),
                    is_off,
                    is_told: !comment.is_empty(),
                    is_example: comment.contains("No default"),
                });
                comment.clear();
            }
            (Some("#"), ..) => comment.push_str(text),
            (Some(""), ..) => comment.clear(),
            other => panic!("line {}: {other:?}", line + 1),
        }
    }
    assert!(all.len() > 80, "{all:?}");
    let types = all.iter().filter(|shown| shown.name == "type");
    let types: Vec<_> = types.map(|shown| (shown.section, shown.value)).collect();
    for shown in &mut all {
        let own = types.iter().find(|(section, _)| *section == shown.section);
        shown.of_type = own.map_or("", |(_, value)| value);
    }
    all
}

/// The lines of the example sections.
fn examples() -> Vec<usize> {
    let mut all = shown();
    all.retain(|shown| shown.section_is_off);
    let lines = all.iter().flat_map(|shown| [shown.section, shown.line]);
    lines.collect()
}

/// The shipped configuration, enabled, without the `#` in these lines.
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

/// The configuration of a text, or its errors. Whether an option asks for the firewall's table is left out: a default that
/// is written does.
fn loaded(text: &str) -> Result<Box<Config>, Vec<String>> {
    let mut config = Box::new(Config::new());
    let mut said = Vec::new();
    let result = load(text.as_bytes(), &|_| None, &mut config, &mut |problem| {
        said.push(problem.to_string());
    });
    assert!(result.is_ok() || !said.is_empty());
    config.globals.firewall_asked = false;
    said.is_empty().then_some(config).ok_or(said)
}

/// The configuration of a text that has no problems.
#[track_caller]
fn good(text: &str) -> Box<Config> {
    loaded(text).unwrap()
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
            // An option of certain types of checks is shown in a section of each of these types, and in no other.
            let types = CHECK_TYPES.iter().filter(|_| kind.name == "check");
            let of_types = types.filter(|named| named.options.contains(&name));
            let mut places: Vec<&str> = of_types.map(|named| named.name).collect();
            let is_of_types = !places.is_empty();
            if !is_of_types {
                places.push("");
            }
            let is_it = |shown: &&Shown| (shown.kind, shown.name) == (kind.name, name);
            let known = |shown: &Shown| !is_of_types || places.contains(&shown.of_type);
            assert!(all.iter().filter(is_it).all(known), "{name}");
            for place in &places {
                let here = |shown: &&Shown| !is_of_types || shown.of_type == *place;
                let count = all.iter().filter(is_it).filter(here).count();
                // An example section may repeat options of another section.
                let repeats =
                    ["type", "target", "interval", "required"].contains(&name) || name == "device";
                assert!(
                    count == 1 || count > 1 && repeats,
                    "{place} {name}: {count}"
                );
            }
        }
    }
    for named in CHECK_TYPES.iter().filter(|named| named.name != "ndp") {
        assert!(all.iter().any(|shown| shown.of_type == named.name));
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
        let mut without = as_shipped.clone();
        if shown.name == "prefix" {
            let ipv6 = "\nconfig check 'v6'\n\toption type 'ping'\n\toption target '2001:db8::1'\n";
            text += ipv6;
            without = good(&(with(|_| false) + ipv6));
        }
        let is_same = good(&text) == without;
        assert_eq!(is_same, !shown.is_example, "{shown:?}");
    }
    offered.retain(|shown| !shown.is_example);
    let all_of_them = |line| offered.iter().any(|shown| shown.line == line);
    assert_eq!(good(&with(all_of_them)), as_shipped);

    let examples = examples();
    let whole = good(&with(|line| examples.contains(&line)));
    for shown in shown().iter().filter(|shown| shown.section_is_off) {
        let without = loaded(&with(|line| examples.contains(&line) && line != shown.line));
        let is_same = without.is_ok_and(|config| config == whole);
        assert_eq!(is_same, shown.is_default(), "{shown:?}");
    }
}

#[test]
fn sections_that_are_examples_are_good() {
    let examples = examples();
    let config = good(&with(|line| examples.contains(&line)));
    assert_eq!(config.checks.len(), 9);
    // All of them are commented out, and of one kind.
    let heads = SHIPPED.lines().filter(|line| line.starts_with("#config"));
    assert_eq!(heads.count(), 9 - 2);
    let options = SHIPPED.lines().filter(|line| line.starts_with("#\toption"));
    assert_eq!(
        options.count(),
        shown().iter().filter(|shown| shown.is_off).count()
    );
}

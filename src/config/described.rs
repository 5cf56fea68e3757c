//! The table of options is true: each form of a value is accepted within its bounds and refused outside them, and each
//! default holds without the option. The tables in `docs/` and the comments of both shipped configurations agree with the
//! table.

use super::{Config, load};
use crate::option::table::{CHECK_TYPES, DESCRIBED, Described, Form, Preset};
use crate::option::value;
use crate::types::Duration;

const DOCS: [&str; 2] = [
    include_str!("../../docs/options.md"),
    include_str!("../../docs/checks.md"),
];

const SHIPPED: [&str; 2] = [
    include_str!("../../board/linux/failover.conf"),
    include_str!("../../openwrt/failover/files/failover.config"),
];

/// The lines of a section, as name and value.
type Lines = Vec<(&'static str, String)>;

fn line(name: &'static str, value: &str) -> (&'static str, String) {
    (name, value.to_owned())
}

/// A section with its required options, of the kind or the type to which a group of options belongs; globals for timing.
fn section_of(group: &str) -> (&'static str, Lines) {
    let check = |of_type: &str, target: &str, more: &[(&'static str, &str)]| {
        let mut lines = vec![line("type", of_type), line("target", target)];
        lines.extend(more.iter().map(|(name, value)| line(name, value)));
        ("check", lines)
    };
    match group {
        "GLOBALS" | "PROFILE" | "TIMING" | "QUALITY" => ("globals", vec![]),
        "PROVIDER" => ("provider", vec![line("device", "eth1")]),
        "CHECK" | "HTTP" => check("http", "www.example.com", &[]),
        "PING" => check("ping", "192.0.2.1", &[]),
        "TCP" => check("tcp", "192.0.2.1", &[("port", "443")]),
        "DNS" => check("dns", "192.0.2.1", &[("query", "example.com")]),
        "EXEC" => check("exec", "true", &[]),
        other => panic!("a new group, {other}"),
    }
}

/// Other options that an option needs, so that each of its values is valid.
fn beside(name: &str) -> Lines {
    match name {
        "down" | "up" | "max_failed" | "max_loss" => vec![line("window", "64")],
        "interval" => vec![line("timeout", "300ms")],
        "catch_all" => vec![line("rule_pref", "1")],
        "recover_loss" => vec![line("max_loss", "99")],
        "recover_latency" => vec![line("max_latency", "1h")],
        "recover_jitter" => vec![line("max_jitter", "1h")],
        "expect_body" => vec![line("expect_status", "200")],
        _ => vec![],
    }
}

/// A configuration with these lines in a section of a group, or its errors.
///
/// Whether an option asks for the firewall's table is left out: a default that is written does.
fn loaded(group: &str, lines: &Lines) -> Result<Box<Config>, Vec<String>> {
    let (kind, _) = section_of(group);
    let mut text = format!("config {kind} 'it'\n");
    for (name, value) in lines {
        text += &format!("\toption {name} '{value}'\n");
    }
    for provider in ["one", "two"] {
        text += &format!("config provider '{provider}'\n\toption device '{provider}'\n");
    }
    for number in 0..if kind == "check" { 7 } else { 8 } {
        text += &format!(
            "config check 'extra{number}'\n\toption type 'ping'\n\toption target '192.0.2.{number}0'\n"
        );
    }
    let text = text.replace("'192.0.2.00'", "'192.0.2.100'");
    let mut config = Box::new(Config::new());
    let mut said = Vec::new();
    let tables = |name: &str| (name == "isp1").then_some(1000);
    load(text.as_bytes(), &tables, &mut config, &mut |problem| {
        said.push(problem.message.to_string());
    })
    .map_err(|_| said)?;
    config.globals.firewall_asked = false;
    Ok(config)
}

impl Described {
    fn lines(&self, value: Option<&str>) -> Lines {
        let (_, mut lines) = section_of(self.group);
        let replaces =
            |name: &str| name == self.name || (name, self.name) == ("device", "interface");
        lines.retain(|(name, _)| !replaces(name));
        if self.group != "CHECK" {
            lines.extend(beside(self.name));
        }
        lines.extend(value.map(|value| line(self.name, value)));
        lines
    }

    /// With a value, or without the option.
    fn with(&self, value: Option<&str>) -> Result<Box<Config>, Vec<String>> {
        loaded(self.group, &self.lines(value))
    }

    fn accepts(&self, value: &str) {
        let result = self.with(Some(value)).map(drop);
        assert_eq!(result, Ok(()), "{} '{value}'", self.name);
    }

    fn refuses(&self, value: &str) {
        let said = self.with(Some(value)).expect_err(self.name);
        let named = format!("{} '", self.name); // the value may be shown in another form
        assert!(said.iter().any(|said| said.starts_with(&named)), "{said:?}");
    }

    fn is_default(&self, value: &str) {
        let (with, without) = (self.with(Some(value)), self.with(None));
        assert_eq!(with.unwrap(), without.unwrap(), "{} '{value}'", self.name);
    }
}

/// A duration plus so many microseconds.
fn near(span: &str, micros: i64) -> Option<String> {
    let there = value::duration(span).unwrap().total_micros();
    let micros = there.checked_add_signed(micros)?;
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    assert!(Duration::from_micros(micros) < Duration::from_secs(1_000_000));
    Some(format!("{seconds}.{rest:06}s"))
}

/// Values that a form must accept, and values that it must refuse.
fn values(form: &Form) -> (Vec<String>, Vec<String>) {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match *form {
        Form::Boolean => (owned(&["1", "0", "yes"]), owned(&["2"])),
        Form::Word(word) => (owned(&[word]), vec![]),
        Form::Text(_, example) => (owned(&[example]), vec![]),
        Form::Positive => (owned(&["1"]), owned(&["0", "4294967296"])),
        Form::Number(least, most) | Form::Percent(least, most) => {
            let below = least.checked_sub(1).map(u64::from);
            let outside = below.into_iter().chain([u64::from(most) + 1]);
            let good = [least, most].map(|number| number.to_string());
            (
                good.to_vec(),
                outside.map(|number| number.to_string()).collect(),
            )
        }
        Form::Span(least, most) => {
            let outside = [near(least, -1), near(most, 1)];
            (
                owned(&[least, most]),
                outside.into_iter().flatten().collect(),
            )
        }
    }
}

#[test]
fn each_form_of_a_value_is_accepted_within_its_bounds() {
    for one in DESCRIBED.iter().filter(|one| one.name != "type") {
        let is_text = |form: &Form| matches!(form, Form::Text(..));
        if !one.forms.iter().any(is_text) {
            one.refuses("what?");
        }
        for form in one.forms {
            let (good, bad) = values(form);
            good.iter().for_each(|value| one.accepts(value));
            // What was good once is lowered.
            let lowered = |value: &&String| one.name == "rule_pref" && *value == "31366";
            let bad = bad.iter().filter(|value| !lowered(value));
            bad.for_each(|value| one.refuses(value));
        }
    }
}

#[test]
fn each_default_holds_without_the_option() {
    for one in DESCRIBED {
        match one.preset {
            Preset::Is(value) => one.is_default(value),
            Preset::PerProfile(normal, fast, metered) => {
                for (profile, value) in [("normal", normal), ("fast", fast), ("metered", metered)] {
                    let with = |lines: Lines| loaded("GLOBALS", &lines).unwrap();
                    let profile = vec![line("profile", profile)];
                    let given = [profile.clone(), vec![line(one.name, value)]].concat();
                    assert_eq!(with(given), with(profile), "{} '{value}'", one.name);
                }
            }
            Preset::AsTold(_) => {}
            Preset::Nothing => assert!(one.name == "interface" || one.with(None).is_ok()),
            Preset::Required => assert!(one.with(None).is_err(), "{}", one.name),
        }
    }
    // Defaults that depend on something else, by their value here.
    let one = |group: &str, name: &str| {
        let is_it = |one: &&Described| (one.group, one.name) == (group, name);
        DESCRIBED.iter().find(is_it).unwrap()
    };
    one("PROVIDER", "device6").is_default("eth1");
    one("PROVIDER", "rank").is_default("1");
    one("TIMING", "max_failed").is_default("64");
    one("QUALITY", "recover_loss").is_default("75");
    one("QUALITY", "recover_latency").is_default("45m");
    one("QUALITY", "recover_jitter").is_default("45m");
    for name in ["recover_loss", "recover_latency", "recover_jitter"] {
        one("QUALITY", name).is_default("none");
    }
    one("CHECK", "family").is_default("ipv4");
    one("HTTP", "host").is_default("www.example.com");
    one("EXEC", "command").is_default("true");
}

#[test]
fn the_table_has_the_types_of_checks() {
    let of_type = DESCRIBED.iter().find(|one| one.name == "type").unwrap();
    let told = of_type.forms.iter().map(|form| match form {
        Form::Word(word) => *word,
        other => panic!("{other:?}"),
    });
    assert!(told.eq(CHECK_TYPES.iter().map(|named| named.name)));
}

/// The beginning of an option's row in `docs/`.
fn row(one: &Described) -> String {
    let Described {
        group,
        name,
        forms,
        preset,
        meaning,
    } = one;
    let forms: Vec<String> = forms.iter().map(Form::to_string).collect();
    let forms = forms.join(", ");
    let preset = match (*group, preset) {
        ("TIMING", Preset::AsTold(told)) => format!("{told} | {told} | {told}"),
        (_, preset) => preset.to_string(),
    };
    let of_type = CHECK_TYPES
        .iter()
        .find(|named| named.name.to_uppercase() == *group);
    let of_type = of_type.map_or(String::new(), |named| format!("| `{}` ", named.name));
    format!("{of_type}| `{name}` | {forms} | {preset} | {meaning}")
}

/// The rows of all tables with a column of options.
fn rows_of_options(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut above, mut is_of_options) = ("", false);
    for line in text.lines() {
        if line.starts_with("|---") {
            is_of_options = above.contains("| option | value |");
        } else if !line.starts_with('|') {
            is_of_options = false;
        } else if is_of_options {
            found.push(line);
        }
        above = line;
    }
    found
}

#[test]
fn the_documentation_has_a_row_for_each_option() {
    let mut rows: Vec<&str> = DOCS.iter().flat_map(|text| rows_of_options(text)).collect();
    for one in DESCRIBED {
        let begin = row(one);
        let is_it = |row: &&str| {
            let rest = row.strip_prefix(&begin);
            rest.is_some_and(|rest| rest == " |" || rest.starts_with(['.', ';', ':', ',']))
        };
        let place = rows.iter().position(is_it);
        let place = place.unwrap_or_else(|| panic!("docs: expected a row\n{begin} |\n"));
        rows.remove(place);
    }
    assert_eq!(rows.len(), 0, "docs: rows of no option: {rows:#?}");
}

/// An option of a shipped configuration, active or commented out, and the comment above it.
struct Commented {
    kind: String,
    of_type: String,
    name: String,
    comment: String,
}

fn commented(text: &str) -> Vec<Commented> {
    let mut all = Vec::new();
    let (mut kind, mut of_type, mut comment) = (String::new(), String::new(), String::new());
    for line in text.lines() {
        let mut words = line.strip_prefix('#').unwrap_or(line).split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("config"), Some(found), _) => {
                (kind, of_type) = (found.to_owned(), String::new());
                comment.clear();
            }
            (Some("option" | "list"), Some(name), Some(value)) => {
                if name == "type" {
                    of_type = value.trim_matches('\'').to_owned();
                }
                all.push(Commented {
                    kind: kind.clone(),
                    of_type: of_type.clone(),
                    name: name.to_owned(),
                    comment: core::mem::take(&mut comment),
                });
            }
            (Some("#"), ..) => comment += line.trim_start_matches(['\t', '#']),
            (Some(_), ..) => {}
            (None, ..) => comment.clear(),
        }
    }
    assert!(all.len() > 80);
    all
}

impl Commented {
    fn is(&self, one: &Described) -> bool {
        let of_type = self.of_type.to_uppercase();
        let groups: &[&str] = match &*self.kind {
            "globals" => &["GLOBALS", "PROFILE", "TIMING", "QUALITY"],
            "provider" => &["PROVIDER", "PROFILE", "TIMING", "QUALITY"],
            _ => &["CHECK", &of_type],
        };
        self.name == one.name && groups.contains(&one.group)
    }
}

#[test]
fn the_comments_of_the_shipped_configurations_tell_the_meanings() {
    for text in SHIPPED {
        let all = commented(text);
        for one in DESCRIBED {
            let meaning = one.meaning.replace('`', "").to_lowercase();
            let tells = |comment: &str| comment.to_lowercase().contains(&meaning);
            let own = all.iter().filter(|shown| shown.is(one));
            let mut comments = own
                .map(|shown| &*shown.comment)
                .filter(|text| !text.is_empty());
            let first = comments.next();
            // If an example needs the option, the comment of its section explains it.
            let is_needed =
                matches!(one.preset, Preset::Required) || ["path", "command"].contains(&one.name);
            assert!(first.is_some() || is_needed, "{} has no comment", one.name);
            for comment in first.into_iter().chain(comments) {
                assert!(
                    tells(comment),
                    "{}: {comment}: expected {meaning}",
                    one.name
                );
            }
        }
    }
}

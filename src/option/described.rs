//! The table of options as LuCI's page of the configuration has it: a file of the package, which this test compares, and writes
//! when `WRITE_OPTIONS` is set.

use super::table::{DESCRIBED, Described, Form, Preset};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/openwrt/luci-app-failover/htdocs/luci-static/resources/failover/options.js"
);

const HEAD: &str = "'use strict';
'require baseclass';

/* Made from src/option/table.rs by `WRITE_OPTIONS=1 cargo test --lib option::described`: the options, by group. `type` is bool,
   number, percent, duration, choice, list or text; `values` are the words that it may be, `range` what else; `preset` is what holds without it,
   a list of three by profile: normal, fast, metered. */
return baseclass.extend({
";

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A text that is translated. What is typed stands between quotation marks.
fn translated(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let told: String = parts
        .map(|(place, part)| match place % 2 {
            0 => part.to_owned(),
            _ => format!("“{part}”"),
        })
        .collect();
    format!("_({})", quoted(&told))
}

/// A meaning as a sentence.
fn help(meaning: &str) -> String {
    let (first, rest) = meaning.split_at(1);
    translated(&format!("{}{rest}.", first.to_ascii_uppercase()))
}

/// The type of the values that are no words, and their range.
fn kind(forms: &[Form]) -> String {
    let of = |name: &str| format!("type: '{name}'");
    let range = |name: &str, least: &str, most: &str| {
        format!("{}, range: [ '{least}', '{most}' ]", of(name))
    };
    let other = forms.iter().find(|form| !matches!(form, Form::Word(_)));
    match other {
        None | Some(Form::Word(_)) => of("choice"),
        Some(Form::Boolean) => of("bool"),
        Some(Form::Positive) if forms.len() > 1 => of("text"), // or a name
        Some(Form::Positive) => range("number", "1", &u32::MAX.to_string()),
        Some(Form::Number(least, most)) => range("number", &least.to_string(), &most.to_string()),
        Some(Form::Percent(least, most)) => {
            range("percent", &format!("{least}%"), &format!("{most}%"))
        }
        Some(Form::Span(least, most)) => range("duration", least, most),
        Some(Form::Text(what, _)) if what.starts_with("a list of") => of("list"),
        Some(Form::Text(..)) => of("text"),
    }
}

/// An option, as an object.
fn object(one: &Described) -> String {
    let mut fields = vec![format!("name: '{}'", one.name), kind(one.forms)];
    let words: Vec<_> = one
        .forms
        .iter()
        .filter_map(|form| match form {
            Form::Word(word) => Some(quoted(word)),
            _ => None,
        })
        .collect();
    if !words.is_empty() {
        fields.push(format!("values: [ {} ]", words.join(", ")));
    }
    match one.preset {
        Preset::Is(value) => fields.push(format!("preset: {}", quoted(value))),
        Preset::PerProfile(normal, fast, metered) => {
            fields.push(format!("preset: [ '{normal}', '{fast}', '{metered}' ]"));
        }
        Preset::AsTold(told) => fields.push(format!("preset: {}", translated(told))),
        Preset::Nothing | Preset::Required => {}
    }
    fields.push(format!("help: {}", help(one.meaning)));
    format!("\t\t{{ {} }}", fields.join(", "))
}

fn file() -> String {
    let mut groups: Vec<(&str, Vec<String>)> = vec![];
    for one in DESCRIBED {
        match groups.last_mut() {
            Some((name, options)) if *name == one.group => options.push(object(one)),
            _ => groups.push((one.group, vec![object(one)])),
        }
    }
    let groups: Vec<_> = groups
        .iter()
        .map(|(name, options)| format!("\t{name}: [\n{}\n\t]", options.join(",\n")))
        .collect();
    format!("{HEAD}{}\n}});\n", groups.join(",\n"))
}

#[test]
fn the_page_has_the_options() {
    if std::env::var_os("WRITE_OPTIONS").is_some() {
        std::fs::write(FILE, file()).unwrap();
    }
    let there = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        there == file(),
        "{FILE} is not current: WRITE_OPTIONS=1 cargo test --lib option::described"
    );
}

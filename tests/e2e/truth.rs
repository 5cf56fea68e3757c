//! Every reason of a path and every code of a warning that `docs/status-json.md` lists: `explain` says what is wrong, since
//! when, and what would change it. Each is compared with what the test did to the kernel, and what would change it is done:
//! where that is a command, it is run as it is shown.
//!
//! To add one: a [`Row`] in a module of the situations, for example [`neighbours::ROWS`]. One that is documented, but has no
//! row, fails [`each_that_is_documented_has_a_row`].
//!
//! | module | situations |
//! |---|---|
//! | [`paths`] | what an uplink lacks, pins, checks |
//! | [`neighbours`] | routes and rules of other programs |
//! | [`filters`] | reverse-path filters |
//! | [`connections`] | the firewall table |
//! | [`files`] | the configuration, the sticky file |
//! | [`interfaces`] | netifd |
//! | [`link`] | addresses of the router that are asked, two devices on one link |
//! | [`room`] | too much of something |
//! | [`rights`] | a kernel that refuses everything |

mod connections;
mod files;
mod filters;
mod interfaces;
mod link;
mod neighbours;
mod paths;
mod rights;
mod room;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::SOON;
use super::explain::explanation;
use super::inspect::path;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};

/// A lab with a daemon.
pub(super) struct Stage<'lab> {
    pub(super) lab: &'lab Lab,
    pub(super) daemon: Daemon<'lab>,
    pub(super) settings: Settings,
}

/// A reason, or a code of a warning.
pub(super) struct Row {
    /// as it is documented
    pub(super) name: &'static str,
    /// the path, or the provider of the warning, if it has one
    pub(super) of: Of,
    /// what is wrong, in one of these ways, with ` | ` between; `{0}` is the first text that `make` returns, `{T}` a time
    pub(super) what: &'static str,
    /// what would change it
    pub(super) change: &'static str,
    /// makes the situation in the kernel; returns what it knows of it
    pub(super) make: fn(&mut Stage<'_>) -> Vec<String>,
    pub(super) cure: Cure,
}

pub(super) enum Of {
    Path(&'static str, Family),
    Provider(&'static str),
    Daemon,
}

/// How to end the situation.
pub(super) enum Cure {
    /// by the whole cure, which is a command
    Command,
    /// by the first command between backticks in what would change it; then this restores the rest
    Quoted(fn(&mut Stage<'_>)),
    /// by what it says in words
    Done(fn(&mut Stage<'_>)),
}

/// What was found in the output.
struct Told {
    /// all of `explain`, in one line
    explained: String,
    /// what would change it, as it is shown
    change: String,
    /// since when it is so, in seconds of the day
    since: u64,
}

impl<'lab> Stage<'lab> {
    pub(super) fn new(lab: &'lab Lab, settings: Settings) -> Stage<'lab> {
        // Few rounds are enough here.
        let settings = settings.global("up", "2");
        let daemon = Daemon::start(&lab.router, &settings);
        Stage {
            lab,
            daemon,
            settings,
        }
    }

    /// Plays one row after the other.
    pub(super) fn play(&mut self, rows: &[Row]) {
        for (number, row) in rows.iter().enumerate() {
            for id in ["isp1", "isp2"] {
                for family in Family::ALL {
                    self.daemon.wait_for(id, family.name(), "online");
                }
            }
            self.play_one(row, number == 0);
        }
    }

    /// Makes the situation, compares what is said, perhaps again two seconds later, and ends it.
    pub(super) fn play_one(&mut self, row: &Row, twice: bool) {
        let (began, name) = (now_s(), row.name);
        let known = (row.make)(self);
        let fill = |text: &str| {
            let numbered = known.iter().enumerate();
            numbered.fold(text.to_owned(), |text, (number, known)| {
                text.replace(&format!("{{{number}}}"), known)
            })
        };
        let (what, change) = (fill(row.what), fill(row.change));
        let mut found = Err(String::new());
        let told = wait_until(SOON, || {
            found = self.told(row, &what, &change, began);
            found.is_ok()
        });
        assert!(
            told,
            "{name}: {}\n{}",
            found.err().unwrap_or_default(),
            self.daemon.log()
        );
        let mut told = found.unwrap();
        if twice {
            let at = now_s() + 2;
            wait_until(SOON, || now_s() >= at);
            let before = told.since;
            told = self.told(row, &what, &change, began).unwrap();
            assert_eq!(told.since, before, "{name}: {}", told.explained);
        }
        assert!(told.explained.contains(&told.change), "{name}");
        match row.cure {
            Cure::Command => drop(self.lab.router.run(&["sh", "-c", &told.change])),
            Cure::Quoted(_) => self.run_quoted(&told.change),
            Cure::Done(cure) => cure(self),
        }
        let gone = || self.told(row, &what, &change, began).is_err();
        assert!(
            wait_until(SOON, gone),
            "{name} stays: {:#}\n{}",
            self.daemon.status(),
            self.daemon.log()
        );
        if let Cure::Quoted(restore) = row.cure {
            restore(self);
        }
    }

    fn run_quoted(&self, change: &str) {
        let mut quoted = change.split('`').skip(1).step_by(2);
        let is_command = |words: &&str| words.starts_with("ip ") || words.starts_with("failover ");
        let command = quoted.find(is_command).expect("there is a command");
        match command.strip_prefix("failover ") {
            Some(words) => {
                let words: Vec<&str> = words.split(' ').collect();
                self.daemon.must(&words);
            }
            None => drop(self.lab.router.run(&["sh", "-c", command])),
        }
    }

    /// A command that must succeed.
    pub(super) fn must(&self, words: &[&str]) {
        self.daemon.must(words);
    }

    /// Replaces the configuration.
    pub(super) fn reload(&self, settings: &Settings) {
        self.daemon.configure(settings);
        self.daemon.must(&["reload"]);
    }

    /// The same with the settings of the start.
    pub(super) fn restore(&self) {
        self.reload(&self.settings);
    }

    fn told(&self, row: &Row, what: &str, change: &str, began: u64) -> Result<Told, String> {
        let status = self.daemon.status();
        match row.of {
            Of::Path(id, family) => self.told_of_path(id, family, row, [what, change], began),
            Of::Provider(id) => self.warned(&status, Some(id), row.name, [what, change], began),
            Of::Daemon => self.warned(&status, None, row.name, [what, change], began),
        }
    }

    /// A reason, in the status and in `explain`.
    fn told_of_path(
        &self,
        id: &str,
        family: Family,
        row: &Row,
        [what, change]: [&str; 2],
        began: u64,
    ) -> Result<Told, String> {
        let status = self.daemon.status();
        let path = path(&status, id, family.name());
        let reason = path["reason"].as_str().unwrap_or_default();
        if !is_documented_as(row.name, reason) {
            return Err(format!("the reason is {reason}"));
        }
        let page = self.words(&["status"]);
        if !page.contains(reason) {
            return Err(format!("{reason} is not in {page}"));
        }
        let explained = explanation(&self.daemon, id, family);
        let since = what.split(" | ").find_map(|what| time_in(&explained, what));
        let since = since.ok_or_else(|| format!("{what} is not in {explained}"))?;
        is_between(began, since)?;
        if !explained.contains(change) {
            return Err(format!("{change} is not in {explained}"));
        }
        Ok(Told {
            since,
            explained,
            change: change.to_owned(),
        })
    }

    /// A warning, in the JSON, the status and `explain`.
    fn warned(
        &self,
        status: &Value,
        provider: Option<&str>,
        code: &str,
        [what, change]: [&str; 2],
        began: u64,
    ) -> Result<Told, String> {
        let all = status["warnings"].as_array().expect("it is a list");
        let text = |warning: &Value| warning["text"].as_str().unwrap().to_owned();
        let is_it = |warning: &&Value| {
            warning["code"] == code
                && warning["provider"].as_str() == provider
                && text(warning).contains(what)
        };
        let warning = all
            .iter()
            .find(is_it)
            .ok_or_else(|| format!("{what} is not in {all:#?}"))?;
        let cure = warning["cure"].as_str().unwrap_or_default().to_owned();
        if cure.is_empty() || !cure.contains(change) {
            return Err(format!("{change} is not in {warning}"));
        }
        let for_s = warning["since_s"].as_u64().expect("it is a number");
        let now = now_s();
        if for_s > now - began + 1 {
            return Err(format!("{warning}: it began {} s ago", now - began));
        }
        let whole = text(warning);
        let behind = [format!("; {cure}"), format!("; cure: {cure}")];
        let mut problem = behind.iter().filter_map(|end| whole.strip_suffix(end));
        let problem = problem.next_back().expect("the text ends with the cure");
        let of = provider.map_or_else(String::new, |id| format!("{id}, "));
        let page = self.words(&["status"]);
        let (before, after) = (format!("! {code}, {of}for "), format!("s: {problem}"));
        let shown = page
            .split(&before)
            .skip(1)
            .any(|rest| rest.contains(&after));
        if !shown || !page.contains(&cure) {
            return Err(format!("{warning} is not in {page}"));
        }
        let explained = self.words(&provider.map_or(vec!["explain"], |id| vec!["explain", id]));
        let line = format!("Warning {code}, {of}since {{T}}: {problem}");
        let since =
            time_in(&explained, &line).ok_or_else(|| format!("{line} is not in {explained}"))?;
        is_between(began, since)?;
        Ok(Told {
            since,
            explained,
            change: cure,
        })
    }

    /// The output of a command without its line breaks, and without the `--config` that hints repeat.
    fn words(&self, command: &[&str]) -> String {
        let said = self.daemon.must(command);
        let words: Vec<&str> = said.split_whitespace().collect();
        let file = self.daemon.file("failover.conf");
        let repeated = format!("`failover --config {} ", file.display());
        words.join(" ").replace(&repeated, "`failover ")
    }
}

const DAY_S: u64 = 24 * 60 * 60;

/// Seconds of the wall clock.
fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or(Duration::ZERO).as_secs()
}

/// The time of the day, in seconds, where `{T}` is in a sentence.
fn time_in(text: &str, sentence: &str) -> Option<u64> {
    let (before, after) = sentence.split_once("{T}").expect("the sentence has a time");
    text.match_indices(before).find_map(|(at, _)| {
        let rest = &text[at + before.len()..];
        let (time, rest) = rest.split_at_checked("00:00:00".len())?;
        let parts: Option<Vec<u64>> = time.split(':').map(|part| part.parse().ok()).collect();
        match (parts?.as_slice(), rest.starts_with(after)) {
            ([hours, minutes, seconds], true) => Some((hours * 60 + minutes) * 60 + seconds),
            _ => None,
        }
    })
}

/// Whether a time of the day is one between `began` and now.
fn is_between(began: u64, time: u64) -> Result<(), String> {
    let after = (time + DAY_S + 1 - began % DAY_S) % DAY_S;
    let most = now_s() - began + 1;
    match after <= most {
        true => Ok(()),
        false => Err(format!(
            "{time} s of the day is {after} s after it began, now is {most}"
        )),
    }
}

/// Whether a reason is the documented one: words in capitals stand for any.
fn is_documented_as(documented: &str, reason: &str) -> bool {
    let [mut told, mut shown] = [documented, reason].map(|text| text.split(' '));
    loop {
        match (told.next(), shown.next()) {
            (None, None) => return true,
            (Some(told), Some(shown)) if told == shown || is_placeholder(told) => {}
            _ => return false,
        }
    }
}

fn is_placeholder(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_uppercase())
}

/// All rows.
fn rows() -> impl Iterator<Item = &'static Row> {
    [
        paths::ROWS,
        neighbours::ROWS,
        neighbours::IN_MAIN,
        filters::ROWS,
        connections::ROWS,
        files::ROWS,
        interfaces::ROWS,
        link::ROWS,
        link::FLUX,
        room::OVERFLOWS,
        room::CHECKS,
        rights::ROWS,
    ]
    .into_iter()
    .flatten()
}

fn source(file: &str) -> String {
    let file = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&file).expect(&file)
}

/// The words in the first column of a table of the documentation.
fn documented(heading: &str) -> BTreeSet<String> {
    let page = source("docs/status-json.md");
    let (_, table) = page.split_once(heading).expect("the table is there");
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let first = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    first.map(str::to_owned).collect()
}

#[test]
fn each_that_is_documented_has_a_row() {
    for (heading, is_reason) in [
        ("| reason of a path |", true),
        ("| code of a warning |", false),
    ] {
        let documented = documented(heading);
        assert!(documented.len() > 8, "{documented:?}");
        let of_kind = rows().filter(|row| matches!(row.of, Of::Path(..)) == is_reason);
        let mut shown: BTreeSet<String> = of_kind.map(|row| row.name.to_owned()).collect();
        if !is_reason {
            shown.extend(connections::ELSEWHERE.map(str::to_owned));
        }
        assert_eq!(shown, documented);
    }
}

/// Those of the source: `every_code_of_a_warning_is_documented` in `tests/docs.rs` does the same for the warnings.
#[test]
fn every_reason_is_documented() {
    let documented = documented("| reason of a path |");
    for (file, kind) in [
        ("src/types.rs", "Waiting"),
        ("src/wire/snapshot.rs", "Reason"),
    ] {
        let source = source(file);
        let (_, display) = source
            .split_once(&format!("impl fmt::Display for {kind} {{"))
            .unwrap();
        let (display, _) = display.split_once("\n}\n").unwrap();
        let texts: Vec<&str> = display.split('"').skip(1).step_by(2).collect();
        assert!(texts.len() > 4, "{texts:?}");
        for text in texts {
            // Without what is filled in.
            let parts = text.split(['{', '}']).step_by(2).map(str::trim);
            let longest = parts.max_by_key(|part| part.len()).unwrap();
            let is_there = documented.iter().any(|reason| reason.contains(longest));
            assert!(
                is_there || text.starts_with("another"),
                "'{text}' is not in {documented:?}"
            );
        }
    }
}

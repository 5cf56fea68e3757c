//! `status` as text: which provider leads, one row per path, and the warnings. At most 80 columns wide.

mod rows;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display};

use self::rows::{COLUMNS, LEADS, Layout, NUMBERS, PROVIDER, Row};
use crate::client::text::{age, pad, plain, wrap};
use crate::linux::connection::{Answer, Provider};
use crate::types::{Family, Lead, Metric, State};
use crate::wire::control::Warning;
use crate::wire::snapshot::{Header, Path, ProviderState};

/// The whole text, at a wall-clock time. `None`: the daemon's answer has no header.
pub(super) fn render(answer: &Answer, colours: bool, now_ms: u64) -> Option<String> {
    let header = answer.header.as_ref()?;
    let mut page = Page {
        out: String::new(),
        colours,
        now_ms,
    };
    page.head(header, answer);
    page.out.push('\n');
    page.table(header, &answer.providers);
    for warning in &answer.warnings {
        page.warning(warning);
    }
    Some(page.out)
}

/// Colours (ECMA-48, "select graphic rendition").
#[derive(Clone, Copy, Default, PartialEq)]
enum Tone {
    #[default]
    Normal,
    Bold,
    Quiet,
    Good,
    Unsure,
    Bad,
}

impl Tone {
    fn of_state(state: &str) -> Tone {
        match state {
            "online" | "pinned" => Tone::Good,
            "offline" => Tone::Bad,
            "probing" | "waiting" => Tone::Unsure,
            _ => Tone::Quiet,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Tone::Normal => "",
            Tone::Bold => "\x1b[1m",
            Tone::Quiet => "\x1b[2m",
            Tone::Good => "\x1b[32m",
            Tone::Unsure => "\x1b[33m",
            Tone::Bad => "\x1b[31m",
        }
    }
}

struct Page {
    out: String,
    colours: bool,
    now_ms: u64,
}

impl Page {
    fn head(&mut self, header: &Header, answer: &Answer) {
        let (version, uptime) = (&header.version, age(header.uptime_s));
        let text = format_args!("failover {version}, up {uptime}");
        self.paragraph(Tone::Bold, "", text);
        self.leaders(header, answer);
        if let Some(id) = &header.pinned {
            let text = format_args!(
                "{id} is pinned by hand: `failover use auto` lets the daemon choose again"
            );
            self.paragraph(Tone::Unsure, "", text);
        }
    }

    fn leaders(&mut self, header: &Header, answer: &Answer) {
        for &family in &Family::ALL {
            if let Some(by) = header.overridden_by.of(family) {
                let (not, id) = match header.active.leader(family) {
                    Some(id) => (", not by ", id.as_str()),
                    None => ("", ""),
                };
                let text =
                    format_args!("{family} is overridden by {by}, and leaves by that{not}{id}");
                self.paragraph(Tone::Unsure, "", text);
            }
        }
        let v4 = leads(header, answer, Family::V4);
        let v6 = leads(header, answer, Family::V6);
        if let Some((id, tone, note)) = v4
            && v4 == v6
        {
            return self.paragraph(tone, "", format_args!("ipv4 and ipv6 leave by {id}{note}"));
        }
        self.way(header, answer, Family::V4, v4);
        self.way(header, answer, Family::V6, v6);
    }

    /// By what a family leaves.
    fn way(&mut self, header: &Header, answer: &Answer, family: Family, leads: Option<Leads<'_>>) {
        if header.overridden_by.of(family).is_some() {
            return; // which is said
        }
        let is_its = |path: &Path| path.family == family;
        let is_managed = |provider: &Provider| provider.paths.iter().any(is_its);
        if let Some((id, tone, note)) = leads {
            self.paragraph(tone, "", format_args!("{family} leaves by {id}{note}"));
        } else if let Some(metric) = refused(header, family) {
            let text =
                format_args!("{family} is refused by the default route of metric {metric} in main");
            self.paragraph(Tone::Bad, "", text);
        } else if let Some(by) = header.fallback.of(family) {
            let text =
                format_args!("{family} leaves by {by}: no provider can have a default route");
            self.paragraph(Tone::Unsure, "", text);
        } else if answer.providers.iter().any(is_managed) {
            let (tone, text) = match header.active.of(family) {
                Lead::Unknown => (Tone::Unsure, "is not known yet to have a way out"),
                _ => (Tone::Bad, "has no way out"),
            };
            self.paragraph(tone, "", format_args!("{family} {text}"));
        }
    }

    fn table(&mut self, header: &Header, providers: &[Provider]) {
        let mut rows = Vec::new();
        rows::add_titles(&mut rows);
        for provider in providers {
            rows::add(&mut rows, header, provider, self.now_ms);
        }
        let layout = Layout::of(&rows);
        let mut below = String::new();
        pad(
            &mut below,
            LEADS.len() + layout.widths[PROVIDER] + layout.gap,
        );
        for row in &mut rows {
            self.row(row, &layout);
            for (tone, remark) in &row.remarks {
                self.paragraph(*tone, &below, format_args!("{remark}"));
            }
        }
    }

    /// An id that is wider than its column has a line of its own.
    fn row(&mut self, row: &mut Row, layout: &Layout) {
        let id = &mut row.cells[PROVIDER];
        if id.chars().count() > layout.widths[PROVIDER] {
            self.paragraph(row.tones[PROVIDER], "  ", format_args!("{id}"));
            id.clear();
        }
        let mark = if row.leads { LEADS } else { "" };
        self.toned(Tone::Good, mark);
        pad(&mut self.out, LEADS.len() - mark.len());
        for (column, cell) in row.cells.iter().enumerate() {
            let blanks = layout.widths[column].saturating_sub(cell.chars().count());
            if NUMBERS.contains(&column) {
                pad(&mut self.out, blanks);
            }
            self.toned(row.tones[column], cell);
            if column + 1 < COLUMNS {
                if !NUMBERS.contains(&column) {
                    pad(&mut self.out, blanks);
                }
                pad(&mut self.out, layout.gap);
            }
        }
        self.out.truncate(self.out.trim_end().len());
        self.out.push('\n');
    }

    fn warning(&mut self, warning: &Warning) {
        let Warning {
            code,
            provider,
            text,
            cure,
            ..
        } = warning;
        // A command is not wrapped, so that it can be copied.
        let command = cure.as_ref().filter(|cure| cure.is_command);
        let told: &dyn Display = match command {
            Some(_) => text,
            None => warning,
        };
        let (comma, id) = match provider {
            Some(id) => (", ", id.as_str()),
            None => ("", ""),
        };
        let age = age(warning.since_ms / 1000);
        self.out.push('\n');
        let told = format_args!("{code}{comma}{id}, for {age}: {told}");
        self.paragraph(Tone::Unsure, "! ", told);
        if let Some(cure) = command {
            self.paragraph(Tone::Unsure, "  ", format_args!("{cure}"));
        }
    }

    fn paragraph(&mut self, tone: Tone, first: &str, text: fmt::Arguments<'_>) {
        let mut wrapped = String::new();
        wrap(&mut wrapped, first, &plain(&text));
        for line in wrapped.lines() {
            self.toned(tone, line);
            self.out.push('\n');
        }
    }

    fn toned(&mut self, tone: Tone, text: &str) {
        if self.colours && tone != Tone::Normal && !text.is_empty() {
            self.out.push_str(tone.code());
            self.out.push_str(text);
            self.out.push_str("\x1b[0m");
        } else {
            self.out.push_str(text);
        }
    }
}

/// The metric of the default route that refuses a family's traffic.
fn refused(header: &Header, family: Family) -> Option<Metric> {
    let route = header.error_routes[family as usize].filter(|route| route.obeyed)?;
    Some(route.metric)
}

/// The provider that traffic leaves by, and the note on it with its tone.
type Leads<'a> = (&'a str, Tone, &'static str);

/// None if there is none, or the traffic is refused, or overridden.
fn leads<'a>(header: &'a Header, answer: &Answer, family: Family) -> Option<Leads<'a>> {
    let id = header.active.leader(family)?;
    if refused(header, family).is_some() || header.overridden_by.of(family).is_some() {
        return None;
    }
    let (tone, note) = note(answer, id, family);
    Some((id, tone, note))
}

/// The note on a leading path that does not work, or that traffic does not leave by.
fn note(answer: &Answer, id: &str, family: Family) -> (Tone, &'static str) {
    let diverts =
        |warning: &Warning| warning.diversion.as_ref().map(|by| by.family) == Some(family);
    let is_diverted = answer.warnings.iter().any(diverts);
    let provider = answer
        .providers
        .iter()
        .find(|provider| provider.head.id == id);
    let paths = provider.map_or(&[][..], |provider| &provider.paths);
    let path = paths.iter().find(|path| path.family == family);
    match path.map(|path| path.state) {
        Some(State::Offline) => (Tone::Bad, ", though that is offline"),
        Some(State::Waiting) => (Tone::Bad, ", though that is not connected"),
        _ if path.is_some_and(|path| !path.installed) => {
            (Tone::Bad, ", though the kernel does not have its route")
        }
        _ if is_diverted => (Tone::Unsure, " at most in part: see `diverted` below"),
        _ if path.is_some_and(|path| path.overridden_by.is_some()) => {
            (Tone::Bad, ", though a foreign default route prevails")
        }
        _ if provider.is_some_and(|Provider { head, .. }| {
            head.disabled && head.state != ProviderState::Pinned
        }) =>
        {
            (
                Tone::Unsure,
                ", though that is disabled: no enabled provider works",
            )
        }
        _ => (Tone::Normal, ""),
    }
}

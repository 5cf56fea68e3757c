//! `status` as text: which provider leads, one row per path, and the warnings. At most 80 columns wide.

use std::fmt::{self, Display};

use crate::client::text::{WIDTH, age, decimal, pad, plain, wrap};
use crate::linux::connection::{Answer, Provider};
use crate::text::Timestamp;
use crate::types::{Family, Lead, State};
use crate::wire::control::Warning;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{Check, ErrorRoute, Header, Path, ProviderState};

const COLUMNS: usize = 8;
const TITLES: [&str; COLUMNS] = [
    "PROVIDER", "FAMILY", "STATE", "SINCE", "LOSS", "RTT", "METRIC", "DEVICE",
];
const PROVIDER: usize = 0;
const STATE: usize = 2;
/// Columns with numbers, aligned right.
const NUMBERS: std::ops::Range<usize> = 3..7;
/// A check that has failed for this long is reported, also while its path is online.
const SILENT_S: u32 = 5;
/// What marks the path that leads its family.
const LEADS: &str = "* ";

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
#[derive(Clone, Copy, PartialEq)]
enum Tone {
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

/// One path, or a provider without any.
struct Row {
    leads: bool,
    cells: [String; COLUMNS],
    /// lines below the row
    remarks: Vec<(Tone, String)>,
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
        let overridden = Family::ALL.map(|family| header.overridden_by.of(family));
        for (family, by) in Family::ALL.into_iter().zip(overridden) {
            let Some(by) = by else { continue };
            let (not, id) = match leader(header, family) {
                Some(id) => (", not by ", id),
                None => ("", ""),
            };
            let text = format_args!("{family} is overridden by {by}, and leaves by that{not}{id}");
            self.paragraph(Tone::Unsure, "", text);
        }
        let leaders = Family::ALL
            .map(|family| leader(header, family).map(|id| (id, note(answer, id, family))));
        if let [Some(v4), Some(v6)] = &leaders
            && v4 == v6
            && overridden == [None; 2]
            && header
                .error_routes
                .iter()
                .flatten()
                .all(|route| !route.obeyed)
        {
            let (id, (tone, note)) = v4;
            let text = format_args!("ipv4 and ipv6 leave by {id}{note}");
            return self.paragraph(*tone, "", text);
        }
        for (family, leader) in Family::ALL.into_iter().zip(leaders) {
            if header.overridden_by.of(family).is_some() {
                continue;
            }
            let mut paths = answer.providers.iter().flat_map(|provider| &provider.paths);
            let refusing = header.error_routes[family as usize].filter(|route| route.obeyed);
            if let Some(ErrorRoute { metric, .. }) = refusing {
                let text = format_args!(
                    "{family} is refused by the default route of metric {metric} in main"
                );
                self.paragraph(Tone::Bad, "", text);
            } else if let Some((id, (tone, note))) = leader {
                let text = format_args!("{family} leaves by {id}{note}");
                self.paragraph(tone, "", text);
            } else if let Some(by) = header.fallback.of(family) {
                let text =
                    format_args!("{family} leaves by {by}: no provider can have a default route");
                self.paragraph(Tone::Unsure, "", text);
            } else if paths.any(|path| path.family == family) {
                let (tone, text) = match header.active.of(family) {
                    Lead::Unknown => (Tone::Unsure, "is not known yet to have a way out"),
                    _ => (Tone::Bad, "has no way out"),
                };
                self.paragraph(tone, "", format_args!("{family} {text}"));
            }
        }
    }

    fn table(&mut self, header: &Header, providers: &[Provider]) {
        let mut rows = Vec::new();
        for provider in providers {
            rows.extend(self::rows(header, provider, self.now_ms));
        }
        let layout = Layout::of(&rows);
        let titles = TITLES.map(str::to_owned);
        self.row("", &titles, &layout, [Tone::Quiet; COLUMNS]);
        let below = " ".repeat(LEADS.len() + layout.widths[PROVIDER] + layout.gap);
        for row in &rows {
            self.path(row, &layout);
            for (tone, remark) in &row.remarks {
                self.paragraph(*tone, &below, format_args!("{remark}"));
            }
        }
    }

    fn path(&mut self, row: &Row, layout: &Layout) {
        let mut tones = [Tone::Normal; COLUMNS];
        tones[STATE] = Tone::of_state(&row.cells[STATE]);
        if row.leads {
            tones[PROVIDER] = Tone::Bold;
        }
        let mark = if row.leads { LEADS } else { "" };
        let mut cells = row.cells.clone();
        if cells[PROVIDER].chars().count() > layout.widths[PROVIDER] {
            let id = std::mem::take(&mut cells[PROVIDER]);
            self.paragraph(tones[PROVIDER], "  ", format_args!("{id}"));
        }
        self.row(mark, &cells, layout, tones);
    }

    fn row(
        &mut self,
        mark: &str,
        cells: &[String; COLUMNS],
        layout: &Layout,
        tones: [Tone; COLUMNS],
    ) {
        self.toned(Tone::Good, mark);
        pad(&mut self.out, LEADS.len() - mark.len());
        for (column, cell) in cells.iter().enumerate() {
            let blanks = layout.widths[column].saturating_sub(cell.chars().count());
            if NUMBERS.contains(&column) {
                pad(&mut self.out, blanks);
            }
            self.toned(tones[column], cell);
            if column + 1 < COLUMNS {
                if !NUMBERS.contains(&column) {
                    pad(&mut self.out, blanks);
                }
                pad(&mut self.out, layout.gap);
            }
        }
        self.out.truncate(self.out.trim_end_matches(' ').len());
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
        wrap(&mut wrapped, first, &plain(&text.to_string()));
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

fn leader(header: &Header, family: Family) -> Option<&str> {
    let carrier = header.active.of(family).borrowed().carrier();
    carrier.map(|id| id.as_str())
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
    let mut paths = provider.iter().flat_map(|provider| &provider.paths);
    let path = paths.find(|path| path.family == family);
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

/// The widths of the columns.
struct Layout {
    widths: [usize; COLUMNS],
    /// between them
    gap: usize,
}

impl Layout {
    /// As wide as the widest cell. An id that leaves no room for the rest gets a line of its own; if that is not enough, the
    /// columns move together.
    fn of(rows: &[Row]) -> Layout {
        let widest = |column: usize, limit: usize| {
            let cells = rows.iter().map(|row| row.cells[column].chars().count());
            let widest = cells.filter(|width| *width <= limit).max();
            widest.unwrap_or(0).max(TITLES[column].len())
        };
        let mut widths = std::array::from_fn(|column| widest(column, WIDTH));
        let others = LEADS.len() + widths[1..].iter().sum::<usize>();
        let wide = others + TITLES[PROVIDER].len() + 2 * (COLUMNS - 1) <= WIDTH;
        let gap = if wide { 2 } else { 1 };
        let room = WIDTH.saturating_sub(others + gap * (COLUMNS - 1));
        widths[PROVIDER] = widest(PROVIDER, room);
        Layout { widths, gap }
    }
}

fn rows(header: &Header, provider: &Provider, now_ms: u64) -> Vec<Row> {
    let mut rows: Vec<Row> = provider
        .paths
        .iter()
        .map(|path| row(header, provider, path, now_ms))
        .collect();
    if rows.is_empty() {
        let mut cells = [""; COLUMNS].map(str::to_owned);
        cells[STATE] = provider.head.state.name().to_owned();
        rows.push(Row {
            leads: false,
            cells,
            remarks: Vec::new(),
        });
    }
    if let Some(first) = rows.first_mut() {
        first.cells[PROVIDER] = plain(&provider.head.id);
    }
    if provider.head.disabled
        && let Some(last) = rows.last_mut()
    {
        let text = format!(
            "out of use: `failover enable {}` gives it back",
            provider.head.id
        );
        last.remarks.push((Tone::Unsure, text));
    }
    rows
}

fn row(header: &Header, provider: &Provider, path: &Path, now_ms: u64) -> Row {
    let unknown = || "-".to_owned();
    let mut remarks = Vec::new();
    if path.reason.is_told() {
        remarks.push((Tone::Quiet, path.reason.to_string()));
    }
    if let Some(remark) = standby(path, now_ms) {
        remarks.push((Tone::Quiet, remark));
    }
    let silent = |check: &&Check| check.failing_s.is_some_and(|time| time >= SILENT_S);
    if path.state == State::Online {
        let silent = path.checks.iter().filter(silent);
        remarks.extend(silent.map(|check| (Tone::Unsure, failing(check))));
    }
    if path.metric.is_some() && !path.installed {
        remarks.push((Tone::Bad, "the kernel does not have its route".to_owned()));
    }
    if let Some(connections) = provider.connections {
        let text = match connections.of(path.family) {
            1 => "1 connection".to_owned(),
            count => format!("{count} connections"),
        };
        remarks.push((Tone::Quiet, text));
    }
    if let Some(metric) = path.overridden_by {
        let text = format!("a foreign default route of metric {metric} prevails");
        remarks.push((Tone::Bad, text));
    }
    Row {
        leads: leader(header, path.family) == Some(provider.head.id.as_str()),
        cells: [
            String::new(),
            path.family.name().to_owned(),
            path.state.name().to_owned(),
            age(path.since_ms / 1000),
            path.loss_percent
                .map_or_else(unknown, |loss| decimal(loss) + "%"),
            path.rtt_ms.avg.map_or_else(unknown, round_trip),
            path.metric
                .map_or_else(unknown, |metric| metric.to_string()),
            path.device.as_deref().map_or_else(unknown, plain),
        ],
        remarks,
    }
}

/// How long `preempt` holds back a path that waits to take over.
fn standby(path: &Path, now_ms: u64) -> Option<String> {
    let holder = path.held_back_by.as_ref()?;
    Some(match path.takes_over_in_ms {
        Some(time) => {
            let at = Timestamp(now_ms.saturating_add(time)).to_string();
            let time_of_day = at.get(11..19).unwrap_or_default();
            format!("stands by until {time_of_day} UTC: preempt lets {holder} carry till then")
        }
        None => format!("stands by until {holder} fails: preempt is no"),
    })
}

/// A check that is not answered while others keep the path online.
fn failing(check: &Check) -> String {
    let Check {
        name, kind, target, ..
    } = check;
    let blank = if target.is_empty() { "" } else { " " };
    let time = age(check.failing_s.unwrap_or_default().into());
    format!("check {name} ({kind}{blank}{target}) fails for {time}")
}

/// In at most eight characters.
fn round_trip(ms: Decimal) -> String {
    match ms.thousandths {
        micros @ 5..95 => format!("0.0{} ms", (micros + 5) / 10),
        0..10_000_000 => decimal(ms) + " ms",
        micros => decimal(Decimal::new(micros / 1000)) + " s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixture::{healthy, online, provider, troubled};
    use crate::types::{Metric, Slot, Waiting};
    use crate::wire::control::Diversion;
    use crate::wire::snapshot::ManualRoute;

    /// 2025-11-23T20:28:55Z
    const NOW_MS: u64 = 1_763_929_735_400;

    fn text(answer: &Answer) -> String {
        let text = render(answer, false, NOW_MS).unwrap();
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "too wide: {line}");
            assert_eq!(line, line.trim_end());
        }
        text
    }

    #[test]
    fn a_calm_day() {
        assert_eq!(
            text(&healthy()),
            "\
failover 0.1.0, up 3d 4h
ipv4 and ipv6 leave by isp1

  PROVIDER  FAMILY  STATE     SINCE  LOSS      RTT  METRIC  DEVICE
* isp1      ipv4    online   3h 12m    0%  12.3 ms     100  eth1
*           ipv6    online   3h 12m    0%  12.3 ms     100  eth1
  isp2      ipv4    probing      2s     -        -       -  -
"
        );
    }

    #[test]
    fn what_leaves_by_a_manual_default_does_not_leave_by_the_leader() {
        let mut answer = healthy();
        let by = ManualRoute {
            device: "wg0".try_into().unwrap(),
            metric: 1,
            table: 254,
        };
        let header = answer.header.as_mut().unwrap();
        header.overridden_by.ipv4 = Some(by);
        let head: Vec<String> = text(&answer).lines().map(str::to_owned).collect();
        assert_eq!(
            head[1],
            "ipv4 is overridden by wg0 (metric 1 in main), and leaves by that, not by isp1"
        );
        assert_eq!(head[2], "ipv6 leaves by isp1");
        let header = answer.header.as_mut().unwrap();
        header.active.ipv4 = Lead::NoRoute;
        assert!(text(&answer).contains("(metric 1 in main), and leaves by that\n"));
    }

    #[test]
    fn what_leaves_by_others_or_is_refused_has_no_leader_in_the_head() {
        let mut answer = healthy();
        let header = answer.header.as_mut().unwrap();
        header.active.ipv4 = Lead::NoRoute;
        header.fallback.ipv4 = Some(ManualRoute {
            device: "mgmt0".try_into().unwrap(),
            metric: 5000,
            table: 254,
        });
        let route = |obeyed| ErrorRoute {
            metric: Metric(50),
            obeyed,
        };
        header.error_routes = [None, Some(route(true))];
        let said = "ipv4 leaves by mgmt0 (metric 5000 in main): no provider can have a default route\n\
                    ipv6 is refused by the default route of metric 50 in main\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
        // Ours stand before it.
        answer.header.as_mut().unwrap().error_routes = [None, Some(route(false))];
        assert!(text(&answer).contains("ipv6 leaves by isp1\n"));
        answer.header.as_mut().unwrap().fallback.ipv4 = None;
        assert!(text(&answer).contains("ipv4 has no way out\n"));
        answer.header.as_mut().unwrap().active.ipv4 = Lead::Unknown;
        assert!(text(&answer).contains("ipv4 is not known yet to have a way out\n"));
        // One is refused: both must not be said to leave by the same.
        let mut answer = healthy();
        answer.header.as_mut().unwrap().error_routes = [Some(route(true)), None];
        let said =
            "ipv4 is refused by the default route of metric 50 in main\nipv6 leaves by isp1\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
        let mut warning = troubled().warnings[0].clone();
        warning.diversion = Some(Diversion {
            family: Family::V6,
            ..Diversion::default()
        });
        answer.warnings.push(warning);
        let said = "ipv6 leaves by isp1 at most in part: see `diverted` below\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
        answer.providers[0].paths[1].installed = false;
        let said = "ipv6 leaves by isp1, though the kernel does not have its route\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
    }

    #[test]
    fn a_command_has_a_line_of_its_own() {
        let mut answer = troubled();
        answer.warnings[0].text = "it; cure: is no command".try_into().unwrap();
        let text = text(&answer);
        let told = "! rp-filter, isp2, for 42s: it; cure: is no command\n  cure: sysctl -w net.ipv4.conf.eth2.rp_filter=2\n";
        assert!(text.contains(told), "{text}");
    }

    #[test]
    fn a_bad_day() {
        assert_eq!(
            text(&troubled()),
            "\
failover 0.1.0, up 3d 4h
ipv4 leaves by isp1
ipv6 has no way out
isp1 is pinned by hand: `failover use auto` lets the daemon choose again

  PROVIDER  FAMILY  STATE     SINCE   LOSS      RTT      METRIC  DEVICE
* isp1      ipv4    online   3h 12m     0%  12.3 ms         100  eth1
  isp2      ipv4    offline     42s  37.5%  1235 ms         102  eth2
  satellite-of-the-neighbouring-x
            ipv4    online   3h 12m     2%  12.3 ms  4294967295  pppoe-wan
            the kernel does not have its route
            a foreign default route of metric 0 prevails
            ipv6    waiting   1d 1h      -        -           -  wwan-cdc-12345
            no carrier
            out of use: `failover enable satellite-of-the-neighbouring-x` gives
            it back

! rp-filter, isp2, for 42s: strict rp_filter on eth2 drops the replies to its
  probes
  cure: sysctl -w net.ipv4.conf.eth2.rp_filter=2

! overflow, for 1d 1h: 7 addresses cannot be watched; delete those not needed

! no-room, for 0s: probes are not asked; and not counted
"
        );
    }

    #[test]
    fn what_a_calm_table_would_hide() {
        let mut answer = healthy();
        answer.header.as_mut().unwrap().active.ipv6 = Lead::NoRoute;
        let path = &mut answer.providers[0].paths[0];
        path.checks[0].failing_s = Some(4);
        assert!(!text(&answer).contains("fails"));
        let path = &mut answer.providers[0].paths[0];
        path.checks[0].failing_s = Some(65);
        path.held_back_by = Some("isp2".try_into().unwrap());
        path.takes_over_in_ms = Some(125_000);
        answer.providers[0].paths[1].held_back_by = Some("isp2".try_into().unwrap());
        answer.providers[0].head.disabled = true;
        assert_eq!(
            text(&answer),
            "\
failover 0.1.0, up 3d 4h
ipv4 leaves by isp1, though that is disabled: no enabled provider works
ipv6 has no way out

  PROVIDER  FAMILY  STATE     SINCE  LOSS      RTT  METRIC  DEVICE
* isp1      ipv4    online   3h 12m    0%  12.3 ms     100  eth1
            stands by until 20:31:00 UTC: preempt lets isp2 carry till then
            check google (ping 8.8.8.8) fails for 1m 5s
            ipv6    online   3h 12m    0%  12.3 ms     100  eth1
            stands by until isp2 fails: preempt is no
            out of use: `failover enable isp1` gives it back
  isp2      ipv4    probing      2s     -        -       -  -
"
        );
        // An offline path fails all of them.
        answer.providers[0].paths[0].state = State::Offline;
        assert!(!text(&answer).contains("fails for"));
    }

    #[test]
    fn a_last_resort_is_told_from_a_good_way() {
        let mut answer = healthy();
        answer.providers[0].paths[1].state = State::Offline;
        let said = "ipv4 leaves by isp1\nipv6 leaves by isp1, though that is offline\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
        for path in &mut answer.providers[0].paths {
            path.state = State::Waiting;
        }
        let said = "ipv4 and ipv6 leave by isp1, though that is not connected\n";
        assert!(text(&answer).contains(said), "{}", text(&answer));
    }

    #[test]
    fn round_trips_have_the_digits_that_matter() {
        let shown = [0, 4, 52, 94, 95, 960, 9960, 123_400, 9_999_000, 12_345_000];
        assert_eq!(
            shown.map(|micros| round_trip(Decimal::new(micros))),
            [
                "0 ms", "0 ms", "0.05 ms", "0.09 ms", "0.1 ms", "1 ms", "10 ms", "123 ms",
                "9999 ms", "12.3 s"
            ]
        );
    }

    #[test]
    fn whatever_is_in_it_eighty_columns_hold_it() {
        let mut answer = troubled();
        let mut path = online(Family::V6, "fifteen-letters", u32::MAX);
        path.rtt_ms.avg = Some(Decimal::new(u32::MAX));
        path.loss_percent = Some(Decimal::new(99_900));
        path.since_ms = 8_639_999_000;
        let long = "an-id-of-thirty-one-characters-";
        path.reason.waiting = Some(Waiting::DeviceTaken(Slot(0)));
        path.reason.other = Some(long.try_into().unwrap());
        answer.providers = vec![
            provider(long, 1, ProviderState::Disabled, &[path.clone(), path]),
            provider(
                "short",
                2,
                ProviderState::Is(State::Online),
                &[online(Family::V4, "eth0", 1)],
            ),
        ];
        answer.providers[0].head.disabled = true;
        let header = answer.header.as_mut().unwrap();
        header.pinned = Some(long.try_into().unwrap());
        header.active.ipv6 = Lead::By(long.try_into().unwrap());
        answer.warnings[0].text = "y".repeat(240).as_str().try_into().unwrap();
        assert!(text(&answer).contains("short"));
    }

    #[test]
    fn colours_change_no_letter() {
        let plain = text(&troubled());
        let coloured = render(&troubled(), true, NOW_MS).unwrap();
        let mut letters = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            letters.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        letters.push_str(rest);
        assert_eq!(letters, plain);
        assert!(coloured.contains("\x1b[31moffline\x1b[0m"));
        assert!(coloured.contains("\x1b[32m* \x1b[0m\x1b[1misp1\x1b[0m"));
    }

    #[test]
    fn a_hostile_name_commands_nothing() {
        let mut answer = troubled();
        answer.providers[0].head.id = "\x1b]0;x\x07".try_into().unwrap();
        answer.warnings[0].text = "\x1b[2J".try_into().unwrap();
        assert!(!text(&answer).contains('\x1b'));
    }
}

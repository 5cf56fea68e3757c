//! The rows of `status`: one per path, with its cells and the lines below it; the widths of the columns.

use std::fmt;

use super::Tone;
use crate::client::explain::At;
use crate::client::text::{WIDTH, age, decimal, plain};
use crate::limits::DEVICE_MAX;
use crate::linux::connection::Provider;
use crate::types::State;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{Check, Header, Path};

pub(super) const COLUMNS: usize = 8;
const TITLES: [&str; COLUMNS] = [
    "PROVIDER", "FAMILY", "STATE", "SINCE", "LOSS", "RTT", "METRIC", "DEVICE",
];
pub(super) const PROVIDER: usize = 0;
const FAMILY: usize = 1;
const STATE: usize = 2;
const SINCE: usize = 3;
const LOSS: usize = 4;
const RTT: usize = 5;
const METRIC: usize = 6;
const DEVICE: usize = 7;
/// Columns with numbers, aligned right.
pub(super) const NUMBERS: std::ops::Range<usize> = 3..7;
/// What marks the path that leads its family.
pub(super) const LEADS: &str = "* ";
/// A check that has failed for this long is reported, also while its path is online.
const SILENT_S: u32 = 5;

/// One path, or a provider without any.
#[derive(Default)]
pub(super) struct Row {
    pub(super) leads: bool,
    pub(super) cells: [String; COLUMNS],
    pub(super) tones: [Tone; COLUMNS],
    /// lines below the row
    pub(super) remarks: Vec<(Tone, String)>,
}

impl Row {
    /// Adds one that is empty.
    fn add(rows: &mut Vec<Row>) -> &mut Row {
        rows.push(Row::default());
        let last = rows.len() - 1;
        &mut rows[last]
    }

    fn tell(&mut self, column: usize, text: Option<String>) {
        self.cells[column] = text.unwrap_or_else(|| "-".to_owned());
    }

    fn state(&mut self, state: &str) {
        self.cells[STATE].push_str(state);
        self.tones[STATE] = Tone::of_state(state);
    }

    fn remark(&mut self, tone: Tone, what: fmt::Arguments<'_>) {
        self.remarks.push((tone, what.to_string()));
    }
}

/// The widths of the columns.
pub(super) struct Layout {
    pub(super) widths: [usize; COLUMNS],
    /// between them
    pub(super) gap: usize,
}

impl Layout {
    /// As wide as the widest cell. An id that leaves no room for the rest gets a line of its own; if that is not enough, the
    /// columns move together.
    pub(super) fn of(rows: &[Row]) -> Layout {
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

/// Adds the titles of the columns.
pub(super) fn add_titles(rows: &mut Vec<Row>) {
    let row = Row::add(rows);
    for (column, title) in TITLES.iter().enumerate() {
        row.cells[column].push_str(title);
        row.tones[column] = Tone::Quiet;
    }
}

/// Adds the rows of a provider.
pub(super) fn add(rows: &mut Vec<Row>, header: &Header, provider: &Provider, now_ms: u64) {
    let head = &provider.head;
    let first = rows.len();
    for path in &provider.paths {
        let row = Row::add(rows);
        fill(row, provider, path, now_ms);
        if header.active.leader(path.family) == Some(&head.id) {
            row.leads = true;
            row.tones[PROVIDER] = Tone::Bold;
        }
    }
    if provider.paths.is_empty() {
        Row::add(rows).state(head.state.name());
    }
    rows[first].cells[PROVIDER] = plain(&head.id);
    if head.disabled
        && let Some(last) = rows.last_mut()
    {
        let id = &head.id;
        last.remark(
            Tone::Unsure,
            format_args!("out of use: `failover enable {id}` gives it back"),
        );
    }
}

fn fill(row: &mut Row, provider: &Provider, path: &Path, now_ms: u64) {
    row.cells[FAMILY].push_str(path.family.name());
    row.tell(SINCE, Some(age(path.since_ms / 1000)));
    row.tell(LOSS, path.loss_percent.map(|loss| decimal(loss) + "%"));
    row.tell(RTT, path.rtt_ms.avg.map(round_trip));
    row.tell(METRIC, path.metric.map(|metric| metric.to_string()));
    row.tell(DEVICE, path.device.as_ref().map(|device| plain(device)));
    row.state(path.state.name());
    if row.cells[DEVICE].chars().count() > DEVICE_MAX {
        // An alternative name: the kernel's own are shorter.
        let device = std::mem::take(&mut row.cells[DEVICE]);
        row.remark(Tone::Normal, format_args!("device {device}"));
    }
    if path.reason.is_told() {
        row.remark(Tone::Quiet, format_args!("{}", path.reason));
    }
    if let Some(holder) = &path.held_back_by {
        standby(row, holder, path, now_ms);
    }
    for check in &path.checks {
        let silent = check.failing_s.is_some_and(|time| time >= SILENT_S);
        if silent && path.state == State::Online {
            failing(row, check);
        }
    }
    if path.metric.is_some() && !path.installed {
        row.remark(
            Tone::Bad,
            format_args!("the kernel does not have its route"),
        );
    }
    if let Some(connections) = provider.connections {
        let count = connections.of(path.family);
        let s = if count == 1 { "" } else { "s" };
        row.remark(Tone::Quiet, format_args!("{count} connection{s}"));
    }
    if let Some(metric) = path.overridden_by {
        let text = format_args!("a foreign default route of metric {metric} prevails");
        row.remark(Tone::Bad, text);
    }
}

/// How long `preempt` holds back a path that waits to take over.
fn standby(row: &mut Row, holder: &str, path: &Path, now_ms: u64) {
    let Some(time) = path.takes_over_in_ms else {
        let text = format_args!("stands by until {holder} fails: preempt is no");
        return row.remark(Tone::Quiet, text);
    };
    let at = At {
        wall_clock_ms: now_ms.saturating_add(time),
        is_today: true,
    };
    let text = format_args!("stands by until {at} UTC: preempt lets {holder} carry till then");
    row.remark(Tone::Quiet, text);
}

/// A check that is not answered while others keep the path online.
fn failing(row: &mut Row, check: &Check) {
    let Check {
        name, kind, target, ..
    } = check;
    let blank = if target.is_empty() { "" } else { " " };
    let time = age(check.failing_s.unwrap_or_default().into());
    let text = format_args!("check {name} ({kind}{blank}{target}) fails for {time}");
    row.remark(Tone::Unsure, text);
}

/// In at most eight characters.
pub(super) fn round_trip(ms: Decimal) -> String {
    match ms.thousandths {
        micros @ 5..95 => format!("0.0{} ms", (micros + 5) / 10),
        0..10_000_000 => decimal(ms) + " ms",
        micros => decimal(Decimal::new(micros / 1000)) + " s",
    }
}

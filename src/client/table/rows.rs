//! The rows of `status`: one per path, with its cells and the lines below it; the widths of the columns.

use super::{Tone, leader};
use crate::client::text::{WIDTH, age, decimal, plain};
use crate::limits::DEVICE_MAX;
use crate::linux::connection::Provider;
use crate::text::Timestamp;
use crate::types::State;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{Check, Header, Path};

pub(super) const COLUMNS: usize = 8;
pub(super) const TITLES: [&str; COLUMNS] = [
    "PROVIDER", "FAMILY", "STATE", "SINCE", "LOSS", "RTT", "METRIC", "DEVICE",
];
pub(super) const PROVIDER: usize = 0;
pub(super) const STATE: usize = 2;
/// Columns with numbers, aligned right.
pub(super) const NUMBERS: std::ops::Range<usize> = 3..7;
/// What marks the path that leads its family.
pub(super) const LEADS: &str = "* ";
/// A check that has failed for this long is reported, also while its path is online.
const SILENT_S: u32 = 5;

/// One path, or a provider without any.
pub(super) struct Row {
    pub(super) leads: bool,
    pub(super) cells: [String; COLUMNS],
    /// lines below the row
    pub(super) remarks: Vec<(Tone, String)>,
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

/// The rows of a provider.
pub(super) fn of(header: &Header, provider: &Provider, now_ms: u64) -> Vec<Row> {
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
    let mut device = path.device.as_deref().map_or_else(unknown, plain);
    if device.chars().count() > DEVICE_MAX {
        // An alternative name: the kernel's own are shorter.
        remarks.push((Tone::Normal, format!("device {device}")));
        device.clear();
    }
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
            device,
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
pub(super) fn round_trip(ms: Decimal) -> String {
    match ms.thousandths {
        micros @ 5..95 => format!("0.0{} ms", (micros + 5) / 10),
        0..10_000_000 => decimal(ms) + " ms",
        micros => decimal(Decimal::new(micros / 1000)) + " s",
    }
}

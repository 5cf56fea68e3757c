//! `metrics`: the state in Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>). `docs/metrics.md` describes each metric.

use std::fmt::Write;

use crate::linux::connection::{Answer, Provider};
use crate::types::{Family, State};
use crate::wire::control::Warning;
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{Check, CheckState, Header, Path};

/// One metric. Those whose name ends with `_total` are counters, the others gauges.
struct Metric {
    /// after `failover_`
    name: &'static str,
    help: &'static str,
    samples: Samples,
}

/// Values are counted in millionths.
enum Samples {
    /// one per path whose value is known
    Path(fn(&Page<'_>, &Provider, &Path) -> Option<u64>),
    /// some per path
    Paths(fn(&mut Page<'_>, &Path)),
    /// some per check
    Checks(fn(&mut Page<'_>, &Check)),
    /// others
    Others(fn(&mut Page<'_>)),
}

const MILLION: u64 = 1_000_000;

static METRICS: [Metric; 12] = [
    Metric {
        name: "build_info",
        help: "Version of the daemon; always 1.",
        samples: Samples::Others(|page| {
            let header = page.header;
            page.sample("version", &header.version, MILLION);
        }),
    },
    Metric {
        name: "path_state",
        help: "1 for the state of the path, 0 for the others.",
        samples: Samples::Paths(states),
    },
    Metric {
        name: "path_active",
        help: "1 if the provider leads in this family.",
        samples: Samples::Path(|page, provider, path| {
            let leader = page.header.active.leader(path.family);
            Some(one_if(leader == Some(&provider.head.id)))
        }),
    },
    Metric {
        name: "path_state_since_seconds",
        help: "When the path entered its state, in seconds since 1970.",
        samples: Samples::Path(|page, _, path| {
            Some(page.now_ms.saturating_sub(path.since_ms) / 1000 * MILLION)
        }),
    },
    Metric {
        name: "path_loss_ratio",
        help: "Probes lost in the window, from 0 to 1; late answers are not lost.",
        // From thousandths of a percent.
        samples: Samples::Path(|_, _, path| Some(10 * thousandths(path.loss_percent)?)),
    },
    Metric {
        name: "path_rtt_seconds",
        help: "Mean round-trip time in the window.",
        samples: Samples::Path(|_, _, path| thousandths(path.rtt_ms.avg)),
    },
    Metric {
        name: "path_jitter_seconds",
        help: "Standard deviation of the round-trip times in the window.",
        samples: Samples::Path(|_, _, path| thousandths(path.rtt_ms.stddev)),
    },
    Metric {
        name: "outage_seconds_total",
        help: "Time of all outages of the path, with the one that lasts.",
        samples: Samples::Path(|_, _, path| Some(path.outage_ms.saturating_mul(1000))),
    },
    Metric {
        name: "check_up",
        help: "1 if the last settled probe was answered in time, 0 if it was lost.",
        samples: Samples::Checks(|page, check| {
            if check.state != CheckState::Pending {
                page.sample("", "", one_if(check.state == CheckState::Ok));
            }
        }),
    },
    Metric {
        name: "probes_total",
        help: "Settled probes: ok if answered in time, else lost.",
        samples: Samples::Checks(|page, check| {
            page.sample("result", "ok", u64::from(check.ok) * MILLION);
            page.sample("result", "lost", u64::from(check.lost) * MILLION);
        }),
    },
    Metric {
        name: "swaps_total",
        help: "Changes of the leading provider.",
        samples: Samples::Others(|page| {
            let [v4, v6] = page.header.swaps;
            page.sample("family", Family::V4.name(), u64::from(v4) * MILLION);
            page.sample("family", Family::V6.name(), u64::from(v6) * MILLION);
        }),
    },
    Metric {
        name: "warnings",
        help: "Warnings in force.",
        samples: Samples::Others(warnings),
    },
];

struct Page<'a> {
    out: String,
    answer: &'a Answer,
    header: &'a Header,
    now_ms: u64,
    /// the metric that is printed
    name: &'static str,
    /// the labels of the path, or check, that is printed
    labels: String,
}

/// All metrics, at a wall-clock time. `None`: the daemon's answer has no header.
pub(super) fn render(answer: &Answer, now_ms: u64) -> Option<String> {
    let mut page = Page {
        out: String::new(),
        answer,
        header: answer.header.as_ref()?,
        now_ms,
        name: "",
        labels: String::new(),
    };
    for metric in &METRICS {
        page.metric(metric);
    }
    Some(page.out)
}

impl Page<'_> {
    fn metric(&mut self, metric: &Metric) {
        self.name = metric.name;
        let kind = match metric.name.ends_with("_total") {
            true => " counter\n",
            false => " gauge\n",
        };
        self.comment("# HELP failover_");
        for part in &[" ", metric.help, "\n"] {
            self.out.push_str(part);
        }
        self.comment("# TYPE failover_");
        self.out.push_str(kind);
        let answer = self.answer;
        if let Samples::Others(print) = metric.samples {
            print(self);
        }
        for provider in &answer.providers {
            for path in &provider.paths {
                self.path(&metric.samples, provider, path);
            }
        }
    }

    fn comment(&mut self, beginning: &str) {
        self.out.push_str(beginning);
        self.out.push_str(self.name);
    }

    fn path(&mut self, samples: &Samples, provider: &Provider, path: &Path) {
        label(&mut self.labels, "provider", &provider.head.id);
        label(&mut self.labels, "family", path.family.name());
        match samples {
            Samples::Path(value) => {
                if let Some(value) = value(self, provider, path) {
                    self.sample("", "", value);
                }
            }
            Samples::Paths(print) => print(self, path),
            Samples::Checks(print) => {
                let of_path = self.labels.len();
                for check in &path.checks {
                    self.labels.truncate(of_path);
                    label(&mut self.labels, "check", &check.name);
                    print(self, check);
                }
            }
            Samples::Others(_) => {}
        }
        self.labels.clear();
    }

    /// One line, with one more label if it has a name. The value has six decimals, or none.
    fn sample(&mut self, name: &str, value: &str, millionths: u64) {
        self.comment("failover_");
        let mut labels = self.labels.clone();
        if !name.is_empty() {
            label(&mut labels, name, value);
        }
        let (whole, rest) = (millionths / MILLION, millionths % MILLION);
        let _ = write!(self.out, "{{{labels}}} {whole}");
        if rest != 0 {
            let _ = write!(self.out, ".{rest:06}");
        }
        self.out.push('\n');
    }
}

/// Adds a label.
fn label(labels: &mut String, name: &str, value: &str) {
    let comma = if labels.is_empty() { "" } else { "," };
    for part in &[comma, name, "=\""] {
        labels.push_str(part);
    }
    escape(labels, value);
    labels.push('"');
}

/// As the format wants it in the value of a label.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        let escaped = match c {
            '\n' => 'n',
            '\\' | '"' => c,
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push('\\');
        out.push(escaped);
    }
}

fn states(page: &mut Page<'_>, path: &Path) {
    for state in State::ALL {
        page.sample("state", state.name(), one_if(path.state == state));
    }
}

/// One sample per code.
fn warnings(page: &mut Page<'_>) {
    let all = &page.answer.warnings;
    for (place, warning) in all.iter().enumerate() {
        let is_same = |other: &&Warning| other.code == warning.code;
        if !all[..place].iter().any(|other| is_same(&other)) {
            let count = all[place..].iter().filter(is_same).count() as u64;
            page.sample("code", &warning.code, count * MILLION);
        }
    }
}

fn one_if(condition: bool) -> u64 {
    u64::from(condition) * MILLION
}

/// The thousandths of a number of milliseconds are the millionths of the seconds.
fn thousandths(number: Option<Decimal>) -> Option<u64> {
    number.map(|number| number.thousandths.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixture::{healthy, troubled};

    fn lines(answer: &Answer, metric: &str) -> Vec<String> {
        let text = render(answer, 1_763_929_735_400).unwrap();
        let begin = format!("failover_{metric}{{");
        let samples = text.lines().filter_map(|line| line.strip_prefix(&*begin));
        samples.map(str::to_owned).collect()
    }

    #[test]
    fn each_metric_is_described_once_and_before_its_samples() {
        let text = render(&troubled(), 1_763_929_735_400).unwrap();
        let mut name = "";
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                name = help.split(' ').next().unwrap();
                assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1);
                let kind = if name.ends_with("_total") {
                    "counter"
                } else {
                    "gauge"
                };
                assert!(
                    text.contains(&format!("\n# TYPE {name} {kind}\n")),
                    "{name}"
                );
            } else if !line.starts_with("# TYPE") {
                assert!(line.starts_with(&format!("{name}{{")), "{name}: {line}");
            }
        }
        assert_eq!(text.matches("# TYPE ").count(), METRICS.len());
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_path_has_its_figures_in_seconds_and_ratios() {
        let mut answer = healthy();
        answer.providers[0].paths[0].loss_percent = Some(Decimal::new(37_500));
        answer.providers[0].paths[0].outage_ms = 61_005;
        let path = r#"provider="isp1",family="ipv4"} "#;
        for (metric, value) in [
            ("path_active", "1"),
            ("path_state_since_seconds", "1763918215"),
            ("path_loss_ratio", "0.375000"),
            ("path_rtt_seconds", "0.012300"),
            ("path_jitter_seconds", "0.000125"),
            ("outage_seconds_total", "61.005000"),
        ] {
            let told = lines(&answer, metric);
            assert_eq!(told[0], format!("{path}{value}"), "{metric}");
        }
        assert_eq!(
            lines(&answer, "path_state")[..5],
            [
                r#"provider="isp1",family="ipv4",state="online"} 1"#,
                r#"provider="isp1",family="ipv4",state="probing"} 0"#,
                r#"provider="isp1",family="ipv4",state="offline"} 0"#,
                r#"provider="isp1",family="ipv4",state="frozen"} 0"#,
                r#"provider="isp1",family="ipv4",state="waiting"} 0"#,
            ]
        );
        // What is not known has no sample.
        assert_eq!(lines(&answer, "path_rtt_seconds").len(), 2);
        assert_eq!(lines(&answer, "path_active").len(), 3);
    }

    #[test]
    fn a_check_has_its_counts() {
        let mut answer = healthy();
        let check = r#"provider="isp1",family="ipv4",check="google""#;
        assert_eq!(lines(&answer, "check_up"), [format!("{check}}} 1")]);
        assert_eq!(
            lines(&answer, "probes_total"),
            [
                format!(r#"{check},result="ok"}} 290"#),
                format!(r#"{check},result="lost"}} 10"#)
            ]
        );
        answer.providers[0].paths[0].checks[0].state = CheckState::Lost;
        assert_eq!(lines(&answer, "check_up"), [format!("{check}}} 0")]);
        answer.providers[0].paths[0].checks[0].state = CheckState::Pending;
        assert_eq!(lines(&answer, "check_up"), [""; 0]);
    }

    #[test]
    fn warnings_are_counted_by_their_code() {
        let mut answer = troubled();
        let again = answer.warnings[0].clone();
        answer.warnings.push(again);
        assert_eq!(
            lines(&answer, "warnings"),
            [
                r#"code="rp-filter"} 2"#,
                r#"code="overflow"} 1"#,
                r#"code="no-room"} 1"#
            ]
        );
        assert_eq!(lines(&healthy(), "warnings"), [""; 0]);
    }

    #[test]
    fn the_daemon_has_its_version_and_its_swaps() {
        let answer = healthy();
        assert_eq!(lines(&answer, "build_info"), [r#"version="0.1.0"} 1"#]);
        assert_eq!(
            lines(&answer, "swaps_total"),
            [r#"family="ipv4"} 1"#, r#"family="ipv6"} 1"#]
        );
        assert_eq!(render(&Answer::default(), 0), None);
    }

    #[test]
    fn the_value_of_a_label_is_escaped() {
        let mut answer = healthy();
        answer.header.as_mut().unwrap().version = "a\\b\"c\nd}".try_into().unwrap();
        assert_eq!(
            lines(&answer, "build_info"),
            [r#"version="a\\b\"c\nd}"} 1"#]
        );
    }
}

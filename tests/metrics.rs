//! What Prometheus and Grafana make of the metrics: the text that the program prints, its description, the dashboard, the
//! alerts. The metrics of a live daemon are tested in `tests/e2e/metrics.rs`.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which clippy does not take for tests

mod fake_daemon;
mod promtool;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use failover::types::{Family, Lead, Name, Slot, State};
use failover::wire::control::{Reply, Request, Warning};
use failover::wire::decimal::Decimal;
use failover::wire::snapshot::{self, Active, Check, CheckState, Header, ProviderHead, Rtt};
use fake_daemon::FakeDaemon;
use promtool::{accepts_metrics, promtool};
use serde_json::Value;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).expect(name)
}

/// A daemon that has a sample of each metric.
fn answers(request: &Request, number: u32) -> Option<Reply> {
    assert_eq!(*request, Request::Status);
    let name = || Name::try_from("isp1").unwrap();
    let number_of = Some(Decimal::new(12_345));
    let check = Check {
        // No configuration has such a name.
        name: "a \"b\" \\c\nd".try_into().unwrap(),
        state: CheckState::Ok,
        ok: 600,
        lost: 7,
        ..Check::default()
    };
    Some(match number {
        0 => Reply::Header(Header {
            version: "0.1.0".try_into().unwrap(),
            active: Active {
                ipv4: Lead::By(name()),
                ipv6: Lead::Unknown,
            },
            swaps: [u32::MAX, 0],
            ..Header::default()
        }),
        1 => Reply::Warning(Warning {
            code: "rp-filter".try_into().unwrap(),
            ..Warning::default()
        }),
        2 => Reply::Provider(ProviderHead {
            id: name(),
            slot: Slot(0),
            ..ProviderHead::default()
        }),
        3 => Reply::Path(snapshot::Path {
            family: Family::V4,
            state: State::Online,
            since_ms: 5000,
            loss_percent: number_of,
            rtt_ms: Rtt {
                avg: number_of,
                stddev: number_of,
                ..Rtt::default()
            },
            checks: core::iter::once(check).collect(),
            outage_ms: u64::MAX,
            ..snapshot::Path::default()
        }),
        _ => return None,
    })
}

/// What `failover metrics` prints.
fn metrics(name: &str) -> String {
    let daemon = FakeDaemon::start(name, answers);
    let config = daemon.dir.join("failover.conf");
    let text = format!(
        "config globals\n\toption state_dir '{}'\nconfig provider 'isp1'\n\toption device 'eth1'\n",
        daemon.dir.display()
    );
    fs::write(&config, text).unwrap();
    let mut failover = Command::new(env!("CARGO_BIN_EXE_failover"));
    let output = failover.args(["metrics", "--config"]).arg(config).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The type and the labels of each metric.
type Known = BTreeMap<String, (String, Vec<String>)>;

fn known(text: &str) -> Known {
    let mut known = Known::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let former = known.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert_eq!(former, None, "{name} twice");
        } else if !line.starts_with('#') {
            let (name, labels) = line.split_once('{').unwrap();
            let labels = labels
                .split("\",")
                .map(|label| label.split_once('=').unwrap().0);
            known.get_mut(name).unwrap().1 = labels.map(str::to_owned).collect();
        }
    }
    assert!(known.len() > 10);
    known
}

#[test]
fn prometheus_finds_no_fault_with_them() {
    let text = metrics("metrics-promtool");
    accepts_metrics(&text);
    let check = r#"failover_check_up{provider="isp1",family="ipv4",check="a \"b\" \\c\nd"} 1"#;
    assert!(text.lines().any(|line| line == check), "{text}");
}

#[test]
fn each_is_described_with_its_type_and_labels() {
    let page = file("docs/metrics.md");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `failover_"));
    let described = rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let name = format!("failover_{}", cells[0].trim_end_matches('`'));
        let labels = cells[2]
            .split(", ")
            .map(|label| label.trim_matches('`').to_owned());
        (name, (cells[1].to_owned(), labels.collect()))
    });
    assert_eq!(
        described.collect::<Known>(),
        known(&metrics("metrics-described"))
    );
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("failover_"));
    names.map(str::to_owned).collect()
}

/// The words in double braces, as the legends of graphs have them.
fn placeholders(text: &str) -> Vec<&str> {
    let rest = text.split("{{").skip(1);
    rest.map(|rest| rest.split_once("}}").unwrap().0).collect()
}

#[test]
fn the_dashboard_shows_each_of_them_and_no_other() {
    let dashboard: Value = serde_json::from_str(&file("board/linux/grafana.json")).unwrap();
    let known = known(&metrics("metrics-dashboard"));
    let mut labels: BTreeSet<&str> = known
        .values()
        .flat_map(|(_, labels)| labels)
        .map(String::as_str)
        .collect();
    labels.insert("instance");
    let mut shown = BTreeSet::new();
    let mut rules = "groups: [{name: dashboard, rules: [\n".to_owned();
    let panels = dashboard["panels"].as_array().unwrap();
    for target in panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        assert_eq!(target["datasource"]["uid"], "${datasource}");
        let legend = target["legendFormat"].as_str().unwrap();
        for label in placeholders(legend) {
            assert!(labels.contains(label), "{legend}");
        }
        let expression = target["expr"].as_str().unwrap();
        shown.extend(named(expression));
        let expression = expression
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "6h");
        assert!(!expression.contains('$'), "{expression}");
        // JSON is YAML, too.
        let rule = serde_json::json!({"record": "any", "labels": {"n": rules.len().to_string()}, "expr": expression});
        rules.push_str(&format!("{rule},\n"));
    }
    assert_eq!(shown, known.keys().cloned().collect());
    let directory = fake_daemon::directory("metrics-rules");
    let path = directory.join("dashboard.yml");
    fs::write(&path, rules + "]}]\n").unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()], "");
    fs::remove_dir_all(directory).unwrap();

    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: Vec<&Value> = variables.iter().map(|variable| &variable["name"]).collect();
    assert_eq!(variables, ["datasource", "instance"]);
    let ids: BTreeSet<u64> = panels
        .iter()
        .map(|panel| panel["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn each_alert_fires_when_it_should_and_is_described() {
    let alerts = file("board/linux/alerts.yml");
    let known = known(&metrics("metrics-alerts"));
    for name in named(&alerts) {
        assert!(known.contains_key(&name), "there is no metric {name}");
    }
    for words in [
        ["check", "board/linux/alerts.yml"],
        ["test", "tests/metrics/alerts.yml"],
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(words[1]);
        promtool(&[words[0], "rules", path.to_str().unwrap()], "");
    }
    let (page, cases) = (file("docs/metrics.md"), file("tests/metrics/alerts.yml"));
    let all = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let all: Vec<&str> = all.collect();
    assert!(all.len() >= 7, "{all:?}");
    for alert in &all {
        assert!(page.contains(&format!("| `{alert}` | ")), "{alert}");
        assert!(
            cases.contains(&format!("- alertname: {alert}\n")),
            "{alert}"
        );
    }
    assert_eq!(page.matches("| `Failover").count(), all.len());
}

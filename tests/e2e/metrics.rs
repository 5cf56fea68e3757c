//! `metrics` of a live daemon: what Prometheus reads is what the status says, in each state.

use std::collections::BTreeMap;

use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};
use super::promtool::accepts_metrics;
use super::{SOON, online};

/// Each sample, as `path_active{provider="isp1",family="ipv4"}`, with its value. Prometheus finds no fault with the text.
fn samples(daemon: &Daemon) -> BTreeMap<String, f64> {
    let text = daemon.must(&["metrics"]);
    accepts_metrics(&text);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = lines.map(|line| line.rsplit_once(' ').unwrap());
    let plain = |name: &str| name.strip_prefix("failover_").unwrap().to_owned();
    split
        .map(|(name, value)| (plain(name), value.parse().unwrap()))
        .collect()
}

/// The value of a metric of one path.
fn of(samples: &BTreeMap<String, f64>, metric: &str, provider: &str, more: &str) -> Option<f64> {
    let name = format!("{metric}{{provider=\"{provider}\",family=\"ipv4\"{more}}}");
    samples.get(&name).copied()
}

fn google(samples: &BTreeMap<String, f64>, provider: &str, result: &str) -> f64 {
    let more = format!(",check=\"google\",result=\"{result}\"");
    of(samples, "probes_total", provider, &more).unwrap()
}

/// Asserts that the path of a provider is in this state and in no other one.
fn is_in(samples: &BTreeMap<String, f64>, provider: &str, state: &str) {
    for other in ["online", "probing", "offline", "frozen", "waiting"] {
        let value = of(
            samples,
            "path_state",
            provider,
            &format!(",state=\"{other}\""),
        );
        let expected = if other == state { 1.0 } else { 0.0 };
        assert_eq!(value, Some(expected), "{provider} {other}");
    }
}

fn leader(samples: &BTreeMap<String, f64>) -> Vec<&str> {
    let leads = |id: &&str| of(samples, "path_active", id, "") == Some(1.0);
    ["isp1", "isp2"].into_iter().filter(leads).collect()
}

#[test]
fn in_each_state_they_are_what_the_status_says() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let begin = samples(&daemon);
        for id in ["isp1", "isp2"] {
            is_in(&begin, id, "online");
            assert_eq!(of(&begin, "check_up", id, ",check=\"google\""), Some(1.0));
            assert_eq!(of(&begin, "path_loss_ratio", id, ""), Some(0.0));
            assert_eq!(of(&begin, "outage_seconds_total", id, ""), Some(0.0));
            let rtt = of(&begin, "path_rtt_seconds", id, "").unwrap();
            assert!(rtt > 0.0 && rtt < 1.0, "{rtt}");
            assert!(google(&begin, id, "ok") >= 1.0);
        }
        assert_eq!(leader(&begin), ["isp1"]);
        assert_eq!(begin["swaps_total{family=\"ipv4\"}"], 0.0);
        let version = format!("build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
        assert_eq!(begin[&version], 1.0);

        lab.upstream_dies(1);
        daemon.wait_for("isp1", "ipv4", "offline");
        daemon.wait_for("isp1", "ipv6", "offline");
        assert!(wait_until(SOON, || leader(&samples(&daemon)) == ["isp2"]));
        let dead = samples(&daemon);
        is_in(&dead, "isp1", "offline");
        assert_eq!(
            of(&dead, "check_up", "isp1", ",check=\"google\""),
            Some(0.0)
        );
        let loss = of(&dead, "path_loss_ratio", "isp1", "").unwrap();
        assert!(loss > 0.0 && loss <= 1.0, "{loss}");
        assert!(google(&dead, "isp1", "lost") >= 3.0);
        assert_eq!(dead["swaps_total{family=\"ipv4\"}"], 1.0);
        assert_eq!(dead["swaps_total{family=\"ipv6\"}"], 1.0);
        let since = of(&dead, "path_state_since_seconds", "isp1", "").unwrap();
        assert!(since >= of(&begin, "path_state_since_seconds", "isp1", "").unwrap());
        let mut before = of(&dead, "outage_seconds_total", "isp1", "").unwrap();
        let grows = || {
            let now = of(&samples(&daemon), "outage_seconds_total", "isp1", "").unwrap();
            std::mem::replace(&mut before, now) < now
        };
        assert!(wait_until(SOON, grows), "a running outage counts");

        // A reload goes on counting.
        daemon.configure(&Settings::fast(&lab).global("interval", "110ms"));
        daemon.must(&["reload"]);
        let after = samples(&daemon);
        for (id, result) in [("isp1", "ok"), ("isp1", "lost"), ("isp2", "ok")] {
            assert!(
                google(&after, id, result) >= google(&dead, id, result),
                "{id} {result}"
            );
        }
        assert!(
            of(&after, "outage_seconds_total", "isp1", "")
                >= of(&dead, "outage_seconds_total", "isp1", "")
        );

        lab.pull_cable(1);
        daemon.wait_for("isp1", "ipv4", "waiting");
        is_in(&samples(&daemon), "isp1", "waiting");
        daemon.must(&["use", "isp2"]);
        lab.plug_cable(1);
        daemon.wait_for("isp1", "ipv4", "frozen");
        is_in(&samples(&daemon), "isp1", "frozen");
    });
}

#[test]
fn warnings_are_counted_and_without_a_daemon_nothing_is_printed() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        std::fs::write(daemon.sticky_file(), "isp9\n").unwrap();
        let told = || samples(&daemon).get("warnings{code=\"sticky-file\"}") == Some(&1.0);
        assert!(wait_until(SOON, told), "{}", daemon.must(&["metrics"]));
        std::fs::write(daemon.sticky_file(), "").unwrap();
        let is_told = |name: &String| name.starts_with("warnings{");
        let gone = || !samples(&daemon).keys().any(is_told);
        assert!(wait_until(SOON, gone), "{}", daemon.must(&["metrics"]));
        daemon.terminate();
        let output = daemon.command(&["metrics"]);
        assert_eq!(
            (output.status.code(), output.stdout),
            (Some(69), Vec::new())
        );
    });
}

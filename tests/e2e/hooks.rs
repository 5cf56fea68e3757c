//! Programs that run on transitions: their environment, their order, and that none of them blocks the daemon.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::inspect::children;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads_in};

/// Script that records its environment: one numbered file per call.
pub const RECORDER: &str = "#!/bin/sh\n\
    n=$(ls \"$RECORDS\" | wc -l)\n\
    { echo \"CALL=${0##*/} $*\"; env; } > \"$RECORDS/.new\"\n\
    mv \"$RECORDS/.new\" \"$RECORDS/$(printf %04d $n)\"\n";

/// One call of a hook: its environment, and `CALL`.
pub type Call = HashMap<String, String>;

/// A hook whose first line names a missing interpreter (for example because of a DOS line end) is reported as such.
#[test]
fn a_missing_interpreter_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        let script = "#!/bin/sh\r\ntrue\n";
        let mut daemon = with_hooks(
            &lab,
            &[("10-dos", script, 0o755), ("20-good", RECORDER, 0o755)],
        );
        daemon.launch();
        daemon.must(&["use", "isp2"]);
        let next_is_run = || !calls(&daemon).is_empty();
        assert!(wait_until(SOON, next_is_run), "{}", daemon.log());
        daemon.logged("10-dos cannot be run: there is no such interpreter");
    });
}

/// A daemon with these hooks (name, script, mode), not started yet.
pub fn with_hooks<'lab>(lab: &'lab Lab, hooks: &[(&str, &str, u32)]) -> Daemon<'lab> {
    let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(lab));
    let (records, directory) = (daemon.file("records"), daemon.file("hooks.d"));
    for directory in [&records, &directory] {
        fs::create_dir(directory).unwrap();
    }
    for (name, script, mode) in hooks {
        let file = directory.join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
    }
    daemon.set("RECORDS", records.display().to_string());
    let hooks_dir = directory.display().to_string();
    let settings = Settings::fast(lab).without_section("check", "google6");
    daemon.configure(&settings.global("hooks_dir", &hooks_dir));
    daemon
}

/// What hooks were told, call by call.
pub fn calls(daemon: &Daemon) -> Vec<Call> {
    let entries = fs::read_dir(daemon.file("records")).unwrap().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| !file.ends_with(".new"));
    files.sort();
    let call = |text: String| -> Call {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    };
    files
        .iter()
        .map(|file| call(fs::read_to_string(file).unwrap()))
        .collect()
}

/// `ACTION PROVIDER OLD→NEW` of each call.
fn transitions(daemon: &Daemon) -> Vec<String> {
    let told = |call: &Call| {
        let [action, provider, old, new] =
            ["ACTION", "PROVIDER", "OLD", "NEW"].map(|name| &call[name]);
        format!("{action} {provider} {old}→{new}")
    };
    calls(daemon).iter().map(told).collect()
}

/// Waits until these transitions were reported, after the first `known` ones.
pub fn wait_for_transitions(daemon: &Daemon, known: usize, wanted: &[&str]) {
    let so = || {
        transitions(daemon)
            .get(known..)
            .is_some_and(|news| wanted.iter().all(|w| news.iter().any(|n| n == w)))
    };
    assert!(
        wait_until(SOON, so),
        "{wanted:?} not in {:?}\n{}",
        transitions(daemon),
        daemon.log()
    );
}

#[test]
fn transitions_are_reported_with_all_variables() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = with_hooks(&lab, &[("10-record", RECORDER, 0o755)]);
        daemon.launch();
        daemon.wait_for_all("online");
        wait_for_transitions(
            &daemon,
            0,
            &[
                "swap isp1 →isp1",
                "online isp1 waiting→online",
                "online isp2 waiting→online",
            ],
        );

        let known = calls(&daemon).len();
        lab.upstream_dies(1);
        wait_for_transitions(
            &daemon,
            known,
            &["swap isp2 isp1→isp2", "offline isp1 online→offline"],
        );
        let all = calls(&daemon);
        let offline = all.iter().find(|call| call["ACTION"] == "offline").unwrap();
        assert_eq!(
            (offline["DEVICE"].as_str(), offline["FAMILY"].as_str()),
            ("eth1", "ipv4")
        );
        assert!(
            offline["REASON"].starts_with("3 rounds failed"),
            "{}",
            offline["REASON"]
        );
        assert!(
            offline["LOSS"].parse::<f32>().unwrap() > 0.0,
            "{}",
            offline["LOSS"]
        );
        assert!(
            offline["RTT"].parse::<f32>().unwrap() > 0.0,
            "{}",
            offline["RTT"]
        );
        let swap = all.iter().rfind(|call| call["ACTION"] == "swap").unwrap();
        assert_eq!(swap["REASON"], "isp1 is offline");

        let known = all.len();
        lab.upstream_returns(1);
        wait_for_transitions(
            &daemon,
            known,
            &["online isp1 offline→online", "swap isp1 isp2→isp1"],
        );
        let known = calls(&daemon).len();
        daemon.must(&["use", "isp2"]);
        wait_for_transitions(&daemon, known, &["pin isp2 →isp2", "swap isp2 isp1→isp2"]);
        let known = calls(&daemon).len();
        daemon.must(&["use", "auto"]);
        wait_for_transitions(&daemon, known, &["pin  isp2→"]);

        // Transitions reported by the previous run are not reported again.
        daemon.wait_for_all("online");
        assert!(leads_in(&lab, 1, Family::V4));
        assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
        let known = transitions(&daemon).len();
        daemon.terminate();
        daemon.launch();
        daemon.wait_for_all("online");
        assert_eq!(transitions(&daemon)[known..], [""; 0]);

        // Nor are a pin, and the frozen paths when it ends.
        daemon.must(&["use", "isp2"]);
        wait_for_transitions(&daemon, known, &["pin isp2 →isp2", "swap isp2 isp1→isp2"]);
        assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
        let known = transitions(&daemon).len();
        daemon.kill9();
        daemon.launch();
        assert_eq!(daemon.path_state("isp1", "ipv4"), "frozen");
        daemon.must(&["use", "auto"]);
        wait_for_transitions(&daemon, known, &["swap isp1 isp2→isp1"]);
        assert_eq!(
            transitions(&daemon)[known..],
            ["pin  isp2→", "swap isp1 isp2→isp1"]
        );
    });
}

/// No provider can have a route: status, explain, hooks and log agree, and report it once.
#[test]
fn a_family_without_any_route_is_reported() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = with_hooks(&lab, &[("10-record", RECORDER, 0o755)]);
        daemon.launch();
        daemon.wait_for_all("online");
        wait_for_transitions(&daemon, 0, &["online isp2 waiting→online"]);
        assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
        lab.device_down(1);
        wait_for_transitions(&daemon, 3, &["swap isp2 isp1→isp2"]);
        lab.device_down(2);
        wait_for_transitions(&daemon, 3, &["swap  isp2→"]);
        let all = calls(&daemon);
        let swap = all.iter().rfind(|call| call["ACTION"] == "swap").unwrap();
        let why = "no provider can have a default route";
        assert_eq!(
            (&swap["FAMILY"], swap["REASON"].as_str()),
            (&"ipv4".to_owned(), why)
        );
        assert!(daemon.status()["active"]["ipv4"].is_null());
        for provider in ["isp1", "isp2"] {
            let text = daemon.must(&["explain", provider]);
            let words = "No provider carries ipv4: none can have a default route.";
            assert!(text.contains(words), "{text}");
            assert!(!text.contains("It carries"), "{text}");
        }
        assert_eq!(daemon.logged(why), 1, "{}", daemon.log());

        // The next run knows that it was reported.
        assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
        let known = transitions(&daemon).len();
        daemon.kill9();
        daemon.launch();
        lab.device_up(2);
        wait_for_transitions(&daemon, known, &["swap isp2 →isp2"]);
        assert_eq!(daemon.logged(why), 1, "{}", daemon.log());
        assert_eq!(transitions(&daemon)[known], "swap isp2 →isp2");
        let all = calls(&daemon);
        let swap = all.iter().rfind(|call| call["ACTION"] == "swap").unwrap();
        assert_eq!(swap["REASON"], "it has a route again");
    });
}

#[test]
fn hotplug_scripts_and_ubus_run_first() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = with_hooks(&lab, &[("z", RECORDER, 0o755)]);
        daemon.install("hotplug-call", RECORDER);
        daemon.install("ubus", RECORDER);
        daemon.launch();
        daemon.wait_for_all("online");
        wait_for_transitions(&daemon, 0, &["online isp2 waiting→online"]);
        let first: Vec<String> = calls(&daemon)[..3]
            .iter()
            .map(|call| call["CALL"].clone())
            .collect();
        assert_eq!(
            (first[0].as_str(), first[2].as_str()),
            ("hotplug-call failover", "z ")
        );
        let json = first[1].strip_prefix("ubus send failover ").unwrap();
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(
            (&json["action"], &json["new"]),
            (&"swap".into(), &"isp1".into())
        );
    });
}

#[test]
fn only_executables_are_run_sorted_by_name() {
    in_lab(|| {
        let lab = Lab::new();
        let hooks = [
            ("20-b", RECORDER, 0o755),
            ("10-a", "#!/bin/sh\nexit 3\n", 0o755),
            ("15-not-executable", RECORDER, 0o644),
            ("20-b~", RECORDER, 0o755),
            (".hidden", RECORDER, 0o755),
            ("20-b.dpkg-old", RECORDER, 0o755),
            ("30-c", RECORDER, 0o755),
        ];
        let mut daemon = with_hooks(&lab, &hooks);
        daemon.launch();
        daemon.wait_for_all("online");
        // The last program of the second transition comes after all others.
        assert!(wait_until(SOON, || calls(&daemon).len() >= 4));
        let names: Vec<String> = calls(&daemon)[..4]
            .iter()
            .map(|call| call["CALL"].clone())
            .collect();
        assert_eq!(names, ["20-b ", "30-c ", "20-b ", "30-c "]);
        daemon.logged("10-a ended with exit code 3");
    });
}

#[test]
fn a_slow_hook_gets_the_final_state() {
    in_lab(|| {
        let lab = Lab::new();
        let slow = format!("{RECORDER}\n[ \"$ACTION\" = swap ] && sleep 3\n");
        let mut daemon = with_hooks(&lab, &[("slow", &slow, 0o755)]);
        daemon.launch();
        daemon.wait_for_all("online");
        wait_for_transitions(&daemon, 0, &["swap isp1 →isp1"]);
        // While it sleeps, isp1 fails and returns: this is no transition in the end.
        lab.pull_cable(1);
        assert!(leads_in(&lab, 2, Family::V4));
        lab.plug_cable(1);
        daemon.wait_for_all("online");
        wait_for_transitions(
            &daemon,
            0,
            &["online isp1 waiting→online", "online isp2 waiting→online"],
        );
        assert!(wait_until(SOON, || children(daemon.pid()).is_empty()));
        let offline = transitions(&daemon)
            .iter()
            .filter(|told| told.starts_with("offline"))
            .count();
        assert_eq!(offline, 0, "{:?}", transitions(&daemon));
    });
}

/// Hotplug scripts run long tasks in the background.
#[test]
fn background_processes_of_a_hook_keep_running() {
    in_lab(|| {
        let lab = Lab::new();
        let hook = "#!/bin/sh\n(while [ ! -e \"$RECORDS/.go\" ]; do sleep 0.1; done; touch \"$RECORDS/.done\") &\n";
        let hooks = [("10-leaves", hook, 0o755), ("20-record", RECORDER, 0o755)];
        let mut daemon = with_hooks(&lab, &hooks);
        daemon.launch();
        daemon.wait_for_all("online");
        // The next one runs when the first has ended.
        wait_for_transitions(&daemon, 0, &["online isp2 waiting→online"]);
        let idle = || children(daemon.pid()).is_empty();
        assert!(wait_until(SOON, idle));
        assert!(!daemon.file("records/.done").exists());
        fs::write(daemon.file("records/.go"), "").unwrap();
        let done = || daemon.file("records/.done").exists();
        assert!(wait_until(SOON, done), "{}", daemon.log());
    });
}

/// As under systemd: two capabilities, for the daemon and its children.
#[test]
fn a_confined_daemon_and_its_hooks_may_change_routes_and_send_probes() {
    in_lab(|| {
        let lab = Lab::new();
        let hook = "#!/bin/sh\ngrep ^Cap /proc/self/status > \"$RECORDS/.caps\"\n";
        let mut daemon = with_hooks(&lab, &[("10-look", hook, 0o755)]);
        daemon.set("FAILOVER_CONFINED", "1".to_owned());
        daemon.launch();
        daemon.wait_for_all("online");
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, Family::V4));
        let capabilities = |status: &str| -> Vec<String> {
            let lines = status.lines().filter(|line| line.starts_with("Cap"));
            lines.map(|line| line.replace('\t', "")).collect()
        };
        let two = |name: &str| format!("{name}:0000000000003000");
        let none = |name: &str| format!("{name}:0000000000000000");
        let expected = [
            none("CapInh"),
            two("CapPrm"),
            two("CapEff"),
            two("CapBnd"),
            none("CapAmb"),
        ];
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
        assert_eq!(capabilities(&status), expected);
        let caps = daemon.file("records/.caps");
        assert!(wait_until(SOON, || caps.exists()), "{}", daemon.log());
        let heard = || capabilities(&fs::read_to_string(&caps).unwrap()) == expected;
        assert!(
            wait_until(SOON, heard),
            "{}",
            fs::read_to_string(&caps).unwrap()
        );
        assert!(daemon.terminate().success());
    });
}

#[test]
fn a_hook_that_hangs_is_killed_and_blocks_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let hangs = "#!/bin/sh\ntrap '' TERM\nsleep 100 & sleep 100\n";
        let mut daemon = with_hooks(
            &lab,
            &[("10-hangs", hangs, 0o755), ("20-record", RECORDER, 0o755)],
        );
        daemon.launch();
        daemon.wait_for_all("online");
        let begun = Instant::now();
        lab.upstream_dies(1);
        assert!(leads_in(&lab, 2, Family::V4));
        assert!(calls(&daemon).is_empty(), "one runs at a time");
        let patience = Duration::from_secs(40);
        assert!(
            wait_until(patience, || !calls(&daemon).is_empty()),
            "{}",
            daemon.log()
        );
        assert!(begun.elapsed() > Duration::from_secs(20));
        daemon.logged("10-hangs was killed");
        daemon.terminate();
    });
}

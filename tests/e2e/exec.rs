//! Commands as checks: their environment, the result of their exit status, and that none is left running.

use std::fs;
use std::time::Duration;

use super::inspect::{Usage, children, path};
use super::lab::rights::in_lab;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads, leads_in, online_with};

/// Only `exec` checks: this command in IPv4, `true` in IPv6.
fn only(lab: &Lab, command: &str) -> Settings {
    let mut settings = Settings::fast(lab).global("up", "3");
    for (check, command, family) in [("google", command, "ipv4"), ("google6", "true", "ipv6")] {
        settings = settings
            .with("check", check, "type", "exec")
            .without("check", check, "target")
            .with("check", check, "command", command)
            .with("check", check, "family", family);
    }
    settings
}

/// A started daemon with a script as its only check in IPv4; `$D` is the daemon's directory.
fn with_script<'lab>(
    lab: &'lab Lab,
    script: &str,
    settings: impl Fn(&Lab, &str) -> Settings,
) -> Daemon<'lab> {
    let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(lab));
    let file = daemon.file("check.sh").display().to_string();
    let directory = file.trim_end_matches("/check.sh");
    fs::write(&file, format!("D={directory}\n{script}\n")).unwrap();
    daemon.configure(&settings(lab, &format!("exec sh {file}")));
    daemon.launch();
    daemon
}

#[test]
fn commands_have_their_check_in_the_environment() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = with_script(
            &lab,
            // Renamed when it is whole: the next command may be writing when it is read.
            "env > $D/new.$$; mv $D/new.$$ $D/env.$PROVIDER; ls -l /proc/self/fd > $D/new.$$; mv $D/new.$$ $D/fds; grep ^Sig /proc/self/status > $D/new.$$; mv $D/new.$$ $D/signals",
            only,
        );
        daemon.wait_for_all("online");
        for provider in &lab.providers {
            let told = fs::read_to_string(daemon.file(&format!("env.{}", provider.name))).unwrap();
            let addresses = provider.addresses();
            for (name, value) in [
                ("PROVIDER", provider.name.clone()),
                ("DEVICE", provider.device.clone()),
                ("ADDRESS", addresses.own_v4.to_string()),
                ("GATEWAY", addresses.gateway_v4.to_string()),
                ("FAMILY", "ipv4".to_owned()),
            ] {
                assert!(
                    told.lines().any(|l| l == format!("{name}={value}")),
                    "{name}={value} is not in\n{told}"
                );
            }
            assert!(told.lines().any(|l| l.starts_with("TARGET=")), "{told}");
        }
        // 0, 1, 2, and the one that `ls` reads.
        let fds = fs::read_to_string(daemon.file("fds")).unwrap();
        let fds = fds.lines().filter(|line| line.contains("->"));
        let inherited: Vec<&str> = fds
            .filter(|line| {
                !line.contains("/dev/null") && !line.contains("/proc/") && !line.contains("/new.")
            })
            .collect();
        assert!(inherited.is_empty(), "{inherited:?}");
        let signals = fs::read_to_string(daemon.file("signals")).unwrap();
        for kind in ["SigBlk", "SigIgn"] {
            let mask = signals.lines().find_map(|l| l.strip_prefix(kind)).unwrap();
            let mask = u64::from_str_radix(mask.trim_start_matches(':').trim(), 16).unwrap();
            // The C library keeps signals 32 and 33 to itself.
            assert_eq!(mask & !(3 << 31), 0, "{signals}");
        }
    });
}

#[test]
fn in_ipv6() {
    in_lab(|| {
        let lab = Lab::new();
        let script = "echo $FAMILY $ADDRESS $GATEWAY $TARGET > $D/told.$PROVIDER";
        let daemon = with_script(&lab, script, |lab, command| {
            only(lab, "true")
                .with("check", "google6", "command", command)
                .with("check", "google6", "target", "example.org")
        });
        daemon.wait_for_all("online");
        let a = lab.provider(2).addresses();
        let expected = format!("ipv6 {} {} example.org", a.own_v6, a.gateway_v6);
        let told = || fs::read_to_string(daemon.file("told.isp2")).unwrap_or_default();
        let right = wait_until(SOON, || told().trim() == expected);
        assert!(right, "{} is not {expected}\n{}", told(), daemon.log());
    });
}

/// Exit 0 is success; any other status is a failure, and the journal has it.
#[test]
fn an_exit_status_is_a_verdict() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = with_script(
            &lab,
            "exit $(cat $D/status.$PROVIDER 2>/dev/null || echo 0)",
            only,
        );
        daemon.wait_for_all("online");
        assert!(leads(&lab, 1));
        fs::write(daemon.file("status.isp1"), "7").unwrap();
        daemon.wait_for("isp1", "ipv4", "offline");
        let journal = daemon.must(&["log"]);
        let line = journal
            .lines()
            .find(|l| l.contains("isp1") && l.contains("offline"))
            .unwrap();
        assert!(line.contains('7'), "{line}");
        // The other family is not affected.
        assert_eq!(daemon.path_state("isp1", "ipv6"), "online");
        fs::remove_file(daemon.file("status.isp1")).unwrap();
        daemon.wait_for_all("online");
        // A command that does not exist is a failure.
        fs::write(daemon.file("status.isp1"), "$(/nowhere/at/all)").unwrap();
        daemon.wait_for("isp1", "ipv4", "offline");
    });
}

/// A command that hangs is killed at its timeout, with its process group; and there is one at a time.
#[test]
fn a_hanging_command_is_killed_with_its_group() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = with_script(
            &lab,
            "[ -e $D/hang ] || exit 0; echo begin >> $D/runs.$PROVIDER; trap '' TERM; sleep 64 & sleep 64; echo end >> $D/runs.$PROVIDER",
            only,
        );
        daemon.wait_for_all("online");
        fs::write(daemon.file("hang"), "").unwrap();
        daemon.wait_for("isp1", "ipv4", "offline");
        daemon.wait_for("isp2", "ipv4", "offline");
        let mut most = 0;
        for _ in 0..50 {
            most = most.max(children(daemon.pid()).len());
            std::thread::sleep(Duration::from_millis(20));
        }
        // One per path in IPv4, and perhaps one `true` per path in IPv6.
        assert!((1..=4).contains(&most), "{most}");
        let journal = daemon.must(&["log"]);
        let line = journal.lines().find(|l| l.contains("offline")).unwrap();
        assert!(
            line.contains("timed out") || line.contains("unanswered"),
            "{line}"
        );
        let runs = fs::read_to_string(daemon.file("runs.isp1")).unwrap();
        assert!(!runs.contains("end") && runs.lines().count() >= 3, "{runs}");
        fs::remove_file(daemon.file("hang")).unwrap();
        daemon.wait_for_all("online");
        let orphans = || {
            let all = lab.router.output(&["pgrep", "-f", "-x", "sleep 64"]);
            String::from_utf8_lossy(&all.stdout).into_owned()
        };
        // Other tests do not sleep for 64 s.
        assert!(wait_until(SOON, || orphans().is_empty()), "{}", orphans());
        let none = || {
            children(daemon.pid())
                .iter()
                .all(|(_, state)| *state != 'Z')
        };
        assert!(wait_until(SOON, none), "{:?}", children(daemon.pid()));
    });
}

/// At the daemon's end, hanging commands are killed, or end by themselves; a clean stop leaves none.
#[test]
fn a_stop_kills_the_commands() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = only(&lab, "exec sleep 63").global("timeout", "6");
        let mut daemon = Daemon::start(&lab.router, &settings);
        let running = || {
            let all = lab.router.output(&["pgrep", "-f", "-x", "sleep 63"]);
            String::from_utf8_lossy(&all.stdout).lines().count()
        };
        assert!(wait_until(SOON, || running() == 2), "{}", daemon.log());
        assert!(daemon.terminate().success());
        assert!(wait_until(SOON, || running() == 0));
    });
}

/// Slower than its interval: it runs less often, and its last result holds in between.
#[test]
fn a_slow_command_is_not_started_again_before_it_ends() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = only(&lab, "sleep 0.25").global("timeout", "2");
        let daemon = online_with(&lab, &settings);
        let before = daemon.status();
        std::thread::sleep(Duration::from_secs(2));
        let after = daemon.status();
        let sent = |status| {
            path(status, "isp1", "ipv4")["checks"][0]["sent"]
                .as_u64()
                .unwrap()
        };
        let asked = sent(&after) - sent(&before);
        assert!((4..=9).contains(&asked), "{asked} in two seconds\n{after}");
        assert!(
            daemon.path_states().iter().all(|(_, _, s)| s == "online"),
            "{}",
            daemon.log()
        );
        assert!(
            !daemon.whole_log().contains("→ offline"),
            "{}",
            daemon.log()
        );
    });
}

/// With a ping beside it: one of them is enough, or both must answer.
#[test]
fn beside_a_ping() {
    in_lab(|| {
        for (quorum, one_is_enough) in [("1", true), ("all", false)] {
            let lab = Lab::new();
            let script = "[ $PROVIDER != isp1 ] || [ ! -e $D/bad ]";
            let daemon = with_script(&lab, script, |lab, command| {
                Settings::fast(lab)
                    .global("quorum", quorum)
                    .with("check", "own", "type", "exec")
                    .with("check", "own", "command", command)
                    .with("check", "own", "family", "ipv4")
            });
            daemon.wait_for_all("online");
            fs::write(daemon.file("bad"), "").unwrap();
            if one_is_enough {
                std::thread::sleep(Duration::from_secs(1));
                assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
                assert!(leads(&lab, 1));
                lab.upstream_dies(1);
            }
            daemon.wait_for("isp1", "ipv4", "offline");
            assert!(leads_in(&lab, 2, Family::V4));
        }
    });
}

/// Runs once a second among rounds of 100 ms; its result holds in between, good or bad.
#[test]
fn with_an_interval_of_its_own() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = with_script(&lab, "[ ! -e $D/bad ]", only);
        let text = fs::read_to_string(daemon.file("failover.conf")).unwrap();
        daemon.configure_raw(&text.replace(
            "config check 'google'\n",
            "config check 'google'\n\toption interval '1s'\n",
        ));
        daemon.must(&["reload"]);
        daemon.wait_for_all("online");
        let sent = || {
            path(&daemon.status(), "isp1", "ipv4")["checks"][0]["sent"]
                .as_u64()
                .unwrap()
        };
        let before = sent();
        std::thread::sleep(Duration::from_millis(3000));
        let asked = sent() - before;
        assert!((2..=4).contains(&asked), "{asked} in three seconds");
        assert_eq!(daemon.path_state("isp1", "ipv4"), "online");
        fs::write(daemon.file("bad"), "").unwrap();
        daemon.wait_for("isp1", "ipv4", "offline");
        fs::remove_file(daemon.file("bad")).unwrap();
        daemon.wait_for("isp1", "ipv4", "online");
    });
}

/// Ten commands per second and path, for some seconds: no process is left, no memory grows.
#[test]
fn many_commands_leave_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &only(&lab, "true"));
        std::thread::sleep(Duration::from_secs(1));
        let before = Usage::of(&daemon);
        std::thread::sleep(Duration::from_secs(3));
        let after = Usage::of(&daemon);
        assert_eq!(after.descriptors, before.descriptors);
        assert!(
            after.memory_kb <= before.memory_kb + 32,
            "{before:?} {after:?}"
        );
        let no_zombie = || {
            children(daemon.pid())
                .iter()
                .all(|(_, state)| *state != 'Z')
        };
        assert!(wait_until(SOON, no_zombie));
        assert!(
            !daemon.whole_log().contains("→ offline"),
            "{}",
            daemon.log()
        );
    });
}

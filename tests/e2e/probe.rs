//! The command `probe`, with and without a running daemon.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;

use super::checks::bound::{all_servers, all_types};
use super::checks::{bare, target};
use super::inspect::{Monitor, counter, ours};
use super::lab::daemon::program;
use super::lab::namespace::mortal;
use super::lab::rights::in_lab;
use super::lab::servers::dns::Behaviour as Dns;
use super::lab::servers::http::Behaviour as Http;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, online};

fn all_output(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// Runs `probe`, which must exit with this status; returns its output.
fn probe(daemon: &Daemon, words: &[&str], status: i32) -> String {
    let output = daemon.command(&[&["probe"], words].concat());
    let text = all_output(&output);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {text}");
    text
}

/// Starts a long `probe`.
fn begin(lab: &Lab, daemon: &Daemon, provider: &str) -> Child {
    let mut command = mortal(program().to_str().unwrap());
    command
        .args([
            "probe",
            provider,
            "--count",
            "10000",
            "--interval",
            "20ms",
            "--config",
        ])
        .arg(daemon.file("failover.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let child = lab.router.spawn(command).unwrap();
    assert!(wait_until(SOON, || ours(lab) > 0), "it has no way out");
    child
}

fn end(child: &mut Child, signal: Signal) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, signal).unwrap();
    let ended = wait_until(SOON, || child.try_wait().unwrap().is_some());
    assert!(ended, "it goes on after {signal}");
    child.wait().unwrap().code()
}

#[test]
fn without_a_daemon() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        for provider in &lab.providers {
            let text = probe(&daemon, &[&provider.name], 0);
            for family in Family::ALL {
                let (own, gateway) = (provider.own(family), provider.gateway_address(family));
                let device = &provider.device;
                for part in [
                    format!("{family} by {device}, from {own}, gateway {gateway}:\n"),
                    format!(" (ping {}): answered in ", target(family)),
                ] {
                    assert!(text.contains(&part), "'{part}' is not in\n{text}");
                }
            }
            assert_eq!(ours(&lab), 0, "something is left");
        }
        lab.upstream_dies(1);
        let text = probe(&daemon, &["isp1"], 1);
        assert_eq!(text.matches("): unanswered\n").count(), 2, "{text}");
        lab.pull_cable(1);
        let text = probe(&daemon, &["isp1"], 1);
        assert_eq!(text.matches("): no carrier\n").count(), 2, "{text}");
        assert_eq!(ours(&lab), 0, "something is left");
        // The other provider is unchanged.
        probe(&daemon, &["isp2"], 0);
    });
}

/// A provider without a policy table, and one that is not in use, can be probed too.
#[test]
fn a_provider_that_is_not_used() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab)
            .provider("isp1", "rt_table", "none")
            .provider("isp2", "enabled", "0");
        let mut daemon = Daemon::prepare(&lab.router, &settings);
        probe(&daemon, &["isp1"], 0);
        probe(&daemon, &["isp2"], 0);
        assert_eq!(ours(&lab), 0, "something is left");
        daemon.launch();
        probe(&daemon, &["isp1"], 0);
    });
}

#[test]
fn beside_a_daemon() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        let before = (ours(&lab), daemon.journal());
        let monitor = Monitor::start(&lab, &daemon);
        let words = ["--count", "20", "--interval", "10ms"];
        for provider in ["isp1", "isp2"] {
            let text = probe(&daemon, &[&words[..], &[provider]].concat(), 0);
            assert_eq!(
                text.matches("): 20 of 20 answered, in ").count(),
                2,
                "{text}"
            );
        }
        lab.upstream_dies(2);
        probe(&daemon, &["isp2"], 1);
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        assert_eq!(ours(&lab), before.0);
        assert!(daemon.journal().starts_with(&before.1));
        // The second provider's failure changes the metric of its route.
        assert_eq!(monitor.deleted(), Vec::<String>::new());
        assert_eq!(counter(&daemon, "replies_rejected"), 0);
        assert_eq!(counter(&daemon, "repairs"), 0);
    });
}

/// A daemon that does not manage the provider has no route for its probes: this is reported, and the line is not called
/// dead.
#[test]
fn of_a_provider_that_the_daemon_does_not_manage() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab).provider("isp2", "enabled", "0");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for("isp1", "ipv4", "online");
        let text = probe(&daemon, &["isp2"], 69);
        assert!(text.contains("keeps no route for probes of isp2"), "{text}");
        drop(daemon);
        let mut daemon = Daemon::prepare(&lab.router, &settings);
        probe(&daemon, &["isp2"], 0);
        daemon.launch();
    });
}

#[test]
fn by_all_types() {
    in_lab(|| {
        let lab = Lab::builder().providers(1).build().carrying();
        let servers = all_servers(&lab, 1);
        let mut settings = bare(&lab);
        for family in Family::ALL {
            settings = all_types(settings, "isp1", family);
        }
        let mut daemon = Daemon::prepare(&lab.router, &settings);
        for with_daemon in [false, true] {
            if with_daemon {
                daemon.launch();
                daemon.wait_for_all("online");
            }
            let text = probe(&daemon, &["isp1"], 0);
            assert_eq!(text.matches("): answered in ").count(), 12, "{text}");
            for (family, (dns, http)) in Family::ALL.into_iter().zip(&servers) {
                let (at, name) = (target(family), family.name());
                let ask = |kind: &str| probe(&daemon, &["isp1", &format!("{kind}_{name}")], 1);
                dns.set(Dns::Rcode(2));
                http.set(Http::Redirect);
                let text = ask("dns");
                assert!(
                    text.contains(&format!("(dns {at}): answers with SERVFAIL\n")),
                    "{text}"
                );
                let text = ask("http");
                let portal = "answers with status 302 (a captive portal?)";
                assert!(text.contains(&format!("(http {at}): {portal}\n")), "{text}");
                let text = ask("named");
                assert!(
                    text.contains("(http www.example.com): name not resolved\n"),
                    "{text}"
                );
                http.set(Http::Refuses);
                // The change takes a moment.
                let fails_with = |kind: &str, what: &str| {
                    let check = format!("{kind}_{name}");
                    let output = daemon.command(&["probe", "isp1", &check]);
                    output.status.code() == Some(1) && all_output(&output).contains(what)
                };
                let refused = || fails_with("tcp", "connection refused\n");
                assert!(wait_until(SOON, refused));
                http.set(Http::Silent);
                let silent = || fails_with("http", "accepts, but does not answer\n");
                assert!(wait_until(SOON, silent));
                dns.set(Dns::Right(at, 0));
                http.set(Http::NoContent);
            }
        }
        daemon.terminate();
        assert_eq!(ours(&lab), 0, "something is left");
    });
}

#[test]
fn so_many_so_often() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let words = ["isp1", "google", "--count", "5", "--interval", "50ms"];
        let begun = std::time::Instant::now();
        let text = probe(&daemon, &words, 0);
        assert!(begun.elapsed() >= std::time::Duration::from_millis(200));
        assert_eq!(text.matches("): answered in ").count(), 5, "{text}");
        assert_eq!(text.matches("): 5 of 5 answered, in ").count(), 1, "{text}");
        assert!(
            !text.contains("google6") && !text.contains("ipv6"),
            "{text}"
        );
        lab.upstream_dies(1);
        let text = probe(&daemon, &words, 1);
        assert_eq!(text.matches("): unanswered\n").count(), 5, "{text}");
        assert!(text.contains("): 0 of 5 answered\n"), "{text}");
        assert_eq!(ours(&lab), 0, "something is left");
    });
}

#[test]
fn wrong_words() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let text = probe(&daemon, &["isp3"], 64);
        assert!(text.contains("isp3") && text.contains("isp1"), "{text}");
        let text = probe(&daemon, &["isp1", "gogle"], 64);
        assert!(
            text.contains("there is no check 'gogle' (did you mean google?)"),
            "{text}"
        );
        probe(&daemon, &["isp1", "--count", "0"], 64);
        probe(&daemon, &["isp1", "--interval", "never"], 64);
        probe(&daemon, &[], 64);
        assert_eq!(ours(&lab), 0);
        // A user without the rights is told so, before anything is done.
        let file = daemon.file("failover.conf");
        let command = [
            "setpriv",
            "--reuid",
            "65534",
            "--clear-groups",
            program().to_str().unwrap(),
            "probe",
            "isp1",
            "--config",
            file.to_str().unwrap(),
        ]
        .map(str::to_owned);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = lab.router.output(&command);
        let text = all_output(&output);
        assert_eq!(output.status.code(), Some(77), "{text}");
        assert!(text.contains("CAP_NET_ADMIN"), "{text}");
    });
}

#[test]
fn ended_at_any_time() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let mut child = begin(&lab, &daemon, "isp1");
            let status = end(&mut child, signal);
            assert!(matches!(status, Some(0 | 1)), "{signal}: {status:?}");
            assert_eq!(ours(&lab), 0, "something is left after {signal}");
        }
        // What a killed one leaves does not disturb the next one, and is removed by the next daemon.
        end(&mut begin(&lab, &daemon, "isp1"), Signal::SIGKILL);
        let left = ours(&lab);
        assert!(left > 0);
        probe(&daemon, &["isp1"], 0);
        assert_eq!(ours(&lab), left);
        daemon.launch();
        daemon.wait_for_all("online");
        daemon.terminate();
        assert_eq!(ours(&lab), 0, "{}", daemon.log());
    });
}

/// The reader of its output is gone.
#[test]
fn ended_by_a_reader_that_is_gone() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let file = daemon.file("failover.conf");
        let line = format!(
            "{} probe isp1 --count 50 --interval 20ms --config {} | head -n 1",
            program().display(),
            file.display()
        );
        lab.router.run(&["timeout", "20", "sh", "-c", &line]);
        assert!(wait_until(SOON, || ours(&lab) == 0), "something is left");
    });
}

/// Tries the netns lock as a second daemon does; false if the result is unknown.
fn look() -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
    let name = UnixAddr::new(&*lock_file("sock")).unwrap();
    connect(socket.as_raw_fd(), &name).is_ok()
}

/// A file of the netns lock.
fn lock_file(extension: &str) -> PathBuf {
    let namespace = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    PathBuf::from(format!("/var/run/failover/netns-{namespace}.{extension}"))
}

/// Only root can keep a daemon from starting, or hide two daemons from each other.
#[test]
fn no_user_can_take_the_netns_lock() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = online(&lab);
        daemon.kill9();
        let lock = lab.router.enter(|| lock_file("lock"));
        for file in [daemon.file("state/lock"), lock] {
            let locked = std::process::Command::new("setpriv")
                .args(["--reuid=65534", "--clear-groups", "flock", "-n"])
                .arg(&file)
                .arg("true")
                .output()
                .unwrap();
            let text = all_output(&locked);
            assert!(
                !locked.status.success() && text.contains("Permission denied"),
                "{text}"
            );
        }
        daemon.launch();
        let second = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        assert_eq!(
            second.command(&["run", "--foreground"]).status.code(),
            Some(69)
        );
        daemon.wait_for_all("online");
        assert!(daemon.terminate().success());
        assert!(!lab.router.enter(|| lock_file("lock").exists()));
    });
}

/// However often the lock is tried, the next process finds the daemon.
#[test]
fn a_daemon_is_found_each_time() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        let before = ours(&lab);
        for _ in 0..200 {
            let looked = wait_until(SOON, || lab.router.enter(look));
            assert!(looked, "the daemon does not close connections");
        }
        let text = probe(&daemon, &["isp1"], 0);
        assert!(!text.contains("warning"), "{text}");
        let second = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let output = second.command(&["run", "--foreground"]);
        let text = all_output(&output);
        assert_eq!(output.status.code(), Some(69), "{text}");
        assert!(text.contains(&daemon.pid().to_string()), "{text}");
        assert_eq!(ours(&lab), before);
    });
}

/// A second `probe` would lose its routes when the first ends.
#[test]
fn one_at_a_time() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let mut first = begin(&lab, &daemon, "isp1");
        let holder = |child: &Child| format!("process {} makes checks by hand here", child.id());
        for provider in ["isp1", "isp2"] {
            let text = probe(&daemon, &[provider], 69);
            assert!(text.contains(&holder(&first)), "{text}");
        }
        // A starting daemon does not wait: `probe` ends to make room for it.
        daemon.launch();
        let ended = wait_until(SOON, || first.try_wait().unwrap().is_some());
        assert!(ended, "it goes on beside a daemon");
        daemon.wait_for_all("online");
        probe(&daemon, &["isp2"], 0);
    });
}

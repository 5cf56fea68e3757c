//! `probe`: checks that a person makes, with a daemon and without one.

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

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    format!("{out}{err}")
}

/// Probes, which must end like that; what was said.
fn probe(daemon: &Daemon, words: &[&str], status: i32) -> String {
    let output = daemon.command(&[&["probe"], words].concat());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
    said
}

/// A long one that goes on meanwhile.
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
            let said = probe(&daemon, &[&provider.name], 0);
            for family in Family::ALL {
                let (own, gateway) = (provider.own(family), provider.gateway_address(family));
                let device = &provider.device;
                for part in [
                    format!("{family} by {device}, from {own}, gateway {gateway}:\n"),
                    format!(" (ping {}): answered in ", target(family)),
                ] {
                    assert!(said.contains(&part), "'{part}' is not in\n{said}");
                }
            }
            assert_eq!(ours(&lab), 0, "something is left");
        }
        lab.upstream_dies(1);
        let said = probe(&daemon, &["isp1"], 1);
        assert_eq!(said.matches("): unanswered\n").count(), 2, "{said}");
        lab.pull_cable(1);
        let said = probe(&daemon, &["isp1"], 1);
        assert_eq!(said.matches("): no carrier\n").count(), 2, "{said}");
        assert_eq!(ours(&lab), 0, "something is left");
        // The other one is as it was.
        probe(&daemon, &["isp2"], 0);
    });
}

/// A provider without a policy table, and one that is not in use, can be looked at too.
#[test]
fn who_is_not_used() {
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
        let before = (ours(&lab), daemon.must(&["log"]));
        let monitor = Monitor::start(&lab, &daemon);
        let words = ["--count", "20", "--interval", "10ms"];
        for provider in ["isp1", "isp2"] {
            let said = probe(&daemon, &[&words[..], &[provider]].concat(), 0);
            assert_eq!(
                said.matches("): 20 of 20 answered, in ").count(),
                2,
                "{said}"
            );
        }
        lab.upstream_dies(2);
        probe(&daemon, &["isp2"], 1);
        lab.upstream_returns(2);
        daemon.wait_for_all("online");
        assert_eq!(ours(&lab), before.0);
        assert!(daemon.must(&["log"]).starts_with(&before.1));
        // The second provider's failure moves its route to another place.
        assert_eq!(monitor.deleted(), Vec::<String>::new());
        assert_eq!(counter(&daemon, "replies_rejected"), 0);
        assert_eq!(counter(&daemon, "repairs"), 0);
    });
}

/// A daemon that does not manage the provider keeps no route for its probes: that is said, and no good line called dead.
#[test]
fn of_a_provider_that_the_daemon_does_not_manage() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab).provider("isp2", "enabled", "0");
        let daemon = Daemon::start(&lab.router, &settings);
        daemon.wait_for("isp1", "ipv4", "online");
        let said = probe(&daemon, &["isp2"], 69);
        assert!(said.contains("keeps no route for probes of isp2"), "{said}");
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
            let said = probe(&daemon, &["isp1"], 0);
            assert_eq!(said.matches("): answered in ").count(), 12, "{said}");
            for (family, (dns, http)) in Family::ALL.into_iter().zip(&servers) {
                let (at, name) = (target(family), family.name());
                let ask = |kind: &str| probe(&daemon, &["isp1", &format!("{kind}_{name}")], 1);
                dns.set(Dns::Rcode(2));
                http.set(Http::Redirect);
                let said = ask("dns");
                assert!(
                    said.contains(&format!("(dns {at}): answers with SERVFAIL\n")),
                    "{said}"
                );
                let said = ask("http");
                let portal = "answers with status 302 (a captive portal?)";
                assert!(said.contains(&format!("(http {at}): {portal}\n")), "{said}");
                let said = ask("named");
                assert!(
                    said.contains("(http www.example.com): name not resolved\n"),
                    "{said}"
                );
                http.set(Http::Refuses);
                // It takes a moment to change its mind.
                let said = |kind: &str, what: &str| {
                    let check = format!("{kind}_{name}");
                    let output = daemon.command(&["probe", "isp1", &check]);
                    output.status.code() == Some(1) && text(&output).contains(what)
                };
                let refused = || said("tcp", "connection refused\n");
                assert!(wait_until(SOON, refused));
                http.set(Http::Silent);
                let silent = || said("http", "accepts, but does not answer\n");
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
        let said = probe(&daemon, &words, 0);
        assert!(begun.elapsed() >= std::time::Duration::from_millis(200));
        assert_eq!(said.matches("): answered in ").count(), 5, "{said}");
        assert_eq!(said.matches("): 5 of 5 answered, in ").count(), 1, "{said}");
        assert!(
            !said.contains("google6") && !said.contains("ipv6"),
            "{said}"
        );
        lab.upstream_dies(1);
        let said = probe(&daemon, &words, 1);
        assert_eq!(said.matches("): unanswered\n").count(), 5, "{said}");
        assert!(said.contains("): 0 of 5 answered\n"), "{said}");
        assert_eq!(ours(&lab), 0, "something is left");
    });
}

#[test]
fn wrong_words() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let said = probe(&daemon, &["isp3"], 64);
        assert!(said.contains("isp3") && said.contains("isp1"), "{said}");
        let said = probe(&daemon, &["isp1", "gogle"], 64);
        assert!(
            said.contains("there is no check 'gogle' (did you mean google?)"),
            "{said}"
        );
        probe(&daemon, &["isp1", "--count", "0"], 64);
        probe(&daemon, &["isp1", "--interval", "never"], 64);
        probe(&daemon, &[], 64);
        assert_eq!(ours(&lab), 0);
        // Whoever may not is told so, before anything is done.
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
        let said = text(&output);
        assert_eq!(output.status.code(), Some(77), "{said}");
        assert!(said.contains("CAP_NET_ADMIN"), "{said}");
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
        // What sudden death leaves does for the next one, and is taken away by the next daemon.
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

/// Nobody listens any more to what it says.
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

/// Looks whether there is a daemon, as another one does; false when that cannot be told now.
fn look() -> bool {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
    let name = UnixAddr::new(&*meeting_place("sock")).unwrap();
    connect(socket.as_raw_fd(), &name).is_ok()
}

/// Where daemons of this network namespace find one another.
fn meeting_place(extension: &str) -> PathBuf {
    let namespace = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
    PathBuf::from(format!("/var/run/failover/netns-{namespace}.{extension}"))
}

/// Only root can keep a daemon from starting, or have two of them not notice one another.
#[test]
fn no_user_can_take_a_daemons_place() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = online(&lab);
        daemon.kill9();
        let lock = lab.router.enter(|| meeting_place("lock"));
        for file in [daemon.file("state/lock"), lock] {
            let locked = std::process::Command::new("setpriv")
                .args(["--reuid=65534", "--clear-groups", "flock", "-n"])
                .arg(&file)
                .arg("true")
                .output()
                .unwrap();
            let said = text(&locked);
            assert!(
                !locked.status.success() && said.contains("Permission denied"),
                "{said}"
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
        assert!(!lab.router.enter(|| meeting_place("lock").exists()));
    });
}

/// However often somebody looks whether there is a daemon, the next one finds it too.
#[test]
fn a_daemon_is_found_each_time() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        let before = ours(&lab);
        for _ in 0..200 {
            let looked = wait_until(SOON, || lab.router.enter(look));
            assert!(looked, "the daemon lets go of nobody");
        }
        let said = probe(&daemon, &["isp1"], 0);
        assert!(!said.contains("warning"), "{said}");
        let second = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let output = second.command(&["run", "--foreground"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(said.contains(&daemon.pid().to_string()), "{said}");
        assert_eq!(ours(&lab), before);
    });
}

/// A second one would lose its way when the first ends.
#[test]
fn one_at_a_time() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let mut first = begin(&lab, &daemon, "isp1");
        let holder = |child: &Child| format!("process {} makes checks by hand here", child.id());
        for provider in ["isp1", "isp2"] {
            let said = probe(&daemon, &[provider], 69);
            assert!(said.contains(&holder(&first)), "{said}");
        }
        // A daemon that starts is not kept waiting: the probe makes room for it.
        daemon.launch();
        let ended = wait_until(SOON, || first.try_wait().unwrap().is_some());
        assert!(ended, "it goes on beside a daemon");
        daemon.wait_for_all("online");
        probe(&daemon, &["isp2"], 0);
    });
}

//! The output of `explain` is true.

use super::checks::with_check;
use super::lab::rights::in_lab;
use super::lab::servers::http::{Behaviour, HttpServer};
use super::lab::topology::target;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, TABLE, leads, leads_in, online, online_with};

/// The output about a provider in a family, without line breaks, and without the `--config` that hints repeat.
pub(super) fn explanation(daemon: &Daemon, provider: &str, family: Family) -> String {
    let all = daemon.must(&["explain", provider]);
    let begins = |line: &str, family: Family| line.starts_with(&format!("{provider} {family} is "));
    let lines = all.lines().skip_while(|line| !begins(line, family));
    let other = Family::ALL.into_iter().find(|other| *other != family);
    let lines = lines.take_while(|line| other.is_none_or(|other| !begins(line, other)));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let file = daemon.file("failover.conf");
    let repeated = format!("`failover --config {} ", file.display());
    words.join(" ").replace(&repeated, "`failover ")
}

/// Asserts that each sentence is in the output about a provider in both families, with `{family}` and `{target}` replaced.
fn assert_explains(daemon: &Daemon, provider: &str, sentences: &[&str]) {
    for family in Family::ALL {
        let whole = explanation(daemon, provider, family);
        for sentence in sentences {
            let sentence = sentence
                .replace("{family}", family.name())
                .replace("{target}", &target(family).to_string());
            assert!(
                whole.contains(&sentence),
                "'{sentence}' is not in: {whole}\n{}",
                daemon.log()
            );
        }
    }
}

fn fails(lab: &Lab, daemon: &Daemon, number: usize) {
    lab.upstream_dies(number);
    for family in Family::ALL {
        daemon.wait_for(&format!("isp{number}"), family.name(), "offline");
    }
}

fn fails_and_returns(lab: &Lab, daemon: &Daemon) {
    fails(lab, daemon, 1);
    assert!(leads(lab, 2), "{}", daemon.log());
    lab.upstream_returns(1);
    daemon.wait_for_all("online");
}

#[test]
fn a_dead_upstream() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        assert!(leads(&lab, 1));
        assert_explains(
            &daemon,
            "isp1",
            &[
                "isp1 {family} is online since ",
                ": 10 good rounds. It carries {family}: it is the first in the order that works.",
                " A round is good when its check is answered. It goes offline after 3 failed rounds in a row; the last ",
                "(ping {target}): asked last at ",
                ": answered; last answer from {target} at ",
            ],
        );
        assert_explains(
            &daemon,
            "isp2",
            &["It stands by: isp1 carries {family}, and is before it in the order."],
        );
        fails(&lab, &daemon, 1);
        assert!(leads(&lab, 2));
        assert_explains(
            &daemon,
            "isp1",
            &[
                "isp1 {family} is offline since ",
                ": 3 rounds failed: {target} unanswered. It is not used: isp2 carries {family}.",
                "It returns after 10 good rounds in a row; the last ",
                " failed. Check google",
                ": unanswered; last answer from {target} at ",
            ],
        );
        assert_explains(
            &daemon,
            "isp2",
            &["It carries {family}: it is the first in the order that works."],
        );
        // The output about all providers is the same.
        let all = daemon.must(&["explain"]);
        assert!(all.contains("isp1 ipv4 is offline") && all.contains("isp2 ipv6 is online"));
    });
}

/// One of three checks is unanswered, which changes no state.
#[test]
fn a_check_that_is_unanswered() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let silent = [("type", "ping"), ("target", "203.0.113.77")];
        let settings = with_check(
            Settings::fast(&lab).ping("second", Family::V4),
            "dumb",
            &silent,
        );
        let daemon = online_with(&lab, &settings);
        let words = "A round is good when 1 of its 3 checks is answered.";
        let whole = explanation(&daemon, "isp1", Family::V4);
        assert!(whole.contains(words), "{whole}");
        let table = || daemon.must(&["status"]);
        let told = || table().contains("check dumb (ping 203.0.113.77) fails for ");
        assert!(wait_until(SOON, told), "{}", table());
        let checks = &daemon.status()["providers"][0]["paths"][0]["checks"];
        let failing = |name: &str| {
            let all = checks.as_array().unwrap();
            let check = all.iter().find(|check| check["name"] == name).unwrap();
            check["failing_s"].as_u64()
        };
        assert!(failing("dumb").is_some_and(|time| time >= 5));
        assert_eq!(failing("second"), None);
        assert!(!table().contains("check second"), "{}", table());
    });
}

#[test]
fn a_portal() {
    in_lab(|| {
        let (lab, family) = (super::checks::two_providers(), Family::V4);
        let servers = [1, 2]
            .map(|n| HttpServer::start(lab.provider(n), target(family), Behaviour::NoContent));
        let at = target(family).to_string();
        let page = [
            ("type", "http"),
            ("target", at.as_str()),
            ("required", "1"),
            ("interval", "100ms"),
        ];
        // On a busy machine a page may take longer than three intervals.
        let settings = Settings::fast(&lab).global("timeout", "3s");
        let daemon = online_with(&lab, &with_check(settings, "page", &page));
        servers[0].set(Behaviour::Redirect);
        assert!(leads_in(&lab, 2, family), "{}", daemon.log());
        let whole = explanation(&daemon, "isp1", family);
        let portal = "answers with status 302 (a captive portal?)";
        for sentence in [
            format!(": 3 rounds failed: {at} {portal}. It is not used: isp2 carries ipv4."),
            format!("Check google (ping {at}): asked last at "),
            format!("Check page (http {at}, required): asked last at "),
            format!(": {portal}; last answer from {at} at "),
        ] {
            assert!(whole.contains(&sentence), "'{sentence}' is not in: {whole}");
        }
    });
}

#[test]
fn a_pulled_cable() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        lab.pull_cable(1);
        assert!(leads(&lab, 2));
        assert_explains(
            &daemon,
            "isp1",
            &[
                "isp1 {family} is waiting since ",
                ": carrier lost. It is not used: isp2 carries {family}. It is ready as soon as eth1 has a carrier",
            ],
        );
        lab.plug_cable(1);
        daemon.wait_for_all("online");
        lab.device_down(1);
        daemon.wait_for("isp1", "ipv4", "waiting");
        let whole = explanation(&daemon, "isp1", Family::V4);
        assert!(whole.contains("It is ready as soon as eth1 is up: `ip link set eth1 up`."));
        lab.remove_device(1);
        let gone = || {
            explanation(&daemon, "isp1", Family::V4).contains("as soon as there is a device eth1")
        };
        assert!(
            wait_until(SOON, gone),
            "{}",
            explanation(&daemon, "isp1", Family::V4)
        );
    });
}

#[test]
fn what_the_user_has_set() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let daemon = online(&lab);
        daemon.must(&["use", "isp2"]);
        assert!(leads(&lab, 2));
        assert_explains(
            &daemon,
            "isp1",
            &[
                "isp1 {family} is frozen since ",
                "It is not used, and not checked: isp2 is pinned, until `failover use auto`.",
            ],
        );
        assert_explains(
            &daemon,
            "isp2",
            &[
                "It carries {family} because it is pinned, until `failover use auto`; no provider is checked meanwhile.",
            ],
        );
        daemon.must(&["use", "auto"]);
        daemon.must(&["disable", "isp1"]);
        daemon.wait_for_all("online");
        assert!(leads(&lab, 2));
        assert_explains(
            &daemon,
            "isp1",
            &["It is not used: it was disabled by hand, until `failover enable isp1`."],
        );
        daemon.must(&["enable", "isp1"]);
        assert!(leads(&lab, 1));
        assert_explains(
            &daemon,
            "isp1",
            &["It carries {family}: it is the first in the order that works."],
        );
    });
}

/// A pin has ended, and the frozen paths are not judged yet.
#[test]
fn after_a_pin() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab).global("up", "30");
        let daemon = online_with(&lab, &settings);
        daemon.must(&["use", "isp2"]);
        assert!(leads(&lab, 2));
        daemon.must(&["use", "auto"]);
        let since = "isp1 {family} is probing since ";
        let cause = ": unpinned by hand.";
        let words = [since, cause, "It is not used: isp2 carries {family}."];
        assert_explains(&daemon, "isp1", &words);
        let until =
            "It carries {family} until isp1, which is before it in the order, is known to work.";
        assert_explains(&daemon, "isp2", &[until]);
        assert!(leads(&lab, 1), "{}", daemon.log());
    });
}

#[test]
fn when_a_provider_returns() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab).global("preempt", "no");
        let mut daemon = online_with(&lab, &settings);
        fails_and_returns(&lab, &daemon);
        assert_explains(
            &daemon,
            "isp1",
            &[
                "It stands by: isp2 carries {family} until that fails, for preempt is no; `failover use isp1` prefers this one.",
            ],
        );
        let better = "isp1 is before it in the order and works again, but preempt lets it stay.";
        assert_explains(&daemon, "isp2", &["It carries {family}: ", better]);
        daemon.terminate();
        daemon.configure(&settings.global("preempt", "30s"));
        daemon.launch();
        daemon.wait_for_all("online");
        fails_and_returns(&lab, &daemon);
        assert_explains(
            &daemon,
            "isp1",
            &[
                "It stands by: preempt lets it take over from isp2 at ",
                ", when it has been online for 30s.",
            ],
        );
        assert!(leads(&lab, 2));
    });
}

fn last_resort(value: &str, leader: usize, sentences: [&str; 2]) {
    let lab = super::checks::two_providers();
    let daemon = online_with(&lab, &Settings::fast(&lab).global("last_resort", value));
    for number in [1, 2] {
        fails(&lab, &daemon, number);
    }
    assert!(leads(&lab, leader), "{}", daemon.log());
    for (number, sentence) in [1, 2].into_iter().zip(sentences) {
        assert_explains(&daemon, &format!("isp{number}"), &[sentence]);
    }
    assert_eq!(lab.router.defaults(Family::V4, TABLE).len(), 2);
}

#[test]
fn the_last_resort_is_the_first() {
    let sentences = [
        "It carries {family} all the same: no enabled provider works, and it is the last resort.",
        "It is not used: isp1 carries {family}.",
    ];
    in_lab(|| last_resort("first", 1, sentences));
}

#[test]
fn the_last_resort_is_to_keep() {
    let sentences = [
        "It is not used: isp2 carries {family}.",
        "It carries {family} all the same: no enabled provider works, and last_resort is keep.",
    ];
    in_lab(|| last_resort("keep", 2, sentences));
}

#[test]
fn the_last_resort_is_to_refuse() {
    in_lab(|| {
        let none = "No provider carries {family}: no enabled provider works, and last_resort is unreachable.";
        last_resort("unreachable", 1, [none, none]);
    });
}

#[test]
fn quality() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let settings = Settings::fast(&lab)
            .global("window", "20")
            .global("max_loss", "30%")
            .global("max_latency", "250ms");
        let daemon = online_with(&lab, &settings);
        let limits = [
            "Its loss may be at most max_loss 30%; it is 0%.",
            "Its latency may be at most max_latency 250ms; it is ",
        ];
        let known = || {
            Family::ALL
                .iter()
                .all(|f| explanation(&daemon, "isp1", *f).contains("it is 0%"))
        };
        assert!(wait_until(SOON, known));
        assert_explains(&daemon, "isp1", &limits);
        // Every other ping.
        let drop = "table inet lossy {
            chain passing {
                type filter hook prerouting priority -300;
                icmp type echo-request numgen inc mod 2 == 0 drop
                icmpv6 type echo-request numgen inc mod 2 == 0 drop
            }
        }";
        lab.provider(1).server.feed(&["nft", "-f", "-"], drop);
        assert!(leads(&lab, 2), "{}", daemon.log());
        assert_explains(
            &daemon,
            "isp1",
            &[
                "isp1 {family} is offline since ",
                ": loss of ",
                "% is above max_loss 30%. It is not used: isp2 carries {family}.",
                "Its loss must come down to recover_loss 23%; it is ",
            ],
        );
    });
}

#[test]
fn an_unknown_provider() {
    in_lab(|| {
        let lab = super::checks::two_providers();
        let mut daemon = online_with(&lab, &Settings::fast(&lab).provider("isp2", "enabled", "0"));
        let all = daemon.must(&["explain"]);
        assert!(all.contains("isp2 is not used: option enabled is '0' in the configuration."));
        let output = daemon.command(&["explain", "isp7"]);
        assert_eq!(output.status.code(), Some(64));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(
            complaint.contains("isp7") && complaint.contains("isp1"),
            "{complaint}"
        );

        daemon.terminate();
        let output = daemon.command(&["explain", "isp1"]);
        assert_eq!(output.status.code(), Some(69));
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains("no daemon"), "{complaint}");
        assert!(output.stdout.is_empty());
    });
}

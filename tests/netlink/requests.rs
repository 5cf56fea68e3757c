//! The kernel carries out our requests, and foreign routes and rules are not changed.

use failover::routing::mirror::{Kinds, Mirror};
use failover::routing::objects::{Change, Route, Rule, RuleVerdict, Selector};
use failover::types::{Family, Fault, Mark, Metric, PROTOCOL};

use crate::lab::{GATEWAYS, Lab, default, ip, shown};

#[test]
fn a_set_route_is_seen_and_replaced_in_place() {
    let mut lab = Lab::new();
    let (wan1, wan2) = (lab.index("wan1"), lab.index("wan2"));
    for gateway in GATEWAYS {
        let first = default(wan1, gateway, 100);
        lab.set(first);
        assert_eq!(lab.ours(), [first]);
        lab.set(first);
        assert_eq!(lab.ours(), [first], "setting it again changes nothing");
        let second = Route {
            device: wan2,
            ..first
        };
        lab.set(second);
        assert_eq!(lab.ours(), [second], "one route, not two");
        lab.assert_true_picture("now");
        let gone = Change::DeleteRoute(second);
        lab.requests.carry_out(&gone).unwrap();
        lab.requests
            .carry_out(&gone)
            .expect("gone already is success");
        lab.drain();
        assert_eq!(lab.ours(), []);
    }
}

#[test]
fn every_field_of_a_route_is_read_back() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    let plain = default(wan1, "192.0.2.254", 100);
    let routes = [
        Route {
            source: Some("192.0.2.1".parse().unwrap()),
            ..plain
        },
        Route {
            metric: Metric(101),
            gateway: Some("203.0.113.1".parse().unwrap()),
            onlink: true,
            ..plain
        },
        Route {
            table: 17601,
            metric: Metric(0),
            destination: "192.0.2.0/24".parse().unwrap(),
            gateway: None,
            ..plain
        },
        Route {
            metric: Metric(102),
            gateway: None,
            ..plain
        },
        Route {
            metric: Metric(103),
            gateway: Some("fe80::1".parse().unwrap()),
            ..plain
        },
        default(wan1, "fe80::1", 100),
        Route {
            metric: Metric(101),
            onlink: true,
            ..default(wan1, "2001:db8:ffff::1", 101)
        },
        Route {
            table: 17601,
            destination: "2001:db8:1::/64".parse().unwrap(),
            gateway: None,
            ..default(wan1, "fe80::1", 100)
        },
    ];
    for route in routes {
        lab.set(route);
        assert_eq!(lab.ours(), [route]);
        lab.assert_true_picture("now");
        lab.requests.carry_out(&Change::DeleteRoute(route)).unwrap();
        lab.drain();
        assert_eq!(lab.ours(), []);
    }
}

#[test]
fn a_foreign_route_is_never_deleted() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    for (gateway, v6) in GATEWAYS.into_iter().zip(["", "-6 "]) {
        let ours = default(wan1, gateway, 100);
        let foreign = format!("{v6}route add default via {gateway} dev wan1 table 176 metric 100");
        ip(&format!("{foreign} proto static"));
        lab.drain();
        lab.requests.carry_out(&Change::DeleteRoute(ours)).unwrap();
        assert!(shown(&format!("{v6}route show table 176")).contains("proto static"));
        ip(&foreign.replace("add", "delete"));
        // Our routes with another gateway, device or metric stay as well.
        lab.set(ours);
        for other in [
            Route {
                metric: Metric(101),
                ..ours
            },
            Route {
                device: lab.index("wan2"),
                ..ours
            },
            Route { table: 177, ..ours },
        ] {
            lab.requests.carry_out(&Change::DeleteRoute(other)).unwrap();
        }
        lab.drain();
        assert_eq!(lab.ours(), [ours]);
        lab.requests.carry_out(&Change::DeleteRoute(ours)).unwrap();
        lab.drain();
    }
}

#[test]
fn refusals_have_their_cause_and_the_socket_stays_usable() {
    let mut lab = Lab::new();
    let wan1 = lab.index("wan1");
    let mut refused = |route| lab.requests.carry_out(&Change::SetRoute(route));
    assert_eq!(
        refused(default(wan1, "203.0.113.1", 100)),
        Err(Fault::NetworkUnreachable),
        "a gateway outside the network"
    );
    let nowhere = Route {
        gateway: None,
        ..default(999, "192.0.2.254", 100)
    };
    assert_eq!(refused(nowhere), Err(Fault::NoDevice));
    assert_eq!(refused(default(wan1, "192.0.2.254", 100)), Ok(()));
}

/// Adds all rules once more.
fn twice(option: &str) {
    let command = format!("ip {option} rule save | ip {option} rule restore");
    let status = std::process::Command::new("sh")
        .args(["-c", &command])
        .status();
    assert!(status.unwrap().success(), "{command}");
}

fn rules() -> [Rule; 8] {
    let rule = |pref, selector, verdict| Rule {
        family: Family::V4,
        pref,
        protocol: PROTOCOL,
        selector,
        verdict,
    };
    let mark = Mark {
        value: 0x100,
        mask: 0xff00,
    };
    let device = "wan1".try_into().unwrap();
    [
        rule(17600, Selector::All, RuleVerdict::LookupSpecific(254)),
        rule(17601, Selector::Mark(mark), RuleVerdict::Lookup(17601)),
        rule(
            17700,
            Selector::OwnFrom("192.0.2.1/32".parse().unwrap()),
            RuleVerdict::Lookup(17601),
        ),
        rule(17800, Selector::Oif(device), RuleVerdict::Lookup(176)),
        rule(32765, Selector::All, RuleVerdict::Goto(32800)),
        rule(32800, Selector::All, RuleVerdict::LookupSpecific(254)),
        rule(33900, Selector::All, RuleVerdict::Unreachable),
        rule(33900, Selector::All, RuleVerdict::Lookup(176)),
    ]
}

/// Behind another program's at the same preference, which was added later; and whole when it was only half done.
#[test]
fn a_rule_is_moved_behind_others_and_deleted_whole() {
    let mut lab = Lab::new();
    for (family, option) in [(Family::V4, "-4"), (Family::V6, "-6")] {
        let goto = Rule {
            family,
            ..rules()[4].clone()
        };
        let foreign = Rule {
            protocol: 4,
            selector: Selector::Mark(Mark {
                value: 1,
                mask: u32::MAX,
            }),
            verdict: RuleVerdict::Lookup(51820),
            ..goto.clone()
        };
        for rule in [&goto, &foreign] {
            lab.requests
                .carry_out(&Change::AddRule(rule.clone()))
                .unwrap();
        }
        let order = |lab: &Lab| -> Vec<u8> {
            let here = |rule: &&Rule| (rule.family, rule.pref) == (family, 32765);
            let rules = lab.mirror.rules().iter().filter(here);
            rules.map(|rule| rule.protocol).collect()
        };
        lab.drain();
        assert_eq!(order(&lab), [PROTOCOL, 4]);
        lab.requests
            .carry_out(&Change::MoveRule(goto.clone()))
            .unwrap();
        lab.drain();
        assert!(lab.mirror.needs().has(Kinds::RULES), "there were two");
        lab.requests.dump(&mut lab.mirror, Kinds::RULES).unwrap();
        lab.drain();
        assert_eq!(order(&lab), [4, PROTOCOL]);
        let listed = || shown(&format!("{option} rule show pref 32765"));
        let lines: Vec<String> = listed().lines().map(str::to_owned).collect();
        assert!(lines[1].contains("goto 32800"), "{lines:?}");
        assert_eq!(lines.len(), 2);

        for rule in [&foreign, &foreign, &foreign] {
            lab.requests
                .carry_out(&Change::MoveRule(rule.clone()))
                .unwrap();
        }
        lab.requests.dump(&mut lab.mirror, Kinds::RULES).unwrap();
        assert_eq!(order(&lab), [PROTOCOL, 4], "a dump tells the order");
        // Killed between the addition and the deletion.
        twice(option);
        assert_eq!(listed().matches("goto").count(), 2);
        lab.requests.carry_out(&Change::DeleteRule(goto)).unwrap();
        assert_eq!(listed().matches("goto").count(), 0);
        assert_eq!(listed().lines().count(), 2, "those of others stay");
        lab.drain();
    }
}

#[test]
fn rules_are_read_back_and_never_duplicated() {
    let mut lab = Lab::new();
    for family in Family::ALL {
        for mut rule in rules() {
            rule.family = family;
            if let (Selector::OwnFrom(prefix), Family::V6) = (&mut rule.selector, family) {
                *prefix = "2001:db8:1::1/128".parse().unwrap();
            }
            let add = Change::AddRule(rule.clone());
            lab.requests.carry_out(&add).unwrap();
            lab.requests
                .carry_out(&add)
                .expect("there already is success");
            lab.drain();
            let options = ["-4", "-6"][family as usize];
            let listed = shown(&format!("{options} rule show pref {}", rule.pref));
            assert_eq!(listed.lines().count(), 1, "{listed}");
            let ours = |mirror: &Mirror| {
                mirror
                    .rules()
                    .iter()
                    .filter(|r| r.protocol == PROTOCOL)
                    .count()
            };
            assert_eq!(ours(&lab.mirror), 1);
            assert!(lab.mirror.rules().contains(&rule), "{rule:?}");
            lab.assert_true_picture("now");
            // A foreign rule with the same content stays.
            let foreign = Rule {
                protocol: 4,
                ..rule.clone()
            };
            lab.requests
                .carry_out(&Change::AddRule(foreign.clone()))
                .unwrap();
            let delete = Change::DeleteRule(rule);
            lab.requests.carry_out(&delete).unwrap();
            lab.requests
                .carry_out(&delete)
                .expect("gone already is success");
            lab.drain();
            assert_eq!(ours(&lab.mirror), 0);
            assert!(lab.mirror.rules().contains(&foreign));
            lab.requests
                .carry_out(&Change::DeleteRule(foreign))
                .unwrap();
            lab.drain();
            lab.assert_true_picture("now");
        }
    }
}

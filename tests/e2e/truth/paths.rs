//! Reasons of paths: what an uplink lacks, pins, checks.

use super::super::inspect::path;
use super::super::lab::rights::in_lab;
use super::super::lab::topology::target;
use super::super::lab::{Family, Lab, Settings, wait_until};
use super::super::overflow::relearn;
use super::super::{SOON, leads};
use super::{Cure, Of, Row, Stage};

const V4: Of = Of::Path("isp2", Family::V4);
const V6: Of = Of::Path("isp2", Family::V6);

/// With gateways that are learned.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "no device",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: device gone. | isp2 ipv4 is waiting since {T}: no device.",
        change: "It is ready as soon as there is a device eth2: `ip link` shows those that there are.",
        make: |stage| {
            stage.lab.remove_device(2);
            let links = stage.lab.router.run(&["ip", "link"]);
            assert!(!links.contains("eth2"), "{links}");
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.lab.insert_device(2);
            relearn(stage.lab, 2);
        }),
    },
    // It has not been there since the provider was configured.
    Row {
        name: "no device",
        of: Of::Path("lte", Family::V6),
        what: "lte ipv6 is waiting since {T}: no device.",
        change: "It is ready as soon as there is a device usb0",
        make: |stage| {
            let settings = stage.settings.clone();
            stage.reload(&settings.provider("lte", "device", "usb0"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage
                .lab
                .router
                .ip("link add usb0 type veth peer name modem");
        }),
    },
    Row {
        name: "down",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: device is down.",
        change: "It is ready as soon as eth2 is up: `ip link set eth2 up`.",
        make: |stage| {
            stage.restore();
            stage.lab.device_down(2);
            assert!(wait_until(SOON, || !stage.lab.router.is_up("eth2")));
            Vec::new()
        },
        cure: Cure::Quoted(is_up_again),
    },
    Row {
        name: "no carrier",
        of: V6,
        what: "isp2 ipv6 is waiting since {T}: carrier lost.",
        change: "It is ready as soon as eth2 has a carrier: look at the cable, the modem and its power.",
        make: |stage| {
            stage.lab.pull_cable(2);
            assert!(wait_until(SOON, || !stage.lab.router.is_up("eth2")));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            stage.lab.plug_cable(2);
            relearn(stage.lab, 2);
        }),
    },
    Row {
        name: "no address",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: address lost.",
        change: "It is ready as soon as eth2 has an ipv4 address (that of option address, if it names one)",
        make: |stage| {
            let own = stage.lab.provider(2).own(Family::V4);
            stage.lab.router.ip(&format!("addr del {own}/26 dev eth2"));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            let own = stage.lab.provider(2).own(Family::V4);
            stage.lab.router.ip(&format!("addr add {own}/26 dev eth2"));
            relearn(stage.lab, 2);
        }),
    },
    Row {
        name: "no address: duplicate (DAD failed)",
        of: V6,
        what: "isp2 ipv6 is waiting since {T}: no address: duplicate (DAD failed).",
        change: "It is ready as soon as eth2 has another one, or this one again when that host is gone.",
        make: |stage| {
            let own = stage.lab.provider(2).own(Family::V6);
            let gateway = &stage.lab.provider(2).gateway;
            gateway.ip(&format!("addr add {own}/64 dev line nodad"));
            stage.lab.router.sysctl("ipv6/conf/eth2/accept_dad", 1);
            stage.lab.router.sysctl("ipv6/conf/eth2/dad_transmits", 1);
            stage.lab.router.ip(&format!(
                "addr del {own}/64 dev eth2\naddr add {own}/64 dev eth2"
            ));
            vec![own.to_string()]
        },
        cure: Cure::Done(|stage| {
            let own = stage.lab.provider(2).own(Family::V6);
            let gateway = &stage.lab.provider(2).gateway;
            gateway.ip(&format!("addr del {own}/64 dev line"));
            stage.lab.router.ip(&format!(
                "addr del {own}/64 dev eth2\naddr add {own}/64 dev eth2"
            ));
            relearn(stage.lab, 2);
        }),
    },
    Row {
        name: "answers arrive at DEVICE but are dropped on this machine (firewall or rp_filter)",
        of: V6,
        what: "isp2 ipv6 is offline since {T}: answers arrive at eth2 but are dropped on this machine (firewall or rp_filter).",
        change: "It comes back when this machine lets them in: see `nft list ruleset`, and rp_filter of eth2.",
        make: |stage| {
            let drops = "table ip6 t {\nchain in {\ntype filter hook input priority 0\niifname eth2 drop\n}\n}\n";
            stage.lab.router.feed(&["nft", "-f", "-"], drops);
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            drop(
                stage
                    .lab
                    .router
                    .run(&["nft", "delete", "table", "ip6", "t"]),
            )
        }),
    },
    // It has one, but not this.
    Row {
        name: "no address",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: address lost.",
        change: "It is ready as soon as eth2 has an ipv4 address (that of option address, if it names one)",
        make: |stage| {
            let settings = stage.settings.clone();
            stage.reload(&settings.list("provider", "isp2", "address", "192.0.2.99"));
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.lab.router.ip("addr add 192.0.2.99/26 dev eth2")),
    },
    Row {
        name: "no gateway",
        of: V6,
        what: "isp2 ipv6 is waiting since {T}: gateway lost.",
        change: "It is ready as soon as its gateway is known: by option gateway, or a default route on eth2.",
        make: |stage| {
            stage.lab.router.ip("addr del 192.0.2.99/26 dev eth2");
            stage.restore();
            stage.daemon.wait_for("isp2", "ipv4", "online");
            let gone = "route del default dev eth2 metric 10000";
            stage.lab.router.batch(Family::V6, gone);
            Vec::new()
        },
        cure: Cure::Done(|stage| relearn(stage.lab, 2)),
    },
    // The other way that it names.
    Row {
        name: "no gateway",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: gateway lost.",
        change: "It is ready as soon as its gateway is known: by option gateway, or a default route on eth2.",
        make: |stage| {
            let gone = "route del default dev eth2 metric 22";
            stage.lab.router.batch(Family::V4, gone);
            stage.daemon.wait_for("isp2", "ipv4", "waiting");
            // Another configuration of its uplink is not why it waits.
            let gateway = stage.lab.provider(2).gateway_address(Family::V6);
            let named = stage.settings.clone();
            stage.reload(&named.list("provider", "isp2", "gateway", &gateway.to_string()));
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            let gateway = stage.lab.provider(2).gateway_address(Family::V4);
            let named = stage.settings.clone();
            stage.reload(&named.list("provider", "isp2", "gateway", &gateway.to_string()));
            relearn(stage.lab, 2);
        }),
    },
    // It waits already, for something else.
    Row {
        name: "no gateway",
        of: V4,
        what: ", and since {T}: no gateway.",
        change: "It is ready as soon as its gateway is known",
        make: |stage| {
            stage.restore();
            stage.lab.device_down(2);
            let waits = || {
                let status = stage.daemon.status();
                let path = path(&status, "isp2", "ipv4");
                path["reason"] == "down" && path["since_s"].as_u64() >= Some(2)
            };
            assert!(wait_until(SOON, waits), "{:#}", stage.daemon.status());
            stage.lab.device_up(2);
            Vec::new()
        },
        cure: Cure::Done(|stage| relearn(stage.lab, 2)),
    },
    Row {
        name: "PROVIDER is pinned",
        of: V4,
        what: "isp1 was pinned at {T}.",
        change: "isp1 is pinned, until `failover use auto`.",
        make: |stage| {
            stage.daemon.must(&["use", "isp1"]);
            Vec::new()
        },
        cure: Cure::Quoted(|_| {}),
    },
    Row {
        name: "pinned: not checked",
        of: V4,
        what: "isp2 ipv4 is online since {T}: pinned by hand. It carries ipv4 because it is pinned",
        change: "It carries ipv4 because it is pinned, until `failover use auto`; no provider is checked meanwhile. isp2 was pinned at ",
        make: |stage| {
            // It was good before another one was pinned: that is not why it is online now.
            stage.daemon.must(&["use", "isp1"]);
            stage.daemon.wait_for("isp2", "ipv4", "frozen");
            stage.daemon.must(&["use", "isp2"]);
            assert!(leads(stage.lab, 2));
            Vec::new()
        },
        cure: Cure::Quoted(|_| {}),
    },
    Row {
        name: "unchecked",
        of: V6,
        what: "isp2 ipv6 is online since {T}: unchecked: it has no check in this family.",
        change: "it counts as online while its uplink is there, until it has one in the configuration.",
        make: |stage| {
            // Without an uplink, it is not online without a check either.
            stage.lab.pull_cable(2);
            stage.daemon.wait_for("isp2", "ipv6", "waiting");
            let only = stage
                .settings
                .clone()
                .list("provider", "isp2", "check", "google");
            stage.reload(&only);
            stage.lab.plug_cable(2);
            relearn(stage.lab, 2);
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.restore()),
    },
    Row {
        name: "refused by the default route of metric N in main",
        of: V4,
        what: "isp2 ipv4 is offline since {T}: 3 rounds failed: 203.0.113.8 unanswered.",
        change: "Its probes are refused by the default route of metric 5 in main, until that is deleted: `ip -4 route del default metric 5`.",
        make: |stage| {
            let refusing = "route add unreachable default metric 5";
            stage.lab.router.batch(Family::V4, refusing);
            let target = target(Family::V4).to_string();
            assert_eq!(stage.lab.router.way(&target, &[]), None);
            Vec::new()
        },
        cure: Cure::Quoted(|_| {}),
    },
    Row {
        name: "route refused",
        of: V4,
        what: "isp2 ipv4 is waiting since {T}: route refused.",
        change: "It is ready as soon as the kernel accepts its route: `failover status` says why it does not.",
        make: |stage| {
            // The broadcast address.
            let named = stage.settings.clone();
            stage.reload(&named.list("provider", "isp2", "gateway", "192.0.2.127"));
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.restore()),
    },
];

/// What goes down loses its addresses in IPv6, and its routes.
fn is_up_again(stage: &mut Stage<'_>) {
    stage.lab.device_up(2);
    relearn(stage.lab, 2);
}

#[test]
fn of_paths() {
    in_lab(|| {
        let lab = Lab::new();
        for number in [1, 2] {
            relearn(&lab, number);
        }
        Stage::new(&lab, Settings::learning(&lab)).play(ROWS);
    });
}

//! Answers of an invented daemon, for tests.

use crate::linux::connection::{Answer, Provider};
use crate::types::{
    Cause, Family, Ground, Judged, Kind, LastResort, Lead, Metric, Missed, Preempt, Repeats, Slot,
    State, Subject, Verdict, Waiting,
};
use crate::wire::control::{Cure, Entry, Warning};
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{
    Active, Check, CheckState, Counters, Header, InMain, Path, ProviderHead, ProviderState, Reason,
    Rounds, Rtt, Terms,
};

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().unwrap()
}

pub(super) fn path(family: Family, state: State) -> Path {
    Path {
        family,
        state,
        since_ms: 2999,
        terms: Terms {
            up: 10,
            down: 3,
            window: 50,
            max_failed: 10,
            quorum: 1,
        },
        ..Path::default()
    }
}

pub(super) fn online(family: Family, device: &str, metric: u32) -> Path {
    let (address, gateway) = match family {
        Family::V4 => ("192.0.2.7", "192.0.2.1"),
        Family::V6 => ("2001:db8::7", "fe80::1"),
    };
    Path {
        device: Some(text(device)),
        since_ms: 11_520_000,
        address: address.parse().ok(),
        gateway: gateway.parse().ok(),
        gateways: 1,
        metric: Some(Metric(metric)),
        installed: true,
        rounds: Rounds {
            good: 50,
            failed: 0,
            streak: 50,
        },
        loss_percent: Some(Decimal::new(0)),
        rtt_ms: Rtt {
            last: Some(Decimal::new(12_346)),
            avg: Some(Decimal::new(12_300)),
            stddev: Some(Decimal::new(125)),
            min: Some(Decimal::new(1)),
            max: Some(Decimal::new(8_388_608)),
        },
        verdict: Verdict::Online,
        ..path(family, State::Online)
    }
}

pub(super) fn provider(id: &str, rank: u32, state: ProviderState, paths: &[Path]) -> Provider {
    Provider {
        head: ProviderHead {
            id: text(id),
            slot: Slot(0),
            rank,
            state,
            disabled: false,
            disabled_ms: None,
            enabled: true,
        },
        paths: paths.to_vec(),
        connections: None,
    }
}

/// Two providers; the first leads, the second is looked at for the first time.
pub(super) fn healthy() -> Answer {
    let mut v4 = online(Family::V4, "eth1", 100);
    let google = Check {
        name: text("google"),
        kind: text("ping"),
        target: text("8.8.8.8"),
        state: CheckState::Ok,
        rtt_ms: Some(Decimal::new(12_346)),
        loss_percent: Some(Decimal::new(33_333)),
        sent: 300,
        received: 299,
        ok: 290,
        lost: 10,
        asked_ms: 400,
        answered_ms: Some(388),
        ..Check::default()
    };
    v4.checks.push(google).unwrap();
    Answer {
        header: Some(Header {
            version: text("0.1.0"),
            uptime_s: 273_840,
            pinned: None,
            pinned_ms: None,
            table: 176,
            mark_mask: 0,
            connections_marked: Default::default(),
            active: Active {
                ipv4: Lead::By(text("isp1")),
                ipv6: Lead::By(text("isp1")),
            },
            overridden_by: InMain::default(),
            fallback: InMain::default(),
            error_routes: [None; 2],
            counters: Counters {
                swaps: 2,
                probes_sent: 600,
                probes_answered: 590,
                repairs: 1,
                ..Counters::default()
            },
            swaps: [1, 1],
            preempt: Preempt::Yes,
            last_resort: LastResort::First,
        }),
        providers: vec![
            provider(
                "isp1",
                1,
                ProviderState::Is(State::Online),
                &[v4, online(Family::V6, "eth1", 100)],
            ),
            provider(
                "isp2",
                2,
                ProviderState::Is(State::Probing),
                &[path(Family::V4, State::Probing)],
            ),
        ],
        ..Answer::default()
    }
}

/// As much trouble as one screen shows.
pub(super) fn troubled() -> Answer {
    let dead = Path {
        since_ms: 42_000,
        loss_percent: Some(Decimal::new(37_500)),
        rtt_ms: Rtt {
            avg: Some(Decimal::new(1_234_500)),
            ..Rtt::default()
        },
        state: State::Offline,
        ..online(Family::V4, "eth2", 102)
    };
    let unplugged = Path {
        device: Some(text("wwan-cdc-12345")),
        reason: Reason {
            waiting: Some(Waiting::NoCarrier),
            ..Reason::default()
        },
        since_ms: 90_000_000,
        ..path(Family::V6, State::Waiting)
    };
    let refused = Path {
        installed: false,
        overridden_by: Some(Metric(0)),
        loss_percent: Some(Decimal::new(2000)),
        ..online(Family::V4, "pppoe-wan", 4_294_967_295)
    };
    let mut satellite = provider(
        "satellite-of-the-neighbouring-x",
        3,
        ProviderState::Disabled,
        &[refused, unplugged],
    );
    satellite.head.disabled = true;
    let mut answer = healthy();
    let header = answer.header.as_mut().unwrap();
    header.pinned = Some(text("isp1"));
    header.active.ipv6 = Lead::NoRoute;
    answer.providers = vec![
        provider(
            "isp1",
            1,
            ProviderState::Pinned,
            &[online(Family::V4, "eth1", 100)],
        ),
        provider("isp2", 2, ProviderState::Is(State::Offline), &[dead]),
        satellite,
    ];
    answer.warnings = vec![
        Warning {
            code: text("rp-filter"),
            provider: Some(text("isp2")),
            text: text("strict rp_filter on eth2 drops the replies to its probes"),
            cure: Some(Cure {
                is_command: true,
                text: text("sysctl -w net.ipv4.conf.eth2.rp_filter=2"),
            }),
            since_ms: 42_000,
            ..Warning::default()
        },
        Warning {
            code: text("overflow"),
            provider: None,
            text: text("7 addresses cannot be watched"),
            cure: Some(Cure {
                is_command: false,
                text: text("delete those not needed"),
            }),
            since_ms: 90_000_000,
            ..Warning::default()
        },
        Warning {
            code: text("no-room"),
            provider: None,
            text: text("probes are not asked; and not counted"),
            cure: None,
            since_ms: 0,
            ..Warning::default()
        },
    ];
    answer
}

/// A day in the life of a router.
pub(super) fn journal() -> Vec<Entry> {
    let entry = |ago_ms, provider: Option<&str>, family, kind, cause| Entry {
        ago_ms,
        at_micros: 0,
        subject: Subject {
            provider: provider.map(text),
            family,
        },
        kind,
        cause,
        repeats: Repeats::ONCE,
    };
    let flapping = Entry {
        repeats: Repeats {
            times: 37,
            for_ms: 3600,
        },
        ..entry(
            60_000,
            Some("isp1"),
            Some(Family::V6),
            Kind::State {
                from: State::Waiting,
                to: State::Probing,
            },
            Cause::UplinkUp,
        )
    };
    let mut missed = Missed::default();
    missed.add("8.8.8.8", None);
    missed.add("1.1.1.1", None);
    let failed = Cause::Judged(Judged {
        ground: Ground::FailedStreak(3),
        missed,
        unreachable: None,
    });
    let died = Kind::State {
        from: State::Online,
        to: State::Offline,
    };
    let version = Cause::Version(text("0.1.0"));
    vec![
        entry(86_400_000, None, None, Kind::Started, version),
        entry(3_600_500, Some("isp1"), Some(Family::V4), died, failed),
        flapping,
        entry(0, Some("backup"), None, Kind::Pinned, Cause::PinnedByHand),
    ]
}

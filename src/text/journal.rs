//! The text of journal entries, for the log, `failover log`, `explain` and hooks.

use core::fmt;

use super::Limit;
use crate::types::{
    Cause, Fault, Ground, Judged, Kind, Measured, Missed, OFFLOADED, Other, Ours, Repeats, Waiting,
};

/// `online → offline`, `leads`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::State { from, to } if from == to => to.fmt(f),
            Kind::State { from, to } => write!(f, "{from} → {to}"),
            other => f.write_str(other.text()),
        }
    }
}

impl Kind {
    /// The text of those without states.
    #[inline(never)] // so it is a table
    fn text(&self) -> &'static str {
        match self {
            Kind::Started => "started",
            Kind::Stopped => "stopped",
            Kind::Configuration => "configuration",
            Kind::Pinned => "pinned",
            Kind::Unpinned => "unpinned",
            Kind::Disabled => "disabled",
            Kind::Enabled => "enabled",
            Kind::Removed => "removed",
            Kind::State { .. } => "state",
            Kind::Leads => "leads",
            Kind::Refused => "refused",
            Kind::NoRoute => "no route",
            Kind::RoutesNotSet => "routes not set yet",
            Kind::RoutesPutBack => "routes put back",
            Kind::Overridden => "overridden",
            Kind::HandedOver => "handed over",
        }
    }
}

/// `3 rounds failed: 8.8.8.8, 1.1.1.1 unanswered`, `isp1 is offline`.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Version(version) => return write!(f, "version {version}"),
            Cause::Cleanly => "cleanly",
            Cause::Reread => "re-read",
            Cause::ConfigurationChanged => "configuration changed",
            Cause::PinnedByHand => "pinned by hand",
            Cause::UnpinnedByHand => "unpinned by hand",
            Cause::DisabledByHand => "disabled by hand",
            Cause::EnabledByHand => "enabled by hand",
            Cause::UplinkUp => "uplink is up",
            Cause::Lost(waiting) => lost(*waiting),
            Cause::Lacks(waiting) => return waiting.fmt(f),
            Cause::Judged(judged) => return judged.fmt(f),
            Cause::Dropped(device) => return DroppedAt(device).fmt(f),
            Cause::First => "first in order",
            Cause::NotRefused => "traffic is not refused any more",
            Cause::HasRoute => "it has a route again",
            Cause::Other(id, other) => return other_is(f, id, *other),
            Cause::NoneWorks => "no enabled provider works, and last_resort is unreachable",
            Cause::NoneRoutable => "no provider can have a default route",
            Cause::Kernel(fault) => return fault.fmt(f),
            Cause::Manual(device, metric) => {
                return write!(f, "by {device} (metric {metric} in main)");
            }
            Cause::ManualGone(device, metric) => {
                return write!(f, "{device} (metric {metric} in main) no longer prevails");
            }
            Cause::Connections(count, to) => {
                let (about, number) = match count & OFFLOADED {
                    0 => ("about", *count),
                    _ => ("at least", count & !OFFLOADED),
                };
                let what = if number == 1 {
                    "connection"
                } else {
                    "connections"
                };
                return write!(f, "{about} {number} {what} handed over to {to}");
            }
            Cause::Changed(ours, more) => {
                f.write_str("another program changed ")?;
                ours.fmt(f)?;
                return match more {
                    0 => Ok(()),
                    _ => write!(f, ", and {more} more"),
                };
            }
        })
    }
}

/// Answers to a path's probes arrive at this device, and are dropped on this machine.
pub(crate) struct DroppedAt<'a>(pub(crate) &'a str);

impl fmt::Display for DroppedAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DroppedAt(device) = self;
        write!(
            f,
            "answers arrive at {device} but are dropped on this machine (firewall or rp_filter)"
        )
    }
}

/// ` ×37 in 4 s`, to follow a cause; nothing for a single transition. Seconds are rounded up.
impl fmt::Display for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_burst() {
            false => Ok(()),
            true => write!(f, " ×{} in {} s", self.times, self.for_ms.div_ceil(1000)),
        }
    }
}

/// What a path has lost, so that it is waiting.
fn lost(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::NoDevice => "device gone",
        Waiting::Down => "device is down",
        Waiting::NoCarrier => "carrier lost",
        Waiting::NoAddress => "address lost",
        Waiting::Duplicate => "address is a duplicate",
        Waiting::NoGateway => "gateway lost",
        Waiting::DeviceTaken(_) => "device taken by another provider",
        Waiting::RouteRefused => "route refused",
    }
}

fn other_is(f: &mut fmt::Formatter<'_>, id: &str, other: Other) -> fmt::Result {
    let (state, behind) = match other {
        Other::Disabled => ("disabled", ""),
        Other::Preferred => return write!(f, "preferred to {id}"),
        Other::Is(state) => (state.name(), ""),
        Other::OnlyDisabledWorks(state) => (state.name(), ", and only what is disabled works"),
        Other::LastResort(state) => {
            f.write_str("last resort: ")?;
            (state.name(), ", and no provider works")
        }
    };
    write!(f, "{id} is {state}{behind}")
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judged {
            ground,
            missed,
            unreachable,
        } = self;
        match *ground {
            Ground::Unchecked => f.write_str("unchecked: it has no check in this family")?,
            Ground::FailedInWindow(failed, of) => {
                write!(f, "{failed} of the last {of} rounds failed")?;
            }
            Ground::Poor(measured) => measured.fmt(f)?,
            Ground::GoodStreak(rounds)
            | Ground::FailedStreak(rounds)
            | Ground::GoodAgain(rounds, _) => {
                let what = match (ground, rounds) {
                    (Ground::FailedStreak(_), 1) => "round failed",
                    (Ground::FailedStreak(_), _) => "rounds failed",
                    (_, 1) => "good round",
                    _ => "good rounds",
                };
                write!(f, "{rounds} {what}")?;
                if let Ground::GoodAgain(_, measured) = ground {
                    write!(f, "; {measured}")?;
                }
            }
        }
        missed.fmt(f)?;
        match unreachable {
            Some(code) => write!(f, "; the network says unreachable (ICMP code {code})"),
            None => Ok(()),
        }
    }
}

/// `loss of 14% is above max_loss 10%`, `latency of 80ms is within recover_latency 90ms`.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured {
            measure,
            value,
            limit,
            is_above,
        } = *self;
        let name = measure.name();
        let shown = |value| Limit { measure, value };
        let (value, limit) = (shown(value), shown(limit));
        let than = if is_above {
            "above max"
        } else {
            "within recover"
        };
        write!(f, "{name} of {value} is {than}_{name} {limit}")
    }
}

/// `: 8.8.8.8, 1.1.1.1 unanswered`: targets with the same fault are listed before it.
impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told: Option<Option<Fault>> = None;
        for (target, fault) in self.iter() {
            if let Some(before) = told.filter(|before| *before != fault) {
                reason(f, before)?;
            }
            f.write_str(if told.is_some() { ", " } else { ": " })?;
            f.write_str(target)?;
            told = Some(fault);
        }
        told.map_or(Ok(()), |fault| reason(f, fault))
    }
}

fn reason(f: &mut fmt::Formatter<'_>, fault: Option<Fault>) -> fmt::Result {
    match fault {
        None => f.write_str(" unanswered"),
        Some(fault) => write!(f, " {fault}"),
    }
}

/// `default route of metric 100 in table 176`, `rule 32765`.
impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ours::Rule(pref) => write!(f, "rule {pref}"),
            Ours::Route { to, metric, table } => {
                match to {
                    None => f.write_str("default route"),
                    Some(to) => write!(f, "route to {to}"),
                }?;
                write!(f, " of metric {metric} in table {table}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_connections_were_handed_over() {
        let isp2 = || crate::types::Name::try_from("isp2").unwrap();
        for (count, text) in [
            (1, "about 1 connection handed over to isp2"),
            (212, "about 212 connections handed over to isp2"),
            (OFFLOADED | 1, "at least 1 connection handed over to isp2"),
            (
                OFFLOADED | 12,
                "at least 12 connections handed over to isp2",
            ),
        ] {
            assert_eq!(Cause::Connections(count, isp2()).to_string(), text);
        }
    }

    #[test]
    fn a_fault_follows_the_targets_that_have_it() {
        let mut missed = Missed::default();
        assert_eq!(missed.to_string(), "");
        missed.add("192.0.2.1", None);
        missed.add("192.0.2.2", None);
        missed.add("web", Some(Fault::Status(302)));
        let cause = Cause::Judged(Judged {
            ground: Ground::FailedInWindow(11, 50),
            missed,
            unreachable: Some(1),
        });
        assert_eq!(
            cause.to_string(),
            "11 of the last 50 rounds failed: 192.0.2.1, 192.0.2.2 unanswered, web answers with status 302 (a captive \
             portal?); the network says unreachable (ICMP code 1)"
        );
    }

    #[test]
    fn only_of_a_burst_the_number_is_told() {
        assert_eq!(Repeats::ONCE.to_string(), "");
        for (for_ms, expected) in [
            (1, " ×37 in 1 s"),
            (4000, " ×37 in 4 s"),
            (4001, " ×37 in 5 s"),
        ] {
            let repeats = Repeats { times: 37, for_ms };
            assert_eq!(repeats.to_string(), expected);
        }
    }

    #[test]
    fn a_changed_object_is_named_as_by_ip() {
        let rule = Cause::Changed(Ours::Rule(18500), 0);
        assert_eq!(rule.to_string(), "another program changed rule 18500");
        let route = Ours::Route {
            to: None,
            metric: crate::types::Metric(100),
            table: 176,
        };
        let cause = Cause::Changed(route, 2);
        assert_eq!(
            cause.to_string(),
            "another program changed default route of metric 100 in table 176, and 2 more"
        );
    }
}

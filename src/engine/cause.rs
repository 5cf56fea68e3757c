//! The causes of transitions, in the words of the journal.

use core::fmt;

use super::Engine;
use super::path::{Ground, Measured};
use crate::config::Limit;
use crate::limits::PATH_CHECKS_MAX;
use crate::types::{CheckSet, Fault, PathId, Waiting};

/// Why a path's verdict is another: `3 rounds failed: 8.8.8.8, 1.1.1.1 unanswered`.
pub(crate) struct Cause<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) id: PathId,
    pub(crate) ground: Ground,
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cause { engine, id, ground } = *self;
        let lost = |lost| Lost { engine, id, lost };
        match ground {
            Ground::Unchecked => f.write_str("unchecked: it has no check in this family"),
            Ground::GoodStreak(1) => f.write_str("1 good round"),
            Ground::GoodStreak(rounds) => write!(f, "{rounds} good rounds"),
            Ground::FailedStreak(1, checks) => write!(f, "1 round failed{}", lost(checks)),
            Ground::FailedStreak(rounds, checks) => {
                write!(f, "{rounds} rounds failed{}", lost(checks))
            }
            Ground::FailedInWindow(failed, of, checks) => {
                write!(f, "{failed} of the last {of} rounds failed{}", lost(checks))
            }
            Ground::Poor(measured) => write!(f, "{measured}"),
            Ground::GoodAgain(1, measured) => write!(f, "1 good round; {measured}"),
            Ground::GoodAgain(rounds, measured) => write!(f, "{rounds} good rounds; {measured}"),
        }?;
        match engine.path(id).and_then(|path| path.unreachable) {
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
            threshold,
        } = *self;
        let name = measure.name();
        let shown = |value| Limit { measure, value };
        let value_shown = shown(value);
        if value > threshold.recover {
            // Being worse than the one, it fails by the other, now or since before.
            let most = shown(threshold.most);
            write!(f, "{name} of {value_shown} is above max_{name} {most}")
        } else {
            let recover = shown(threshold.recover);
            write!(
                f,
                "{name} of {value_shown} is within recover_{name} {recover}"
            )
        }
    }
}

/// The targets that a path's round lost, if any: `: 8.8.8.8, 1.1.1.1 unanswered`.
struct Lost<'a> {
    engine: &'a Engine,
    id: PathId,
    lost: CheckSet,
}

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Engine { config, .. } = self.engine;
        let (Some(path), Some(provider)) = (self.engine.path(self.id), config.at(self.id.slot))
        else {
            return Ok(());
        };
        let CheckSet(lost) = self.lost;
        let checks = (0_u8..)
            .zip(config.path_checks(provider, self.id.family))
            .take(PATH_CHECKS_MAX);
        // Runs of one reason share its words: `8.8.8.8, 1.1.1.1 unanswered`.
        let mut said: Option<Option<Fault>> = None;
        for (number, check) in checks.filter(|(number, _)| lost & (1 << number) != 0) {
            let fault = path.rounds.facts(number).fault;
            if let Some(before) = said.filter(|before| *before != fault) {
                reason(f, before)?;
            }
            f.write_str(if said.is_some() { ", " } else { ": " })?;
            f.write_str(if check.target.is_empty() {
                &check.name
            } else {
                &check.target
            })?;
            said = Some(fault);
        }
        said.map_or(Ok(()), |fault| reason(f, fault))
    }
}

fn reason(f: &mut fmt::Formatter<'_>, fault: Option<Fault>) -> fmt::Result {
    match fault {
        None => f.write_str(" unanswered"),
        Some(fault) => write!(f, " {fault}"),
    }
}

/// The loss of what a path needs, in the words of a journal.
pub(crate) fn loss(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::NoDevice => "device gone",
        Waiting::Down => "device is down",
        Waiting::NoCarrier => "carrier lost",
        Waiting::NoAddress => "address lost",
        Waiting::NoGateway => "gateway lost",
        Waiting::DeviceTaken(_) => "device taken by another provider",
        Waiting::RouteRefused => "route refused",
    }
}

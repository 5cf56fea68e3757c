//! The causes of transitions, as the journal keeps them.

use super::Engine;
use super::leader::Lead;
use super::path::{Path, State};
use crate::limits::PATH_CHECKS_MAX;
use crate::types::{
    Cause, CheckSet, Family, Ground, Judged, Missed, Name, Other, PathId, Slot, Verdict,
};

impl Engine {
    /// Why a path's verdict changed; with the checks that its last round lost.
    pub(super) fn judged_cause(&self, id: PathId, ground: Ground, lost: CheckSet) -> Cause {
        Cause::Judged(Judged {
            ground,
            missed: self.missed(id, lost),
            unreachable: self.path(id).and_then(|path| path.unreachable),
        })
    }

    fn missed(&self, id: PathId, CheckSet(lost): CheckSet) -> Missed {
        let mut missed = Missed::default();
        let (Some(path), Some(provider)) = (self.path(id), self.config.at(id.slot)) else {
            return missed;
        };
        let checks = (0_u8..)
            .zip(self.config.path_checks(provider, id.family))
            .take(PATH_CHECKS_MAX);
        for (number, check) in checks.filter(|(number, _)| lost & (1 << number) != 0) {
            let target = match check.target.as_str() {
                "" => check.name.as_str(),
                target => target,
            };
            missed.add(target, path.rounds.facts(number).fault);
        }
        missed
    }

    /// Why `leader` leads now, and not `old`.
    pub(super) fn lead_cause(
        &self,
        family: Family,
        leader: Slot,
        old: Option<Slot>,
        before: Lead,
    ) -> Cause {
        let Some(old) = old else {
            return Cause::First;
        };
        let id = self.config.at(old).map_or_else(Name::new, |p| p.id.clone());
        let path = self.path(PathId { slot: old, family });
        // Merely presumed good, after a pin or at boot: it did not lose its place by failing.
        let presumed = path.is_some_and(|path| path.verdict() == Verdict::Fresh);
        let other = match path.map(Path::state) {
            _ if self.pinned == Some(leader) => return Cause::PinnedByHand,
            _ if old == leader && before == Lead::Refused => return Cause::NotRefused,
            _ if old == leader => return Cause::HasRoute,
            _ if self.is_disabled(old) => Other::Disabled,
            Some(State::Online) | None => Other::Preferred,
            Some(State::Probing) if presumed => Other::Preferred,
            Some(state) if self.is_disabled(leader) => Other::OnlyDisabledWorks(state),
            Some(state) if self.is_last_resort(leader, family) => Other::LastResort(state),
            Some(state) => Other::Is(state),
        };
        Cause::Other(id, other)
    }

    /// Whether the leading provider works no better than the others.
    fn is_last_resort(&self, leader: Slot, family: Family) -> bool {
        let path = self.path(PathId {
            slot: leader,
            family,
        });
        path.is_some_and(|path| path.waiting().is_some() || path.verdict() == Verdict::Offline)
    }
}

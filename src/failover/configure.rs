//! A configuration comes into force, at the start and at every reload; what a former run knew is taken up.

use heapless::Vec;

use super::journal::Entry;
use super::path::{Path, Verdict};
use super::rounds::Terms;
use super::{Actions, Failover, bit};
use crate::config::{Config, PATH_CHECKS_MAX, PATHS_MAX, PathId, Provider, Quorum, Slot};
use crate::net::{Duration, Family, Instant, PerFamily};

impl Failover {
    /// Takes a configuration, at the start and at every reload. Providers that are the same as before keep their
    /// rounds and verdicts. The driver then tells [`super::Event::Uplink`] of every path: until the last one of a family is
    /// told, its plan stays as it is.
    pub fn configure(&mut self, config: &Config, now: Instant) -> Actions {
        let managed = PerFamily {
            v4: config.manages(Family::V4),
            v6: config.manages(Family::V6),
        };
        for index in 0..PATHS_MAX {
            let Some(id) = PathId::from_index(index) else {
                break;
            };
            let wanted = config
                .at(id.slot)
                .filter(|p| p.enabled && managed[id.family]);
            self.configure_path(id, wanted.map(|provider| (provider, config)), now);
        }
        self.config.assign(config);
        self.spread();
        self.disabled &= self.slots();
        if self
            .pinned
            .is_some_and(|slot| config.at(slot).is_none_or(|p| !p.enabled))
        {
            self.pinned = None;
        }
        self.keep_watch(now);
        let mut actions = Actions::new();
        self.rank(Family::V4, now, &mut actions);
        self.rank(Family::V6, now, &mut actions);
        actions
    }

    /// Takes up an entry that a former run wrote.
    pub fn restore_entry(&mut self, entry: Entry) {
        self.journal.write(entry);
    }

    /// Takes up what a former run knew of a path. After [`Failover::configure`], before the first event.
    pub fn restore_path(&mut self, id: PathId, verdict: Verdict, since: Instant) {
        let path = self.paths.get_mut(id.index());
        let Some(path) = path.filter(|path| path.terms.is_some() && !path.told) else {
            return;
        };
        (path.verdict, path.since) = (verdict, since);
        if matches!(verdict, Verdict::Online | Verdict::Offline) {
            // Its uplink was up then. If it still is, nothing has changed.
            path.waiting = None;
        }
    }

    /// Takes up who led in a former run. After [`Failover::configure`], before the first event.
    pub fn restore_leader(&mut self, family: Family, slot: Slot) {
        if self.path(PathId { slot, family }).is_some() {
            self.leaders[family] = Some(slot);
        }
    }

    fn configure_path(&mut self, id: PathId, wanted: Option<(&Provider, &Config)>, now: Instant) {
        if wanted.is_some() {
            while self.paths.len() <= id.index() {
                let Some(next) = PathId::from_index(self.paths.len()) else {
                    return;
                };
                let pushed = self.paths.push(Path::new(next));
                debug_assert!(pushed.is_ok(), "one a path");
            }
        }
        let Some(path) = self.paths.get_mut(id.index()) else {
            return;
        };
        let Some((provider, config)) = wanted else {
            if path.terms.is_some() {
                *path = Path::new(id);
            }
            return;
        };
        let same = |old: &Provider| {
            old.is_like(provider)
                && self
                    .config
                    .path_checks(old, id.family)
                    .eq(config.path_checks(provider, id.family))
        };
        if path.terms.is_none() || !self.config.at(id.slot).is_some_and(same) {
            let uplink = (path.waiting, path.routable, path.told);
            *path = Path::new(id);
            (path.waiting, path.routable, path.told) = uplink;
            path.since = now;
            path.terms = Some(terms(config, provider, id.family));
        }
    }

    /// Gives every path that is checked its place in the interval, so that rounds of different paths do not go out in
    /// bursts.
    fn spread(&mut self) {
        let checked = |path: &Path| path.terms.is_some() && !path.unchecked();
        let count = self.paths.iter().filter(|path| checked(path)).count() as u64;
        for (place, path) in self.paths.iter_mut().filter(|p| checked(p)).enumerate() {
            let interval = path
                .terms
                .as_ref()
                .map_or(0, |terms| terms.timing.interval.total_micros());
            path.phase = Duration::from_micros(interval * place as u64 / count);
        }
    }

    fn slots(&self) -> u64 {
        self.config
            .providers
            .iter()
            .fold(0, |slots, provider| slots | bit(provider.slot))
    }
}

fn terms(config: &Config, provider: &Provider, family: Family) -> Terms {
    let intervals: Vec<_, PATH_CHECKS_MAX> = config
        .path_checks(provider, family)
        .take(PATH_CHECKS_MAX)
        .map(|check| check.interval)
        .collect();
    #[allow(clippy::cast_possible_truncation)] // at most PATH_CHECKS_MAX, 8
    let count = intervals.len() as u8;
    let quorum = match provider.timing.quorum {
        Quorum::All => count,
        Quorum::AtLeast(quorum) => quorum.min(count),
    };
    Terms {
        timing: provider.timing,
        quorum,
        intervals,
    }
}

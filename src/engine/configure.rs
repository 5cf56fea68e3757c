//! A configuration comes into force, at the start and at every reload.

use super::path::Path;
use super::terms::Terms;
use super::{Actions, Engine, Lead};
use crate::config::{Config, Provider};
use crate::limits::{PATHS_MAX, PROVIDERS_MAX, ROUNDS_APART};
use crate::types::{Cause, Duration, Family, Instant, Kind, PathId, PerFamily, Slot};

impl Engine {
    /// The memory for the first configuration, which is loaded before [`Engine::begin`]: it needs no other memory.
    pub fn first_config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Takes the first configuration. The driver then reports [`super::Event::Uplink`] for every path.
    pub fn begin(&mut self, now: Instant) {
        for id in all_paths() {
            let provider = self.config.at(id.slot).filter(|p| p.enabled);
            let managed = provider.filter(|_| self.config.manages(id.family));
            let Some(terms) = managed.map(|p| Terms::of(&self.config, p, id.family)) else {
                continue;
            };
            if let Some(path) = self.paths.get_or_new(id) {
                path.set_terms(terms);
                path.since = now;
            }
        }
        self.spread();
    }

    /// Takes another configuration. Unchanged providers keep their rounds and verdicts. The driver then reports
    /// [`super::Event::Uplink`] for every path; the plan of a family is kept until all its paths are reported.
    ///
    /// `config` is left without content.
    pub fn configure(&mut self, config: &mut Config, now: Instant) -> Actions {
        let written = self.journal.written();
        let managed = PerFamily {
            v4: config.manages(Family::V4),
            v6: config.manages(Family::V6),
        };
        self.remove_absent(config, now);
        let mut anew = [false; PATHS_MAX];
        for (anew, id) in anew.iter_mut().zip(all_paths()) {
            let wanted = config
                .at(id.slot)
                .filter(|p| p.enabled && managed[id.family]);
            *anew = self.configure_path(id, wanted.map(|provider| (provider, &*config)), now);
        }
        self.config.take(config);
        self.spread();
        self.assign_duties(now);
        for (id, _) in all_paths().zip(anew).filter(|(_, anew)| *anew) {
            self.start(id, now);
        }
        let mut actions = Actions::new();
        self.rank_both(now, &mut actions);
        self.save_if_written(written, &mut actions);
        actions
    }

    /// Forgets the providers that are no longer configured. A provider that gets one of their slots takes nothing over.
    fn remove_absent(&mut self, config: &Config, now: Instant) {
        for slot in (0..).map(Slot).take(PROVIDERS_MAX) {
            let heir = config.at(slot).filter(|p| p.enabled);
            let Some(old) = self.config.at(slot).filter(|p| p.enabled) else {
                continue;
            };
            if heir.is_some_and(|heir| heir.id == old.id) {
                continue;
            }
            let changed = || Cause::ConfigurationChanged;
            self.note(now, Some(slot), None, Kind::Removed, changed());
            if self.pinned == Some(slot) {
                self.pinned = None;
                self.note(now, Some(slot), None, Kind::Unpinned, changed());
            }
            self.disabled &= !slot.bit();
            for &family in &Family::ALL {
                if self.leaders[family] == Some(slot) {
                    self.leaders[family] = None;
                    self.leads[family] = Lead::Unknown;
                    self.swaps[family] = self.swaps[family].wrapping_add(1);
                }
                let Some(path) = self.paths.get_mut(PathId { slot, family }) else {
                    continue;
                };
                match heir {
                    Some(_) => path.forget_provider(),
                    None => path.forget(),
                }
            }
        }
    }

    /// Returns whether the path starts anew.
    fn configure_path(
        &mut self,
        id: PathId,
        wanted: Option<(&Provider, &Config)>,
        now: Instant,
    ) -> bool {
        let path = match wanted {
            Some(_) => self.paths.get_or_new(id),
            None => self.paths.get_mut(id),
        };
        let Some(path) = path else {
            return false;
        };
        let Some((provider, config)) = wanted else {
            path.forget();
            return false;
        };
        let new = !path.is_managed();
        let old = self.config.at(id.slot).filter(|_| !new);
        let same = |old: &Provider| {
            old.is_like(provider)
                && self
                    .config
                    .path_checks(old, id.family)
                    .eq(config.path_checks(provider, id.family))
        };
        if old.is_some_and(same) {
            return false;
        }
        let (before, verdict) = (path.state(), path.verdict());
        let settled = path.rounds.settled();
        path.set_terms(Terms::of(config, provider, id.family));
        // Those of checks that stay are counted on.
        if let Some(old) = old {
            for (number, check) in (0..).zip(config.path_checks(provider, id.family)) {
                let former = self.config.path_checks(old, id.family).zip(settled);
                for (_, settled) in former.filter(|(old, _)| old.name == check.name) {
                    path.rounds.keep_settled(number, settled);
                }
            }
        }
        if new {
            path.since = now;
        } else if !old.is_some_and(|old| same_uplink(old, provider)) {
            path.forget_verdict();
        }
        if path.verdict() != verdict {
            self.note_state(id, before, now, Cause::ConfigurationChanged);
        }
        true
    }

    /// The first round of a path whose rounds start anew.
    fn start(&mut self, id: PathId, now: Instant) {
        if let Some(path) = self.paths.get_mut(id) {
            path.restart(now);
        }
        self.judge_path(id, now);
    }

    /// Gives every path that is checked its place in the interval, so that rounds of different paths do not go out in
    /// bursts. Where they would follow each other faster than [`ROUNDS_APART`], a few go out together.
    fn spread(&mut self) {
        let count = self.paths.iter().filter_map(Path::pace).count() as u64;
        let checked = self.paths.iter_mut();
        let checked = checked.filter_map(|path| path.pace().map(|interval| (path, interval)));
        for (place, (path, interval)) in checked.enumerate() {
            let interval = interval.total_micros();
            let phase = interval * place as u64 / count;
            let slot = ROUNDS_APART.total_micros().min(interval / 4);
            path.phase = Duration::from_micros(match interval / count {
                apart if apart < slot => phase / slot * slot,
                _ => phase,
            });
        }
    }
}

/// Every path that there can be.
fn all_paths() -> impl Iterator<Item = PathId> {
    (0..PATHS_MAX).filter_map(PathId::from_index)
}

/// Whether two providers have the same uplink. Then the verdict is kept until rounds say otherwise, whatever else has
/// changed: a new interval, for example, causes no swap.
fn same_uplink(a: &Provider, b: &Provider) -> bool {
    a.device == b.device
        && a.interfaces == b.interfaces
        && a.address == b.address
        && a.gateway == b.gateway
        && a.network == b.network
}

//! Restores the saved state of a former run: after [`Engine::begin`] and before the first event.

use super::journal::Entry;
use super::path::Duty;
use super::{Engine, Lead};
use crate::types::{Family, Instant, PathId, Repeats, Slot, Verdict};

impl Engine {
    /// Restores a journal entry of a former run.
    pub fn restore_entry(&mut self, entry: Entry) {
        self.journal.restore(entry);
    }

    /// Restores how many transitions the last restored entry stands for.
    pub fn restore_repeats(&mut self, repeats: Repeats) {
        self.journal.restore_repeats(repeats);
    }

    /// Restores the verdict on a path.
    pub fn restore_path(&mut self, id: PathId, verdict: Verdict, since: Instant) {
        let path = self.paths.get_mut(id);
        if let Some(path) = path.filter(|path| path.is_managed() && !path.is_uplink_known()) {
            path.restore(verdict, since);
        }
    }

    /// Restores the provider that led in a former run.
    pub fn restore_leader(&mut self, family: Family, slot: Slot) {
        if self.path(PathId { slot, family }).is_some() {
            self.leaders[family] = Some(slot);
            self.leads[family] = Lead::By(slot);
        }
    }

    /// Takes as leader the provider whose route is the best in the kernel, as a former run has left it. If that is another
    /// one than that of [`Engine::restore_leader`], or none is saved, the saved verdicts are older than the routes, and are
    /// dropped.
    pub fn believe_leader(&mut self, family: Family, slot: Slot) {
        if self.leaders[family] == Some(slot) || self.path(PathId { slot, family }).is_none() {
            return;
        }
        self.leaders[family] = Some(slot);
        let paths = self.paths.iter_mut();
        for path in paths.filter(|path| path.id.family == family) {
            path.forget_verdict();
        }
    }

    /// Restores what became of a family's traffic. Call it after [`Engine::restore_leader`].
    pub fn restore_lead(&mut self, family: Family, lead: Lead) {
        let known = |slot| self.path(PathId { slot, family }).is_some();
        if lead.carrier().is_none_or(known) {
            self.leads[family] = lead;
        }
    }

    /// Restores the provider that was pinned in a former run; `None`: it is no longer configured. Call it after all
    /// [`Engine::restore_path`].
    pub fn restore_pin(&mut self, slot: Option<Slot>) {
        self.pinned = slot;
        for path in self.paths.iter_mut() {
            if slot.is_none() {
                path.restore_duty(Duty::Frozen); // until now
            }
            path.restore_duty(Duty::of(path.id.slot, slot));
        }
    }
}

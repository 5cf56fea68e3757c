//! What a former run knew is taken up: after [`Engine::begin`] and before the first event.

use super::journal::Entry;
use super::path::Duty;
use super::{Engine, Lead};
use crate::types::{Family, Instant, PathId, Slot, Verdict};

impl Engine {
    /// Takes up an entry that a former run wrote.
    pub fn restore_entry(&mut self, entry: Entry) {
        self.journal.write(entry);
    }

    /// Takes up what a former run knew of a path.
    pub fn restore_path(&mut self, id: PathId, verdict: Verdict, since: Instant) {
        let path = self.paths.get_mut(id);
        if let Some(path) = path.filter(|path| path.is_managed() && !path.is_told()) {
            path.restore(verdict, since);
        }
    }

    /// Takes up which provider led in a former run.
    pub fn restore_leader(&mut self, family: Family, slot: Slot) {
        if self.path(PathId { slot, family }).is_some() {
            self.leaders[family] = Some(slot);
            self.leads[family] = Lead::By(slot);
        }
    }

    /// Takes up which provider leads in the kernel, as a former run has left it. Where that is another than the one of
    /// [`Engine::restore_leader`], or none is known, what is known of the paths is of before, and not to be relied on.
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

    /// Takes up what a former run said of a family's traffic. After [`Engine::restore_leader`].
    pub fn restore_lead(&mut self, family: Family, lead: Lead) {
        let known = |slot| self.path(PathId { slot, family }).is_some();
        if lead.carrier().is_none_or(known) {
            self.leads[family] = lead;
        }
    }

    /// Takes up which provider was pinned in a former run; `None`: one that is not there any more. After all of
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

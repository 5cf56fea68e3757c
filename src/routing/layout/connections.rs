//! The rules for connections that our firewall table has marked: they lead to the provider by which a connection began.

use super::{Situation, Wanted, leads, pref};
use crate::config::Connections;
use crate::engine::RankedPath;
use crate::types::Mark;

impl Wanted {
    /// Answers to what came by a provider always go back there, if it can have a route. What left by a provider stays
    /// with it while it is usable, and while there is none that works.
    pub(super) fn connection_rules(&mut self, situation: &Situation<'_>) {
        let Some(marks) = situation.marks else {
            return;
        };
        let mark = |value| Mark {
            value,
            mask: marks.bits(),
        };
        if situation.config.globals.answers {
            let paths = situation.paths();
            for (provider, _) in paths.filter(|(_, uplink)| leads(situation.family, uplink)) {
                let inbound = mark(marks.inbound(provider.slot));
                self.add_mark_rule(situation, pref::IN, provider.slot, inbound);
            }
        }
        for (hop, provider, _) in situation.hops() {
            if situation.keeps(hop, provider.connections) {
                let outbound = mark(marks.outbound(hop.slot));
                self.add_mark_rule(situation, pref::OUT, hop.slot, outbound);
            }
        }
    }
}

impl Situation<'_> {
    /// Whether the connections of a provider stay with it, or it leads anyway.
    fn keeps(&self, hop: RankedPath, connections: Connections) -> bool {
        let (this, plan) = (hop.slot.bit(), self.plan);
        let leads = plan.order.first().is_some_and(|hop| hop.slot.bit() == this);
        match connections {
            Connections::Off => false,
            // Where traffic is to be refused, so are they.
            _ if plan.none_works && !plan.unreachable => self.live & this != 0,
            Connections::Follow if !leads => false,
            _ => hop.usable && self.handed_over & this == 0,
        }
    }
}

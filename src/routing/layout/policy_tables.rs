//! Which policy table belongs to which provider.

use crate::config::{Config, RtTable};
use crate::limits::PROVIDERS_MAX;
use crate::routing::objects::Route;
use crate::types::{POLICY_TABLE_FIRST, PROTOCOL, Slot};

/// The policy table of each slot, in both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables([u32; PROVIDERS_MAX]);

impl Tables {
    /// No slot has one.
    pub const fn new() -> Tables {
        Tables([0; PROVIDERS_MAX])
    }

    /// The table of a slot; none when it has none.
    pub fn of(&self, slot: Slot) -> Option<u32> {
        let table = self.0.get(usize::from(slot.0)).copied();
        table.filter(|&table| table != 0)
    }

    /// Gives each enabled provider the table that the configuration names; else the one that its slot has already;
    /// else [`POLICY_TABLE_FIRST`] + slot; else, when another program has a route in that, the next one that only this
    /// slot can get and that no program uses.
    ///
    /// `routes` are the kernel's, of both families, as the mirror holds them: the default routes of the tables that may be
    /// chosen are enough, for a table that others use as a routing table has one.
    pub fn choose(&mut self, config: &Config, routes: &[Route]) {
        let previous = core::mem::take(self);
        for provider in config.enabled() {
            if let RtTable::Id(table) = provider.rt_table {
                self.set(provider.slot, table);
            }
        }
        let automatic = || config.enabled().filter(|p| p.rt_table == RtTable::Auto);
        for provider in automatic() {
            let kept = previous.of(provider.slot);
            if let Some(table) = kept.filter(|&t| t >= POLICY_TABLE_FIRST && self.spares(config, t))
            {
                self.set(provider.slot, table);
            }
        }
        for provider in automatic() {
            if self.of(provider.slot).is_some() {
                continue;
            }
            let own = POLICY_TABLE_FIRST + u32::from(provider.slot.0);
            let mut candidates = (own..=u32::MAX).step_by(PROVIDERS_MAX); // no other slot's
            let free = |&table: &u32| self.spares(config, table) && !is_foreign(table, routes);
            if let Some(table) = candidates.find(free) {
                self.set(provider.slot, table);
            }
        }
    }

    /// Whether we use this table for nothing.
    fn spares(&self, config: &Config, table: u32) -> bool {
        table != config.globals.table && !self.0.contains(&table)
    }

    fn set(&mut self, slot: Slot, table: u32) {
        if let Some(place) = self.0.get_mut(usize::from(slot.0)) {
            *place = table;
        }
    }
}

impl Default for Tables {
    fn default() -> Tables {
        Tables::new()
    }
}

/// Whether a route in this table is not ours.
fn is_foreign(table: u32, routes: &[Route]) -> bool {
    routes
        .iter()
        .any(|route| route.table == table && route.protocol != PROTOCOL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::fixture::{Scene, foreign_default};
    use crate::types::Family;

    fn chosen(scene: &Scene, routes: &[Route], tables: &mut Tables) -> Vec<Option<u32>> {
        tables.choose(&scene.config, routes);
        let slots = scene.config.providers.iter().map(|p| p.slot);
        slots.map(|slot| tables.of(slot)).collect()
    }

    #[test]
    fn a_slot_has_its_own_table_unless_told_otherwise() {
        let mut scene = Scene::of(Family::V4, 4);
        scene.config.providers[1].rt_table = RtTable::None;
        scene.config.providers[2].rt_table = RtTable::Id(201);
        scene.config.providers[3].enabled = false;
        let tables = chosen(&scene, &[], &mut Tables::new());
        assert_eq!(tables, [Some(17601), None, Some(201), None]);
    }

    #[test]
    fn a_table_of_another_program_is_skipped_and_the_next_free_one_kept() {
        let mut scene = Scene::of(Family::V4, 3);
        let foreign = [
            foreign_default(Family::V6, 17601, 5),
            foreign_default(Family::V4, 17665, 5),
        ];
        let mut tables = Tables::new();
        let expected = [Some(17729), Some(17602), Some(17603)];
        assert_eq!(chosen(&scene, &foreign, &mut tables), expected);
        assert_eq!(chosen(&scene, &[], &mut tables), expected);

        scene.config.globals.table = 17602;
        scene.config.providers[2].rt_table = RtTable::Id(17729);
        let expected = [Some(17601), Some(17666), Some(17729)];
        assert_eq!(chosen(&scene, &[], &mut tables), expected);
    }

    #[test]
    fn a_table_given_by_hand_is_given_back() {
        let mut scene = Scene::of(Family::V4, 1);
        let mut tables = Tables::new();
        scene.config.providers[0].rt_table = RtTable::Id(201);
        assert_eq!(chosen(&scene, &[], &mut tables), [Some(201)]);
        scene.config.providers[0].rt_table = RtTable::Auto;
        assert_eq!(chosen(&scene, &[], &mut tables), [Some(17601)]);
    }

    #[test]
    fn routes_of_ours_take_no_table_away() {
        let scene = Scene::of(Family::V4, 1);
        let mut ours = foreign_default(Family::V4, 17601, 5);
        ours.protocol = PROTOCOL;
        let tables = chosen(&scene, &[ours], &mut Tables::new());
        assert_eq!(tables, [Some(17601)]);
    }
}

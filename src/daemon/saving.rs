//! What the next run shall know: written on transitions and at the end, read at the start.

use super::{Daemon, Memory};
use crate::config::{Config, PathId, Slot};
use crate::failover::Failover;
use crate::failover::journal::Entry;
use crate::linux::save::{self, Saved};
use crate::net::{Family, Instant, PerFamily};
use crate::text::text;
use crate::wire::state::{Path, Record};

impl Daemon<'_> {
    /// Writes the state, if there is anything new in it.
    pub(super) fn save(&mut self) {
        if !core::mem::take(&mut self.save_wanted) {
            return;
        }
        let Memory { core, .. } = &*self.memory;
        let state_dir = &core.config().globals.state_dir;
        let saved = save::write(state_dir, self.boot, |put| put_all(core, put));
        let unsaved = core::mem::replace(&mut self.unsaved, saved.is_err());
        match saved {
            // Each transition tries again; once is enough to say so.
            Err(trouble) if !unsaved => {
                log::warn!("{trouble}; the next run will not know what this one knows")
            }
            Ok(()) if unsaved => log::info!("the state is saved again"),
            _ => {}
        }
    }
}

fn put_all(core: &Failover, put: &mut dyn FnMut(&Record<'_>)) {
    let config = core.config();
    let leader = |family| {
        core.leader(family)
            .and_then(|slot| config.at(slot))
            .map(|p| p.id.as_str())
    };
    put(&Record::Leaders(PerFamily {
        v4: leader(Family::V4),
        v6: leader(Family::V6),
    }));
    for provider in &config.providers {
        let path = |family| {
            let path = core.path(PathId {
                slot: provider.slot,
                family,
            })?;
            Some(Path {
                verdict: path.verdict,
                since_micros: path.since.total_micros(),
            })
        };
        let paths = PerFamily {
            v4: path(Family::V4),
            v6: path(Family::V6),
        };
        put(&Record::Provider {
            id: &provider.id,
            slot: provider.slot,
            paths,
        });
    }
    for entry in core.journal().entries() {
        put(&Record::Entry {
            at_micros: entry.at.total_micros(),
            provider: entry.provider.as_deref(),
            family: entry.family,
            what: &entry.what,
            cause: &entry.cause,
        });
    }
}

/// The slot that a provider had.
pub(super) fn slot_of(saved: &Saved, wanted: &str) -> Option<Slot> {
    saved.records().find_map(|record| match record {
        Record::Provider { id, slot, .. } if id == wanted => Some(slot),
        _ => None,
    })
}

/// Takes up what a former run knew of the providers that are still there.
pub(super) fn restore(core: &mut Failover, saved: &Saved) {
    for record in saved.records() {
        match record {
            Record::Leaders(leaders) => {
                for family in Family::ALL {
                    if let Some(slot) = leaders[family].and_then(|id| slot_in(core.config(), id)) {
                        core.restore_leader(family, slot);
                    }
                }
            }
            Record::Provider { id, paths, .. } => {
                let Some(slot) = slot_in(core.config(), id) else {
                    continue;
                };
                for family in Family::ALL {
                    if let Some(Path {
                        verdict,
                        since_micros,
                    }) = paths[family]
                    {
                        core.restore_path(
                            PathId { slot, family },
                            verdict,
                            Instant::from_micros(since_micros),
                        );
                    }
                }
            }
            Record::Entry {
                at_micros,
                provider,
                family,
                what,
                cause,
            } => core.restore_entry(Entry {
                at: Instant::from_micros(at_micros),
                provider: provider.map(|id| text(format_args!("{id}"))),
                family,
                what: text(format_args!("{what}")),
                cause: text(format_args!("{cause}")),
                // It was logged when it happened.
                grave: false,
            }),
        }
    }
}

fn slot_in(config: &Config, id: &str) -> Option<Slot> {
    config.provider(id).filter(|p| p.enabled).map(|p| p.slot)
}

//! What the next run shall know: written on transitions and at the end, read at the start.

use super::state_dir::PAUSE;
use super::{Daemon, Memory};
use crate::config::Config;
use crate::engine::journal::Entry;
use crate::engine::{self, Engine};
use crate::linux::clock::now;
use crate::linux::file::saved_state::{self, Saved};
use crate::types::{Family, Instant, PathId, PerFamily, Slot};
use crate::wire::saved_state::{Lead, Path, Record, Records};

impl Daemon<'_> {
    /// Writes the state, if there is anything new in it.
    pub(super) fn save(&mut self) {
        if !core::mem::take(&mut self.save_wanted) {
            return;
        }
        let Memory { core, .. } = &*self.memory;
        let state_dir = &core.config().globals.state_dir;
        let saved = saved_state::write(state_dir, self.boot, |put| put_all(core, put));
        let unsaved = core::mem::replace(&mut self.unsaved, saved.is_err());
        if saved.is_err() {
            // Perhaps its directory is gone; or it is full, and has room again some time.
            let again = if unsaved { now() + PAUSE } else { now() };
            self.mend_at.get_or_insert(again);
        }
        match saved {
            // Each attempt would say so; once is enough.
            Err(trouble) if !unsaved => {
                log::warn!("{trouble}; the next run will not know what this one knows")
            }
            Ok(()) if unsaved => log::info!("the state is saved again"),
            _ => {}
        }
    }
}

fn put_all(core: &Engine, put: &mut dyn FnMut(&Record<'_>)) {
    let config = core.config();
    let id = |slot: Option<Slot>| slot.and_then(|slot| config.at(slot)).map(|p| p.id.as_str());
    let leader = |family| id(core.leader(family));
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
                verdict: path.verdict(),
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
    let lead = |family| match core.lead_of(family) {
        engine::Lead::Unknown => Lead::Unknown,
        engine::Lead::NoRoute => Lead::NoRoute,
        engine::Lead::Refused => Lead::Refused,
        engine::Lead::By(slot) => id(Some(slot)).map_or(Lead::Unknown, Lead::By),
    };
    put(&Record::Told {
        pinned: id(core.pinned()),
        leads: PerFamily {
            v4: lead(Family::V4),
            v6: lead(Family::V6),
        },
    });
    for entry in core.journal().entries() {
        put(&Record::Entry {
            at_micros: entry.at.total_micros(),
            who: entry.who.clone(),
            kind: entry.kind,
            cause: entry.cause.clone(),
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

/// Takes up what a former run knew of the providers that are still there. Nothing of it is of the future, whatever the
/// file says: who waits for something to have lasted must not wait for ever.
pub(super) fn restore(core: &mut Engine, records: Records<'_>, now: Instant) {
    let instant = |micros| Instant::from_micros(micros).clamp(Instant::ZERO, now);
    for record in records {
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
                        core.restore_path(PathId { slot, family }, verdict, instant(since_micros));
                    }
                }
            }
            Record::Told { pinned, leads } => {
                for family in Family::ALL {
                    core.restore_lead(family, lead(core.config(), leads[family]));
                }
                if let Some(id) = pinned {
                    core.restore_pin(slot_in(core.config(), id));
                }
            }
            Record::Entry {
                at_micros,
                who,
                kind,
                cause,
            } => core.restore_entry(Entry {
                at: instant(at_micros),
                who,
                kind,
                cause,
            }),
        }
    }
}

fn lead(config: &Config, lead: Lead<'_>) -> engine::Lead {
    match lead {
        Lead::Unknown => engine::Lead::Unknown,
        Lead::NoRoute => engine::Lead::NoRoute,
        Lead::Refused => engine::Lead::Refused,
        Lead::By(id) => slot_in(config, id).map_or(engine::Lead::Unknown, engine::Lead::By),
    }
}

fn slot_in(config: &Config, id: &str) -> Option<Slot> {
    config.provider(id).filter(|p| p.enabled).map(|p| p.slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::types::{Cause, Kind, Verdict, Who};
    use crate::wire::saved_state::{BootId, Writer, records};

    const BOOT: BootId = BootId([7; 16]);
    const CONFIG: &[u8] = b"config provider a\n option device eth1\n\
        config check c\n option type ping\n option target 192.0.2.1\n";

    /// A file that knows one path and one event, of this time.
    fn file(micros: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok::<(), ()>(())
        };
        let mut writer = Writer::new(BOOT, put).unwrap();
        let path = Path {
            verdict: Verdict::Online,
            since_micros: micros,
        };
        let paths = PerFamily {
            v4: Some(path),
            v6: None,
        };
        let (id, slot) = ("a", Slot(0));
        let provider = Record::Provider { id, slot, paths };
        let entry = Record::Entry {
            at_micros: micros,
            who: Who::default(),
            kind: Kind::Started,
            cause: Cause::Cleanly,
        };
        writer.record(&provider).unwrap();
        writer.record(&entry).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn what_is_taken_up_is_of_the_past() {
        let now = Instant::from_secs(100);
        for (saved, taken) in [
            (i64::MIN, Instant::ZERO),
            (-1, Instant::ZERO),
            (70_000_000, Instant::from_secs(70)),
            (100_000_001, now),
            (i64::MAX, now),
        ] {
            let mut core = Box::new(Engine::new());
            load(CONFIG, &|_| None, core.first_config(), &mut |_| {}).unwrap();
            core.begin(now);
            restore(&mut core, records(&file(saved), BOOT).unwrap(), now);
            let path = core.paths().next().unwrap();
            assert_eq!((path.verdict(), path.since), (Verdict::Online, taken));
            assert_eq!(core.journal().entries().next().unwrap().at, taken);
        }
    }
}

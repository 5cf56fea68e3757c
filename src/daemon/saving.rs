//! The state that the next run restores: written on transitions and at the end, read at the start.

use super::context::Context;
use super::routes::RouteSync;
use super::snapshot::Snapshot;
use super::state_dir::StateDir;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::journal::Entry;
use crate::linux::clock::now;
use crate::linux::file::saved_state::{self, Saved};
use crate::linux::log;
use crate::types::{Family, Instant, Name, PathId, PerFamily, Repeats, Slot, Subject};
use crate::wire::saved_state::{BootId, Path, Record, Records};

/// Writes the state of this boot.
pub(super) struct Saving {
    boot: BootId,
    /// The last attempt to save failed.
    pub(super) unsaved: bool,
}

impl Saving {
    pub(super) fn new(boot: BootId) -> Saving {
        Saving {
            boot,
            unsaved: false,
        }
    }

    /// Writes the state, if it has changed.
    pub(super) fn save(
        &mut self,
        cx: &mut Context<'_>,
        routes: &RouteSync<'_>,
        directory: &mut StateDir,
    ) {
        if !core::mem::take(&mut cx.save_due) {
            return;
        }
        let snapshot = Snapshot::of(cx.engine, routes, now());
        let state_dir = &snapshot.engine.config().globals.state_dir;
        let saved = saved_state::write(state_dir, self.boot, |put| put_all(&snapshot, put));
        let unsaved = core::mem::replace(&mut self.unsaved, saved.is_err());
        match saved {
            Ok(()) if unsaved => log::info(format_args!("the state is saved again")),
            Ok(()) => {}
            Err(error) => {
                directory.not_written(unsaved);
                // Log only the first failure.
                if !unsaved {
                    log::warn(format_args!(
                        "{error}; the next run will not know what this one knows"
                    ));
                }
            }
        }
    }
}

fn put_all(snapshot: &Snapshot<'_>, put: &mut dyn FnMut(&Record<'_>)) {
    let engine = snapshot.engine;
    let leader = |family| snapshot.id(engine.leader(family)).map(Name::as_str);
    put(&Record::Leaders(PerFamily {
        v4: leader(Family::V4),
        v6: leader(Family::V6),
    }));
    for provider in &engine.config().providers {
        let path = |family| {
            let path = engine.path(PathId {
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
    let lead = |family| snapshot.lead(family).named(|id| Some(id.as_str()));
    put(&Record::Told {
        pinned: snapshot.pinned().map(Name::as_str),
        leads: PerFamily {
            v4: lead(Family::V4),
            v6: lead(Family::V6),
        },
    });
    for entry in engine.journal().entries() {
        put(&Record::Entry {
            at_micros: entry.at.total_micros(),
            provider: entry.subject.provider.as_deref(),
            family: entry.subject.family,
            kind: entry.kind,
            cause: entry.cause.clone(),
        });
        let Repeats { times, for_ms } = entry.repeats;
        if entry.repeats.is_burst() {
            put(&Record::Repeats { times, for_ms });
        }
    }
}

/// The slot that a provider had.
pub(super) fn slot_of(saved: &Saved, wanted: &str) -> Option<Slot> {
    saved.records().find_map(|record| match record {
        Record::Provider { id, slot, .. } if id == wanted => Some(slot),
        _ => None,
    })
}

/// Restores the state of the providers that are still configured. Times in the future become the present, whatever the file
/// says: otherwise a delay that counts from them would not end.
pub(super) fn restore(engine: &mut Engine, records: Records<'_>, now: Instant) {
    let instant = |micros| Instant::from_micros(micros).clamp(Instant::ZERO, now);
    for record in records {
        match record {
            Record::Leaders(leaders) => {
                for &family in &Family::ALL {
                    if let Some(slot) = leaders[family].and_then(|id| slot_in(engine.config(), id))
                    {
                        engine.restore_leader(family, slot);
                    }
                }
            }
            Record::Provider { id, paths, .. } => {
                let Some(slot) = slot_in(engine.config(), id) else {
                    continue;
                };
                for &family in &Family::ALL {
                    if let Some(Path {
                        verdict,
                        since_micros,
                    }) = paths[family]
                    {
                        engine.restore_path(
                            PathId { slot, family },
                            verdict,
                            instant(since_micros),
                        );
                    }
                }
            }
            Record::Told { pinned, leads } => {
                for &family in &Family::ALL {
                    let lead = leads[family].named(|id| slot_in(engine.config(), id));
                    engine.restore_lead(family, lead);
                }
                if let Some(id) = pinned {
                    engine.restore_pin(slot_in(engine.config(), id));
                }
            }
            Record::Entry {
                at_micros,
                provider,
                family,
                kind,
                cause,
            } => {
                let provider = provider.and_then(|id| Name::try_from(id).ok());
                let subject = Subject { provider, family };
                engine.restore_entry(Entry::new(instant(at_micros), subject, kind, cause));
            }
            Record::Repeats { times, for_ms } => {
                engine.restore_repeats(Repeats { times, for_ms });
            }
        }
    }
}

fn slot_in(config: &Config, id: &str) -> Option<Slot> {
    config.provider(id).filter(|p| p.enabled).map(|p| p.slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use crate::types::{Cause, Kind, Verdict};
    use crate::wire::saved_state::{Writer, records};

    const BOOT: BootId = BootId([7; 16]);
    const CONFIG: &[u8] = b"config provider a\n option device eth1\n\
        config check c\n option type ping\n option target 192.0.2.1\n";

    /// A file with one path and one event, of this time.
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
            provider: None,
            family: None,
            kind: Kind::Started,
            cause: Cause::Cleanly,
        };
        writer.record(&provider).unwrap();
        writer.record(&entry).unwrap();
        let (times, for_ms) = (37, 4000);
        writer.record(&Record::Repeats { times, for_ms }).unwrap();
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
            let mut engine = Box::new(Engine::new());
            load(CONFIG, &|_| None, engine.first_config(), &mut |_| {}).unwrap();
            engine.begin(now);
            restore(&mut engine, records(&file(saved), BOOT).unwrap(), now);
            let path = engine.paths().next().unwrap();
            assert_eq!((path.verdict(), path.since), (Verdict::Online, taken));
            let entry = engine.journal().entries().next().unwrap();
            let many = Repeats {
                times: 37,
                for_ms: 4000,
            };
            assert_eq!((entry.at, entry.repeats), (taken, many));
        }
    }
}

//! Another configuration comes into force while the daemon runs.

use std::path::PathBuf;

use super::start::{self, Failure};
use super::{Daemon, state_dir};
use crate::config::Config;
use crate::linux::clock::now;
use crate::linux::log as logging;
use crate::text::text;
use crate::types::{Cause, Kind};
use crate::wire::control::Text;

/// Most problems of a configuration that a reload logs and answers.
const PROBLEMS_TOLD_MAX: usize = 32;

/// The configuration's file, and what a reload reads it into.
pub(super) struct Configuration<'m> {
    pub(super) file: PathBuf,
    pub(super) candidate: &'m mut Config,
    /// Reloads that were carried out.
    pub(super) reloads: u32,
}

impl Daemon<'_> {
    /// Reads the configuration again, and puts it in force. A bad one is refused, with its errors, and the old one stays.
    /// Returned are the problems that were found, and why it was refused.
    pub(super) fn reload(&mut self) -> (Vec<Text>, Result<(), String>) {
        let Daemon {
            cx,
            routes,
            probing,
            netifd,
            control,
            pin,
            warnings,
            configuration,
            stopping,
            ..
        } = self;

        // 1. The file is read: all that can fail.
        let (mut notes, read) = configuration.read();
        let found = match read {
            Ok(found) => found,
            Err(refusal) => return (notes, Err(refusal)),
        };
        if let Some(note) = configuration.disables() {
            notes.push(note);
            *stopping = Some(configuration.candidate.globals.on_stop);
            return (notes, Ok(()));
        }
        let now = now();
        warnings.config = found;

        // 2. The candidate keeps what stays: the state directory, and the slots of providers that are in both.
        let running = cx.engine.config();
        let candidate = &mut *configuration.candidate;
        keep(running, candidate);

        // 3. What belongs to providers and checks that the candidate has not is forgotten, while both can be compared.
        routes.forget_changed(running, candidate);
        probing.forget_changed(running, candidate);
        control.drop_half_told();

        // 4. The engine takes the candidate: from here on it is the configuration.
        cx.configure(candidate, now);
        configuration.reloads += 1;

        // 5. What follows from the configuration alone: the log, clients, tables, sockets.
        let globals = &cx.engine.config().globals;
        logging::set_level(globals.syslog_level);
        state_dir::admit(control, globals);
        routes.choose_tables(cx.engine);
        routes.forget_unused(cx.engine);
        probing.fit(cx.engine);

        // 6. The uplinks: interfaces of netifd's name devices, devices have room in the picture, the picture shows the
        //    uplinks, and the engine hears of those.
        netifd.follow(cx, now);
        routes.devices_named(cx.engine, netifd.interfaces, now);
        routes.look_at_uplinks(cx, probing, netifd.interfaces, now);

        // 7. The pin: its file, or the provider that it names, may be another.
        pin.follow(cx);

        // 8. The kernel follows when the loop comes to it; the journal says what has happened.
        cx.plan_all();
        let (kind, cause) = (Kind::Configuration, Cause::Reread);
        cx.engine.note(now, None, None, kind, cause);
        cx.save_due = true;
        (notes, Ok(()))
    }
}

impl Configuration<'_> {
    /// Reads the file into the candidate. The problems that were found; and the warnings among them, or why the file is
    /// refused.
    fn read(&mut self) -> (Vec<Text>, Result<Vec<Text>, String>) {
        let mut notes = Vec::new();
        let mut untold = 0;
        let loaded = start::load(
            &self.file,
            self.candidate,
            &mut |problem| match notes.len() {
                PROBLEMS_TOLD_MAX.. => untold += 1,
                _ => {
                    log::warn!("{problem}");
                    notes.push(text(problem));
                }
            },
        );
        if untold > 0 {
            notes.push(text(format_args!(
                "and {untold} more: `failover check` lists them all"
            )));
        }
        let result = loaded.map_err(|failure| {
            let refused = match failure {
                Failure::Configuration(_) => ": it is refused",
                _ => "",
            };
            let refusal = format!("{failure}{refused}, the old one stays");
            log::error!("{refusal}");
            refusal
        });
        (notes, result)
    }

    /// Whether the candidate says that the daemon is to stop: what a client is told then.
    fn disables(&self) -> Option<Text> {
        if self.candidate.globals.enabled {
            return None;
        }
        log::info!("option enabled is '0': stopping");
        let name = self.file.display();
        Some(text(format_args!(
            "{name}: option enabled is '0' in section globals: the daemon stops"
        )))
    }
}

/// Takes over into the candidate what a reload does not change.
fn keep(running: &Config, candidate: &mut Config) {
    let state_dir = &running.globals.state_dir;
    if candidate.globals.state_dir != *state_dir {
        log::warn!("state_dir stays {state_dir} until the daemon is started anew");
        candidate.globals.state_dir = state_dir.clone();
    }
    candidate.assign_slots(&|id| running.provider(id).map(|p| p.slot));
}

//! Reload: a new configuration comes into force while the daemon runs.

use std::path::PathBuf;

use super::start::{self, Failure};
use super::{Daemon, state_dir};
use crate::config::Config;
use crate::linux::clock::now;
use crate::linux::log as logging;
use crate::text::text;
use crate::types::{Cause, Kind};
use crate::wire::control::Text;

/// The most problems of a configuration that a reload logs, and sends to the client.
const PROBLEMS_TOLD_MAX: usize = 32;

/// The configuration file, and the memory that a reload reads it into.
pub(super) struct Configuration<'m> {
    pub(super) file: PathBuf,
    pub(super) candidate: &'m mut Config,
    /// Successful reloads.
    pub(super) reloads: u32,
}

impl Daemon<'_> {
    /// Reads the configuration again, and puts it into force. A bad one is refused, and the old one stays in force.
    /// Returns the problems, and why the new one was refused.
    pub(super) fn reload(&mut self) -> (Vec<Text>, Result<(), String>) {
        let Daemon {
            cx,
            routes,
            firewall,
            probing,
            netifd,
            control,
            pin,
            warnings,
            configuration,
            stopping,
            ..
        } = self;

        // 1. Read the file. Only this step can fail.
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

        // 2. Copy what a reload does not change: the state directory, and the slots of providers that are in both.
        let running = cx.engine.config();
        let candidate = &mut *configuration.candidate;
        keep(running, candidate);

        // 3. Drop the data of providers and checks that the candidate does not have, while both can be compared.
        routes.forget_changed(running, candidate);
        firewall.reload(running, candidate);
        probing.forget_changed(running, candidate);
        control.drop_half_told();

        // 4. The engine takes the candidate: from here on it is in force.
        cx.configure(candidate, now);
        configuration.reloads += 1;

        // 5. Update what depends on the configuration alone: the log, clients, tables, sockets.
        let globals = &cx.engine.config().globals;
        logging::set_level(globals.syslog_level);
        state_dir::admit(control, globals);
        routes.choose_tables(cx.engine);
        routes.forget_unused(cx.engine);
        probing.fit(cx.engine);

        // 6. Find the uplinks: netifd's interfaces name devices, the mirror makes room for the devices, the uplinks are found
        //    in the mirror, and the engine gets their state.
        netifd.follow(cx, now);
        routes.devices_named(cx.engine, netifd.interfaces, now);
        routes.look_at_uplinks(cx, probing, netifd.interfaces, now);

        // 7. Read the pin: its file, or the provider that it names, may have changed.
        pin.follow(cx);

        // 8. Write the journal. The loop sets the kernel's routes later.
        cx.plan_all();
        let (kind, cause) = (Kind::Configuration, Cause::Reread);
        cx.engine.note(now, None, None, kind, cause);
        cx.save_due = true;
        (notes, Ok(()))
    }
}

impl Configuration<'_> {
    /// Reads the file into the candidate. Returns the problems, and either the warnings among them or why the file is refused.
    fn read(&mut self) -> (Vec<Text>, Result<Vec<Text>, String>) {
        let mut notes = Vec::new();
        let mut unlisted = 0;
        let loaded = start::load(
            &self.file,
            self.candidate,
            &mut |problem| match notes.len() {
                PROBLEMS_TOLD_MAX.. => unlisted += 1,
                _ => {
                    log::warn!("{problem}");
                    notes.push(text(problem));
                }
            },
        );
        if unlisted > 0 {
            notes.push(text(format_args!(
                "and {unlisted} more: `failover check` lists them all"
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

    /// The message to a client if the candidate says that the daemon must stop.
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

/// Copies into the candidate what a reload does not change.
fn keep(running: &Config, candidate: &mut Config) {
    let state_dir = &running.globals.state_dir;
    if candidate.globals.state_dir != *state_dir {
        log::warn!("state_dir stays {state_dir} until the daemon is started anew");
        candidate.globals.state_dir = state_dir.clone();
    }
    candidate.assign_slots(&|id| running.provider(id).map(|p| p.slot));
}

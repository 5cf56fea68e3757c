//! Reload: a new configuration comes into force while the daemon runs.

use std::fmt;
use std::path::PathBuf;

use super::start::{self, Failure, Good};
use super::{Daemon, state_dir};
use crate::config::Config;
use crate::limits::PROBLEMS_TOLD_MAX;
use crate::linux::clock::now;
use crate::linux::log;
use crate::types::{Cause, Kind};

/// The configuration file, and the memory that a reload reads it into.
pub(super) struct Configuration<'m> {
    pub(super) file: PathBuf,
    pub(super) candidate: &'m mut Config,
    /// Successful reloads.
    pub(super) reloads: u32,
    pub(super) problems: FileProblems,
}

/// What is to be warned of in the configuration file.
#[derive(Default)]
pub(super) struct FileProblems {
    /// The warnings from loading the configuration in force.
    pub(super) warnings: Vec<String>,
    /// The problems of the configuration that was refused last, until a good one is in force.
    pub(super) refused: Vec<String>,
    /// That a copy is in force, because the file was bad at the start.
    pub(super) copy: Option<String>,
}

impl FileProblems {
    /// Logs that a copy is in force at the start, and why.
    pub(super) fn log_copy(&self) {
        if let Some(copy) = &self.copy {
            for problem in self.refused.iter().chain([copy]) {
                log::error(format_args!("{problem}"));
            }
        }
    }
}

impl Daemon<'_> {
    /// Reads the configuration again, and puts it into force. A bad one is refused, and the old one stays in force.
    /// Puts the problems into `notes`, and returns why the new one was refused.
    pub(super) fn reload(&mut self, notes: &mut Vec<String>) -> Result<(), String> {
        let Daemon {
            cx,
            routes,
            firewall,
            probing,
            netifd,
            control,
            pin,
            configuration,
            last_good,
            stopping,
            ..
        } = self;

        // 1. Read the file. Only this step can fail.
        cx.warnings_due = true;
        let good = configuration.read(notes)?;
        if let Some(note) = configuration.disables() {
            notes.push(note);
            *stopping = Some(configuration.candidate.globals.on_stop);
            return Ok(());
        }
        let now = now();
        configuration.problems = FileProblems {
            warnings: good.warnings,
            ..FileProblems::default()
        };
        last_good.keep(good.text);

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
        log::set_level(globals.syslog_level);
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
        Ok(())
    }
}

impl Configuration<'_> {
    /// Reads the file into the candidate. Puts the problems into `notes`; keeps them, and returns why, if the file is refused.
    fn read(&mut self, notes: &mut Vec<String>) -> Result<Good, String> {
        let mut problems = Problems::default();
        let loaded = start::load(&self.file, self.candidate, &mut |problem| {
            if problems.add(problem) {
                log::warn(format_args!("{problem}"));
            }
        });
        *notes = problems.told();
        loaded.map_err(|failure| {
            let refused = match failure {
                Failure::Configuration(_) => ": it is refused",
                _ => "",
            };
            let refusal = format!("{failure}{refused}, the old one stays");
            log::error(format_args!("{refusal}"));
            self.problems.refused = or_why(notes.clone(), format_args!("{refusal}"));
            refusal
        })
    }

    /// The message to a client if the candidate says that the daemon must stop.
    fn disables(&self) -> Option<String> {
        if self.candidate.globals.enabled {
            return None;
        }
        log::info(format_args!("option enabled is '0': stopping"));
        let name = self.file.display();
        Some(format!(
            "{name}: option enabled is '0' in section globals: the daemon stops"
        ))
    }
}

/// The problems of a configuration, for a client and the status.
#[derive(Default)]
pub(super) struct Problems {
    told: Vec<String>,
    more: usize,
}

impl Problems {
    /// Adds one, if there is room.
    pub(super) fn add(&mut self, problem: fmt::Arguments<'_>) -> bool {
        let has_room = self.told.len() < PROBLEMS_TOLD_MAX;
        match has_room {
            true => self.told.push(problem.to_string()),
            false => self.more += 1,
        }
        has_room
    }

    /// Those that there was room for, and how many more there are.
    pub(super) fn told(mut self) -> Vec<String> {
        let more = self.more;
        if more > 0 {
            self.told
                .push(format!("and {more} more: `failover check` lists them all"));
        }
        self.told
    }
}

/// The problems of a configuration that is refused; without any, why it is.
pub(super) fn or_why(mut problems: Vec<String>, why: fmt::Arguments<'_>) -> Vec<String> {
    if problems.is_empty() {
        problems.push(why.to_string());
    }
    problems
}

/// Copies into the candidate what a reload does not change.
fn keep(running: &Config, candidate: &mut Config) {
    let state_dir = &running.globals.state_dir;
    if candidate.globals.state_dir != *state_dir {
        log::warn(format_args!(
            "state_dir stays {state_dir} until the daemon is started anew"
        ));
        candidate.globals.state_dir = state_dir.clone();
    }
    candidate.assign_slots(&|id| running.provider(id).map(|p| p.slot));
}

//! What clients and signals ask for is carried out.

use std::path::PathBuf;

use super::pin::find;
use super::start::{self, Failure};
use super::status::View;
use super::{Daemon, state_dir};
use crate::config::Config;
use crate::engine::Event;
use crate::linux::clock::now;
use crate::linux::control::ClientId;
use crate::linux::log as logging;
use crate::linux::signals::Signal;
use crate::text::text;
use crate::types::{Cause, Instant, Kind};
use crate::wire::control::{Counters, NOT_PERMITTED, Reply, Request, Text};

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
    /// A signal has come.
    pub(super) fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.take() {
            match signal {
                Signal::Stop => {
                    self.stopping = Some(self.cx.engine.config().globals.on_stop);
                }
                Signal::Reload => {
                    // Its complaints are in the log.
                    let _ = self.reload();
                }
                Signal::Child => {
                    self.probing.reap(&mut self.cx);
                    self.hear_netifd();
                    self.announcer.reap(&mut self.cx);
                }
            }
        }
    }

    /// A client connects; its request is mostly there already.
    pub(super) fn accept(&mut self) {
        if let Some(client) = self.control.accept() {
            self.serve_client(client);
        }
    }

    /// A client can be read from, or written to.
    pub(super) fn serve_client(&mut self, client: ClientId) {
        let now = now();
        if let Some(request) = self.control.read(client, now) {
            self.obey(client, &request, now);
        }
        self.pump(client, now);
    }

    /// Carries out what a client asks for at once; what it only asks about is told while it takes it.
    fn obey(&mut self, client: ClientId, request: &Request, now: Instant) {
        let cx = &mut self.cx;
        let result = match request {
            _ if !request.only_asks() && !self.control.server.is_owner(client) => {
                Err(NOT_PERMITTED.to_owned())
            }
            Request::Status => {
                // No event tells that what a warning is about was mended.
                cx.warnings_due = true;
                Ok(())
            }
            Request::Log | Request::Explain(None) => Ok(()),
            Request::Explain(Some(id)) => match cx.engine.config().provider(id) {
                Some(_) => Ok(()),
                None => find(cx.engine.config(), id).map(drop),
            },
            Request::Use(id) => self.pin.set(id.as_ref(), cx, now),
            Request::Disable(id) => self.disable(id, true, now),
            Request::Enable(id) => self.disable(id, false, now),
            Request::Reload => self.reload_for(client),
            Request::Refresh(interface) => self.netifd.refresh(interface.as_deref(), cx, now),
        };
        if let Err(error) = result {
            let reply = Reply::Error(text(format_args!("{error}")));
            self.control.server.push(client, &reply);
        }
        self.sync();
        self.note_warnings();
    }

    fn disable(&mut self, id: &str, disabled: bool, now: Instant) -> Result<(), String> {
        let slot = find(self.cx.engine.config(), id)?;
        self.cx.tell(Event::Disable(slot, disabled), now);
        Ok(())
    }

    fn reload_for(&mut self, client: ClientId) -> Result<(), String> {
        let (notes, result) = self.reload();
        for note in notes {
            // What finds no room is in the log.
            self.control.server.push(client, &Reply::Note(note));
        }
        result
    }

    /// Re-reads the configuration. A bad one is refused, with its errors, and the old one stays.
    fn reload(&mut self) -> (Vec<Text>, Result<(), String>) {
        let mut notes = Vec::new();
        let mut untold = 0;
        let Configuration {
            file, candidate, ..
        } = &mut self.configuration;
        let loaded = start::load(file, candidate, &mut |problem| match notes.len() {
            PROBLEMS_TOLD_MAX.. => untold += 1,
            _ => {
                log::warn!("{problem}");
                notes.push(text(problem));
            }
        });
        if untold > 0 {
            notes.push(text(format_args!(
                "and {untold} more: `failover check` lists them all"
            )));
        }
        let result = match loaded {
            Ok(_) if !candidate.globals.enabled => {
                log::info!("option enabled is '0': stopping");
                let name = file.display();
                notes.push(text(format_args!(
                    "{name}: option enabled is '0' in section globals: the daemon stops"
                )));
                self.stopping = Some(candidate.globals.on_stop);
                Ok(())
            }
            Ok(warnings) => {
                self.warnings.config = warnings;
                self.put_in_force();
                Ok(())
            }
            Err(failure) => {
                let refused = match failure {
                    Failure::Configuration(_) => ": it is refused",
                    _ => "",
                };
                let refusal = format!("{failure}{refused}, the old one stays");
                log::error!("{refusal}");
                Err(refusal)
            }
        };
        (notes, result)
    }

    /// The candidate becomes the configuration.
    fn put_in_force(&mut self) {
        let now = now();
        let Daemon {
            cx,
            routes,
            probing,
            netifd,
            control,
            pin,
            configuration,
            ..
        } = self;
        let running = cx.engine.config();
        let candidate = &mut *configuration.candidate;
        let state_dir = &running.globals.state_dir;
        if candidate.globals.state_dir != *state_dir {
            log::warn!("state_dir stays {state_dir} until the daemon is started anew");
            candidate.globals.state_dir = state_dir.clone();
        }
        candidate.assign_slots(&|id| running.provider(id).map(|p| p.slot));
        routes.forget_changed(running, candidate);
        probing.forget_changed(running, candidate);
        control.drop_half_told();
        cx.configure(candidate, now);
        routes.choose_tables(cx.engine);
        let globals = &cx.engine.config().globals;
        logging::set_level(globals.syslog_level);
        configuration.reloads += 1;
        routes.forget_unused(cx.engine);
        probing.fit(cx.engine);
        state_dir::admit(control, globals);
        netifd.follow(cx, now);
        routes.devices_named(cx.engine, netifd.interfaces, now);
        routes.look_at_uplinks(cx, probing, netifd.interfaces, now);
        cx.plan_all();
        pin.follow(cx);
        let (kind, cause) = (Kind::Configuration, Cause::Reread);
        cx.engine.note(now, None, None, kind, cause);
        cx.save_due = true;
    }

    /// Sends a client what it takes of its answer.
    fn pump(&mut self, client: ClientId, now: Instant) {
        let counters = self.counters();
        let view = View {
            core: self.cx.engine,
            mirror: self.routes.mirror,
            uplinks: self.routes.uplinks,
            laid_out: self.routes.laid_out,
            warnings: self.warnings.all(),
            counters: &counters,
            started_at: self.started_at,
            now,
        };
        let next = &mut |request: &Request, at: &mut u32| view.answer(request, at);
        self.control.pump(client, now, next, &self.cx);
    }

    /// Those of the parts; the engine's and the mirror's are theirs to tell.
    fn counters(&self) -> Counters {
        Counters {
            probes_sent: self.probing.probes_sent,
            probes_answered: self.probing.probes_answered,
            replies_rejected: self.probing.replies_rejected,
            icmp_errors: self.probing.icmp_errors,
            repairs: self.routes.repairs,
            kernel_errors: self.routes.kernel_errors,
            reloads: self.configuration.reloads,
            ..Counters::default()
        }
    }
}

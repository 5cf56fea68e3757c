//! What clients, signals and the sticky file ask for.

use std::io;

use super::start::{self, Failure};
use super::status::View;
use super::{Daemon, Memory, Token};
use crate::engine::Event;
use crate::linux::clock::now;
use crate::linux::control::ClientId;
use crate::linux::file::sticky::{Pinned, Sticky};
use crate::linux::log as logging;
use crate::linux::poll::Interest;
use crate::linux::signals::Signal;
use crate::text::text;
use crate::types::{Cause, Instant, Kind, Name, Slot};
use crate::wire::control::{NOT_PERMITTED, Reply, Request, Text};

/// Most problems of a configuration that a reload logs and answers.
const PROBLEMS_TOLD_MAX: usize = 32;

impl Daemon<'_> {
    /// A signal has come.
    pub(super) fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.take() {
            match signal {
                Signal::Stop => {
                    self.stopping = Some(self.memory.core.config().globals.on_stop);
                }
                Signal::Reload => {
                    // Its complaints are in the log.
                    let _ = self.reload();
                }
                Signal::Child => {
                    self.reap();
                    self.hear_netifd();
                    self.reap_hooks();
                }
            }
        }
    }

    /// A client knocks; its request is mostly there already.
    pub(super) fn accept(&mut self) {
        if let Some(client) = self.memory.server.accept(now()) {
            // Whoever was in this place is gone.
            if let Some(known) = self.clients.get_mut(client.index()) {
                *known = None;
            }
            self.serve_client(client);
        }
    }

    /// A client can be read from, or written to.
    pub(super) fn serve_client(&mut self, client: ClientId) {
        let now = now();
        if let Some(request) = self.memory.server.read(client, now) {
            self.obey(client, &request, now);
        }
        self.pump(client, now);
    }

    pub(super) fn expire_clients(&mut self, now: Instant) {
        if self.memory.server.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        self.memory.server.expire(now);
        self.forget_gone_clients();
    }

    fn forget_gone_clients(&mut self) {
        for (index, known) in self.clients.iter_mut().enumerate() {
            let gone = ClientId::from_index(index)
                .and_then(|client| self.memory.server.interest(client))
                .is_none();
            if gone {
                *known = None;
            }
        }
    }

    /// Carries out what a client asks for at once; what it only asks about is told while it takes it.
    fn obey(&mut self, client: ClientId, request: &Request, now: Instant) {
        let result = match request {
            _ if !request.only_asks() && !self.memory.server.is_owner(client) => {
                Err(NOT_PERMITTED.to_owned())
            }
            Request::Status => {
                // Nobody tells when a person has cured what a warning is about.
                self.warnings_due = true;
                Ok(())
            }
            Request::Log | Request::Explain(None) => Ok(()),
            Request::Explain(Some(id)) => match self.memory.core.config().provider(id) {
                Some(_) => Ok(()),
                None => self.find(id).map(drop),
            },
            Request::Use(id) => self.use_provider(id.as_ref(), now),
            Request::Disable(id) => self.disable(id, true, now),
            Request::Enable(id) => self.disable(id, false, now),
            Request::Reload => self.reload_for(client),
            Request::Refresh(interface) => self.refresh(interface.as_deref(), now),
        };
        if let Err(error) = result {
            self.memory
                .server
                .push(client, &Reply::Error(text(format_args!("{error}"))));
        }
        self.sync();
        self.note_warnings();
    }

    /// Sends a client what it takes of its answer, and watches for it to take more.
    fn pump(&mut self, client: ClientId, now: Instant) {
        let Memory {
            core,
            mirror,
            uplinks,
            laid_out,
            server,
            ..
        } = &mut *self.memory;
        let view = View {
            core,
            mirror,
            uplinks,
            laid_out,
            warnings: self.warnings.all(),
            counters: &self.counters,
            overridden_by: super::routes::overridden_by(&self.kernel),
            started_at: self.started_at,
            now,
        };
        server.pump(client, now, &mut |request, at| view.answer(request, at));
        self.watch(client);
    }

    fn find(&self, id: &str) -> Result<Slot, String> {
        let found = self.memory.core.config().usable(id);
        found
            .map(|provider| provider.slot)
            .map_err(|unusable| unusable.to_string())
    }

    /// Pins a provider, or none: what writing the sticky file does, but with an answer.
    fn use_provider(&mut self, id: Option<&Name>, now: Instant) -> Result<(), String> {
        let slot = id.map(|id| self.find(id)).transpose()?;
        let written = self.sticky.write(id.map(Name::as_str));
        written.map_err(|trouble| format!("{trouble}; nothing was changed"))?;
        self.warnings.sticky = None;
        self.tell(Event::Pin(slot), now);
        // Hear of our own writing now: later it might be taken for the beginning of somebody else's, who empties the
        // file before he fills it.
        self.sticky_changed();
        self.warnings_due = true;
        Ok(())
    }

    /// Something happened around the sticky file.
    pub(super) fn sticky_changed(&mut self) {
        match self.sticky.changed() {
            Ok(None) => {}
            Ok(Some(pinned)) => self.obey_sticky_file(pinned),
            Err(trouble) => log::error!("{trouble}"),
        }
    }

    /// A pin that stands in the sticky file at the start is no news where nothing is known of a former run, as after a boot.
    pub(super) fn adopt_pin(&mut self) {
        if let Pinned::Provider(id) = self.sticky.pinned().clone()
            && let Ok(slot) = self.find(&id)
        {
            self.memory.core.restore_pin(Some(slot));
        }
    }

    /// Pins the provider that the sticky file names. An unknown one changes nothing.
    pub(super) fn obey_sticky_file(&mut self, pinned: Pinned) {
        let slot = match pinned {
            Pinned::Nobody => Ok(None),
            Pinned::Provider(id) => self.find(&id).map(Some),
            Pinned::Invalid(what) => Err(what),
        };
        match slot {
            Ok(slot) => {
                self.warnings.sticky = None;
                self.tell(Event::Pin(slot), now());
            }
            Err(what) => {
                let file = &self.memory.core.config().globals.sticky_file;
                self.warnings.sticky = Some(text(format_args!("{file} is not obeyed: {what}")));
            }
        }
        self.warnings_due = true;
    }

    fn disable(&mut self, id: &str, disabled: bool, now: Instant) -> Result<(), String> {
        let slot = self.find(id)?;
        self.tell(Event::Disable(slot, disabled), now);
        Ok(())
    }

    fn reload_for(&mut self, client: ClientId) -> Result<(), String> {
        let (notes, result) = self.reload();
        for note in notes {
            // What finds no room is in the log.
            self.memory.server.push(client, &Reply::Note(note));
        }
        result
    }

    /// Re-reads the configuration. A bad one is refused, with its errors, and the old one stays.
    fn reload(&mut self) -> (Vec<Text>, Result<(), String>) {
        let mut notes = Vec::new();
        let mut untold = 0;
        let loaded = start::load(
            &self.config_file,
            &mut self.memory.candidate,
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
        let result = match loaded {
            Ok(_) if !self.memory.candidate.globals.enabled => {
                log::info!("option enabled is '0': stopping");
                let name = self.config_file.display();
                notes.push(text(format_args!(
                    "{name}: option enabled is '0' in section globals: the daemon stops"
                )));
                self.stopping = Some(self.memory.candidate.globals.on_stop);
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
        let Memory {
            core, candidate, ..
        } = &mut *self.memory;
        let old = core.config().globals.clone();
        if candidate.globals.state_dir != old.state_dir {
            log::warn!(
                "state_dir stays {} until the daemon is started anew",
                old.state_dir
            );
            candidate.globals.state_dir = old.state_dir;
        }
        let running = core.config();
        candidate.assign_slots(&|id| running.provider(id).map(|p| p.slot));
        self.forget_changed();
        // The places of providers in an answer are those of the old configuration.
        self.memory.server.drop_half_told();
        self.forget_gone_clients();
        let Memory {
            core,
            candidate,
            tables,
            mirror,
            ..
        } = &mut *self.memory;
        let actions = core.configure(candidate, now);
        tables.choose(core.config(), mirror.routes());
        logging::set_level(core.config().globals.syslog_level);
        let sticky_file = core.config().globals.sticky_file.clone();
        self.counters.reloads += 1;
        self.carry_out(&actions, now);
        self.close_unused();
        self.share_room();
        self.admit();
        self.follow_interfaces(now);
        self.devices_named(now);
        self.look_at_uplinks(now);
        self.plan_all();
        if sticky_file != old.sticky_file {
            self.follow_sticky_file(&sticky_file);
        }
        let pinned = self.sticky.pinned().clone();
        self.obey_sticky_file(pinned);
        let core = &mut self.memory.core;
        core.note(now, None, None, Kind::Configuration, Cause::Reread);
        self.save_wanted = true;
    }

    fn follow_sticky_file(&mut self, file: &str) {
        match Sticky::open(file) {
            Ok(sticky) => {
                // Closing the old one takes it out of the poller.
                self.sticky = sticky;
                if let Err(errno) =
                    self.poller
                        .add(&self.sticky, Token::Sticky.to_u64(), Interest::READ)
                {
                    log::error!("{file} cannot be watched: {}", io::Error::from(errno));
                }
            }
            Err(trouble) => log::error!("{trouble}"),
        }
    }

    /// Watches a client for what it is to do next.
    fn watch(&mut self, client: ClientId) {
        let Some(known) = self.clients.get_mut(client.index()) else {
            return;
        };
        let Some((fd, wanted)) = self.memory.server.interest(client) else {
            // Closing has taken it out of the poller.
            *known = None;
            return;
        };
        let token = Token::Client(client.index()).to_u64();
        let done = match known.replace(wanted) {
            None => self.poller.add(fd, token, wanted),
            Some(before) if before != wanted => self.poller.modify(fd, token, wanted),
            Some(_) => Ok(()),
        };
        if let Err(errno) = done {
            log::error!("a client cannot be watched: {}", io::Error::from(errno));
        }
    }
}

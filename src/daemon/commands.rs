//! Carries out the commands of clients and signals.

use super::Daemon;
use super::answers::Answers;
use super::pin::find;
use super::snapshot::Snapshot;
use crate::engine::Event;
use crate::linux::clock::now;
use crate::linux::control::ClientId;
use crate::linux::signals::Signal;
use crate::text::text;
use crate::types::Instant;
use crate::wire::control::{NOT_PERMITTED, Reply, Request};
use crate::wire::snapshot::Counters;

impl Daemon<'_> {
    /// Handles a signal.
    pub(super) fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.take() {
            match signal {
                Signal::Stop => {
                    self.stopping = Some(self.cx.engine.config().globals.on_stop);
                }
                Signal::Reload => {
                    // The problems are in the log.
                    let _ = self.reload(&mut Vec::new());
                }
                Signal::Child => {
                    self.probing.reap(&mut self.cx);
                    self.hear_netifd();
                    self.announcer.reap(&mut self.cx);
                    self.firewall.reap(&mut self.cx, now());
                }
            }
        }
    }

    /// Accepts a client. Its request has usually arrived already.
    pub(super) fn accept(&mut self) {
        if let Some(client) = self.control.accept() {
            self.serve_client(client);
        }
    }

    /// A client is readable or writable.
    pub(super) fn serve_client(&mut self, client: ClientId) {
        let now = now();
        if let Some(request) = self.control.read(client, now) {
            self.obey(client, &request, now);
        }
        self.pump(client, now);
    }

    /// Carries out a command at once; the answer to a query is made while the client reads it.
    fn obey(&mut self, client: ClientId, request: &Request, now: Instant) {
        let cx = &mut self.cx;
        let result = match request {
            _ if !request.only_asks() && !self.control.server.is_owner(client) => {
                Err(NOT_PERMITTED.to_owned())
            }
            Request::Status | Request::Page => {
                // No event tells that what a warning is about was mended.
                cx.warnings_due = true;
                self.firewall.look_again();
                Ok(())
            }
            Request::Log | Request::Follow(_) | Request::Explain(None) => Ok(()),
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
            let mut reply = Reply::Error(text(format_args!("{error}")));
            self.control.server.push(client, &mut reply);
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
        let mut notes = Vec::new();
        let result = self.reload(&mut notes);
        for note in notes {
            // What does not fit is in the log.
            let mut note = Reply::Note(text(format_args!("{note}")));
            self.control.server.push(client, &mut note);
        }
        result
    }

    /// Sends as much of its answer as a client takes.
    fn pump(&mut self, client: ClientId, now: Instant) {
        let counters = self.counters();
        let answers = Answers {
            snapshot: Snapshot::of(self.cx.engine, &self.routes, now),
            warnings: self.warnings.all(),
            counters: &counters,
            started_at: self.started_at,
        };
        let next = &mut |request: &Request, at: &mut u32| answers.next(request, at);
        self.control.pump(client, now, next, &self.cx);
    }

    /// The counters of the parts; those of engine and mirror are read from these.
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

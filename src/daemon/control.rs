//! The clients of the control socket.

use std::io;
use std::path::Path;

use super::context::Context;
use super::token::Token;
use crate::limits::CLIENTS_MAX;
use crate::linux::clock::now;
use crate::linux::control::{ClientId, Server};
use crate::linux::file::error::FileError;
use crate::linux::log;
use crate::linux::poll::Interest;
use crate::types::Instant;
use crate::wire::control::{Reply, Request};

/// The control socket, and the events that each client is polled for.
pub(super) struct Control<'m> {
    pub(super) server: &'m mut Server,
    /// The events that each client's descriptor is polled for.
    watched: [Option<Interest>; CLIENTS_MAX],
}

impl<'m> Control<'m> {
    /// Takes its memory; there is no socket yet.
    pub(super) fn new(server: &'m mut Server) -> Control<'m> {
        Control {
            server,
            watched: Default::default(),
        }
    }

    /// Opens the socket. Opening it again drops every client.
    pub(super) fn open(&mut self, state_dir: &str) -> Result<(), FileError> {
        self.server.open(Path::new(state_dir))?;
        self.watched = Default::default();
        Ok(())
    }

    /// Accepts a client.
    pub(super) fn accept(&mut self) -> Option<ClientId> {
        let client = self.server.accept(now())?;
        // The former client in this place is gone.
        if let Some(watched) = self.watched.get_mut(client.index()) {
            *watched = None;
        }
        Some(client)
    }

    /// A client's request, once it is complete.
    pub(super) fn read(&mut self, client: ClientId, now: Instant) -> Option<Request> {
        self.server.read(client, now)
    }

    /// Sends as much of its answer as a client takes, and polls for the rest.
    pub(super) fn pump(
        &mut self,
        client: ClientId,
        now: Instant,
        next: &mut dyn FnMut(&Request, &mut u32) -> Option<Reply>,
        cx: &Context<'_>,
    ) {
        self.server.pump(client, now, next);
        self.watch(client, cx);
    }

    /// Polls a client for its next event.
    fn watch(&mut self, client: ClientId, cx: &Context<'_>) {
        let Some(watched) = self.watched.get_mut(client.index()) else {
            return;
        };
        let Some((fd, wanted)) = self.server.interest(client) else {
            // Closing has removed it from the poller.
            *watched = None;
            return;
        };
        let token = Token::Client(client.index()).to_u64();
        let done = match watched.replace(wanted) {
            None => cx.poller.add(fd, token, wanted),
            Some(before) if before != wanted => cx.poller.modify(fd, token, wanted),
            Some(_) => Ok(()),
        };
        if let Err(errno) = done {
            log::error(format_args!(
                "a client cannot be watched: {}",
                io::Error::from(errno)
            ));
        }
    }

    /// The earliest deadline of a client.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.server.next_deadline()
    }

    /// Drops the clients whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        self.server.expire(now);
        self.forget_gone();
    }

    /// Drops the clients in the middle of an answer, because the providers' places in it are about to change.
    pub(super) fn drop_half_told(&mut self) {
        self.server.drop_half_told();
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        for (index, watched) in self.watched.iter_mut().enumerate() {
            let client = ClientId::from_index(index);
            if client.is_none_or(|client| self.server.interest(client).is_none()) {
                *watched = None;
            }
        }
    }
}

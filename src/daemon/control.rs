//! The clients of the control socket.

use std::io;
use std::path::Path;

use super::context::Context;
use super::token::Token;
use crate::limits::CLIENTS_MAX;
use crate::linux::clock::now;
use crate::linux::control::{ClientId, Server};
use crate::linux::file::error::FileError;
use crate::linux::poll::Interest;
use crate::types::Instant;
use crate::wire::control::{Reply, Request};

/// The control socket, and what the loop waits for of each client.
pub(super) struct Control<'m> {
    pub(super) server: &'m mut Server,
    /// What each client's descriptor is watched for.
    watched: [Option<Interest>; CLIENTS_MAX],
}

impl<'m> Control<'m> {
    /// With the memory that is its own: no socket yet.
    pub(super) fn new(server: &'m mut Server) -> Control<'m> {
        Control {
            server,
            watched: Default::default(),
        }
    }

    /// Opens the socket, or opens it anew: then every client is gone.
    pub(super) fn open(&mut self, state_dir: &str) -> Result<(), FileError> {
        self.server.open(Path::new(state_dir))?;
        self.watched = Default::default();
        Ok(())
    }

    /// A client connects.
    pub(super) fn accept(&mut self) -> Option<ClientId> {
        let client = self.server.accept(now())?;
        // The client that was in this place is gone.
        if let Some(watched) = self.watched.get_mut(client.index()) {
            *watched = None;
        }
        Some(client)
    }

    /// What a client asks for, once all of that is there.
    pub(super) fn read(&mut self, client: ClientId, now: Instant) -> Option<Request> {
        self.server.read(client, now)
    }

    /// Sends a client what it takes of its answer, and watches for it to take more.
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

    /// Watches a client for what it is to do next.
    fn watch(&mut self, client: ClientId, cx: &Context<'_>) {
        let Some(watched) = self.watched.get_mut(client.index()) else {
            return;
        };
        let Some((fd, wanted)) = self.server.interest(client) else {
            // Closing has taken it out of the poller.
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
            log::error!("a client cannot be watched: {}", io::Error::from(errno));
        }
    }

    /// When a client's time is over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.server.next_deadline()
    }

    /// Drops the clients whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.next_deadline().is_none_or(|at| now < at) {
            return;
        }
        self.server.expire(now);
        self.forget_gone();
    }

    /// The places of providers in an answer are those of the configuration in force, which is about to be another.
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

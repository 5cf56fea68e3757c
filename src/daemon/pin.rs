//! The sticky file: the provider that it names is pinned.

use std::io;

use nix::errno::Errno;

use super::context::Context;
use super::token::Token;
use crate::config::Config;
use crate::engine::{Engine, Event};
use crate::linux::clock::now;
use crate::linux::file::error::FileError;
use crate::linux::file::sticky::{Pinned, Sticky};
use crate::text::text;
use crate::types::{Instant, Name, Slot};
use crate::wire::control::Text;

/// The sticky file, and the problem with its content.
pub(super) struct Pin {
    file: Sticky,
    /// The file's path.
    path: String,
    /// The problem with its content.
    pub(super) problem: Option<Text>,
}

impl Pin {
    /// Begins to watch the file that is configured.
    pub(super) fn open(config: &Config) -> Result<Pin, FileError> {
        let path = config.globals.sticky_file.as_str().to_owned();
        Ok(Pin {
            file: Sticky::open(&path)?,
            path,
            problem: None,
        })
    }

    /// Restores the pin at the start. Without a saved state, as after a boot, it is no transition.
    pub(super) fn adopt(&self, engine: &mut Engine) {
        if let Pinned::Provider(id) = self.file.pinned()
            && let Ok(slot) = find(engine.config(), id)
        {
            engine.restore_pin(Some(slot));
        }
    }

    /// Adds the watch of the file to the poller.
    pub(super) fn watch(&self, cx: &Context<'_>) -> Result<(), Errno> {
        cx.watch(&self.file, Token::Sticky)
    }

    /// A new configuration is in force, perhaps with another file.
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        if cx.engine.config().globals.sticky_file.as_str() != self.path {
            self.reopen(cx);
        }
        self.obey(cx);
    }

    fn reopen(&mut self, cx: &Context<'_>) {
        match Pin::open(cx.engine.config()) {
            Ok(pin) => {
                // Closing the old watch removes it from the poller.
                (self.file, self.path) = (pin.file, pin.path);
                if let Err(errno) = self.watch(cx) {
                    let error = io::Error::from(errno);
                    log::error!("{} cannot be watched: {error}", self.path);
                }
            }
            Err(error) => log::error!("{error}"),
        }
    }

    /// Pins a provider, or none: as writing the sticky file does, but with a result.
    pub(super) fn set(
        &mut self,
        id: Option<&Name>,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Result<(), String> {
        let slot = id.map(|id| find(cx.engine.config(), id)).transpose()?;
        let written = self.file.write(id.map(Name::as_str));
        written.map_err(|error| format!("{error}; nothing was changed"))?;
        self.problem = None;
        cx.tell(Event::Pin(slot), now);
        // Read the events of our own write now: later they might be taken for the first write of another program, which
        // empties the file before it fills it.
        self.changed(cx);
        cx.warnings_due = true;
        Ok(())
    }

    /// The sticky file may have changed.
    pub(super) fn changed(&mut self, cx: &mut Context<'_>) {
        match self.file.changed() {
            Ok(false) => {}
            Ok(true) => self.obey(cx),
            Err(error) => log::error!("{error}"),
        }
    }

    /// Pins the provider that the file names. An unknown name changes nothing.
    pub(super) fn obey(&mut self, cx: &mut Context<'_>) {
        let slot = match self.file.pinned() {
            Pinned::None => Ok(None),
            Pinned::Provider(id) => find(cx.engine.config(), id).map(Some),
            Pinned::Invalid(what) => Err(what.clone()),
        };
        self.problem = match slot {
            Ok(slot) => {
                cx.tell(Event::Pin(slot), now());
                None
            }
            Err(what) => {
                let file = &cx.engine.config().globals.sticky_file;
                Some(text(format_args!("{file} is not obeyed: {what}")))
            }
        };
        cx.warnings_due = true;
    }
}

/// A provider that can be pinned or disabled.
pub(super) fn find(config: &Config, id: &str) -> Result<Slot, String> {
    let found = config.usable(id);
    found
        .map(|provider| provider.slot)
        .map_err(|unusable| unusable.to_string())
}

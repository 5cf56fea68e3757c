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

/// The sticky file, and what is wrong with it.
pub(super) struct Pin {
    file: Sticky,
    /// Where that is.
    path: String,
    /// What is wrong with its content.
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

    /// A pin that stands there at the start is no news where nothing is known of a former run, as after a boot.
    pub(super) fn adopt(&self, engine: &mut Engine) {
        if let Pinned::Provider(id) = self.file.pinned()
            && let Ok(slot) = find(engine.config(), id)
        {
            engine.restore_pin(Some(slot));
        }
    }

    /// Has the loop wait for what happens to the file.
    pub(super) fn watch(&self, cx: &Context<'_>) -> Result<(), Errno> {
        cx.watch(&self.file, Token::Sticky)
    }

    /// Another configuration is in force: its file may be another.
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        if cx.engine.config().globals.sticky_file.as_str() != self.path {
            self.reopen(cx);
        }
        self.obey(cx);
    }

    fn reopen(&mut self, cx: &Context<'_>) {
        match Pin::open(cx.engine.config()) {
            Ok(pin) => {
                // Closing the old one takes it out of the poller.
                (self.file, self.path) = (pin.file, pin.path);
                if let Err(errno) = self.watch(cx) {
                    let error = io::Error::from(errno);
                    log::error!("{} cannot be watched: {error}", self.path);
                }
            }
            Err(error) => log::error!("{error}"),
        }
    }

    /// Pins a provider, or none: what writing the sticky file does, but with an answer.
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
        // Hear of our own writing now: later it might be taken for the beginning of another program's, which empties the
        // file before it fills it.
        self.changed(cx);
        cx.warnings_due = true;
        Ok(())
    }

    /// Something happened around the sticky file.
    pub(super) fn changed(&mut self, cx: &mut Context<'_>) {
        match self.file.changed() {
            Ok(None) => {}
            Ok(Some(_)) => self.obey(cx),
            Err(error) => log::error!("{error}"),
        }
    }

    /// Pins the provider that the file names. An unknown one changes nothing.
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

/// A provider that can be pinned or taken out of use.
pub(super) fn find(config: &Config, id: &str) -> Result<Slot, String> {
    let found = config.usable(id);
    found
        .map(|provider| provider.slot)
        .map_err(|unusable| unusable.to_string())
}

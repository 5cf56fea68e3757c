//! What netifd says of its interfaces, for the providers that name some.

use super::warnings::advice;
use super::{Daemon, Memory, Token};
use crate::linux::clock::now;
use crate::linux::errno;
use crate::linux::poll::Interest;
use crate::linux::process::ubus::{NoAnswer, Untold};
use crate::types::{Instant, Name};
use crate::uci::Shown;

impl Daemon<'_> {
    /// Asks netifd for what is to be asked.
    pub(super) fn ask_netifd(&mut self, now: Instant) {
        self.memory.interfaces.give_up(now);
        let Some(answer) = self.memory.interfaces.ask(now) else {
            return;
        };
        let token = Token::Netifd.to_u64();
        if let Err(errno) = self.poller.add(answer, token, Interest::READ) {
            log::error!(
                "netifd's answer cannot be read: {}",
                errno::text(&errno.into())
            );
        }
    }

    /// Netifd has said something, or a child has ended.
    pub(super) fn hear_netifd(&mut self) {
        let now = now();
        if self.memory.interfaces.hear(now) {
            self.warnings_due = true;
            self.devices_named(now);
            self.look_at_uplinks(now);
        }
        self.ask_netifd(now);
    }

    /// A person, or a hotplug script, says that an interface has changed, or any.
    pub(super) fn refresh(&mut self, interface: Option<&str>, now: Instant) -> Result<(), String> {
        let of_interest = self.memory.interfaces.refresh(interface);
        self.ask_netifd(now);
        if of_interest {
            return Ok(());
        }
        let names: Vec<&str> = self.memory.interfaces.names().map(Name::as_str).collect();
        Err(match (names.is_empty(), interface) {
            (false, Some(interface)) => format!(
                "no provider uses interface {}; those in use: {}",
                Shown(interface),
                names.join(", ")
            ),
            _ => "no provider uses interfaces of netifd's (`option interface`)".to_owned(),
        })
    }

    /// Another configuration is in force.
    pub(super) fn follow_interfaces(&mut self, now: Instant) {
        let Memory {
            core, interfaces, ..
        } = &mut *self.memory;
        interfaces.follow(core.config());
        self.ask_netifd(now);
    }

    /// Interfaces that netifd says nothing of.
    pub(super) fn warn_of_interfaces(&mut self) {
        for (name, trouble) in self.memory.interfaces.troubles() {
            let config = self.memory.core.config();
            let Some(provider) = config.enabled().find(|p| p.interfaces.contains(name)) else {
                continue;
            };
            let id = Some(&provider.id);
            let mut add = |code, what, cure| self.warnings.add(code, id, what, cure);
            match trouble {
                Untold::Unknown => add(
                    "interface-unknown",
                    format_args!("netifd knows no interface {name}"),
                    advice(format_args!("see `ubus list network.interface.*`")),
                ),
                Untold::NoAnswer(NoAnswer::Program(errno)) => add(
                    "no-netifd",
                    format_args!(
                        "interface {name} is asked of netifd by `ubus`, which cannot be run ({})",
                        errno::text(&errno.into())
                    ),
                    advice(format_args!(
                        "where there is no netifd, name the device by `option device`"
                    )),
                ),
                Untold::NoAnswer(why) => add(
                    "no-netifd",
                    format_args!(
                        "netifd does not tell of interface {name} ({why}): it is asked again"
                    ),
                    None,
                ),
                Untold::Silent(why) => add(
                    "no-netifd",
                    format_args!(
                        "netifd does not tell of interface {name} any more ({why}): what it told before holds, and it is \
                         asked again"
                    ),
                    None,
                ),
            }
        }
    }
}

//! `exec`: a command; exit status 0 is success.

use heapless::String;

use super::{Common, Type, Way};
use crate::limits::COMMAND_MAX;
use crate::option::section::{Given, Options, Value};
use crate::types::Family;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// for `/bin/sh -c`
    pub command: String<COMMAND_MAX>,
}

impl Type for Exec {
    type Session = ();

    fn read(options: &mut Options<'_, '_, '_>, common: &Common) -> Option<(Exec, Family)> {
        if common.given.is_bad() {
            return None;
        }
        // Only the command interprets the target: any address is accepted, also a loopback address.
        let address = common.target.parse().ok();
        if let Some(address) = address {
            common.agree(options, address);
        }
        let mut command = Value::new();
        match options.single("command", &mut command) {
            Given::Is((), line) => {
                if command.trim_ascii().is_empty() {
                    options.refuse("command", &command, line, "expected what to run");
                }
            }
            Given::Absent if common.given.is_set() && address.is_none() => {
                command.clone_from(&common.target);
            }
            Given::Absent => {
                options.missing("has no command: expected option command with what to run");
                return None;
            }
            Given::Bad => return None,
        }
        let family = address.map_or(common.family.or(Family::V4), Family::of);
        Some((Exec { command }, family))
    }

    fn way(&self) -> Way<'_> {
        Way::Run(&self.command)
    }
}

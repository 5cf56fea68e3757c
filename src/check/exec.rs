//! `exec`: a command; exit status 0 is success.

use heapless::String;

use super::{Common, Type, Way};
use crate::limits::COMMAND_MAX;
use crate::option::section::{Given, Options};
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
        let target = match &common.target {
            Given::Is(text, _) => Some(text),
            Given::Absent => None,
            Given::Bad => return None,
        };
        // Only the command interprets the target: any address is accepted, also a loopback address.
        let address = target.and_then(|text| text.parse().ok());
        if let Some(address) = address {
            common.agree(options, address);
        }
        let command = match (options.single("command"), target) {
            (Given::Is(command, line), _) => {
                if command.trim().is_empty() {
                    options.refuse("command", &command, line, "expected what to run");
                }
                command
            }
            (Given::Absent, Some(target)) if address.is_none() => target.clone(),
            (Given::Absent, _) => {
                options.missing("has no command: expected option command with what to run");
                return None;
            }
            (Given::Bad, _) => return None,
        };
        let family = address.map_or(common.family.or(Family::V4), Family::of);
        Some((Exec { command }, family))
    }

    fn way(&self) -> Way<'_> {
        Way::Run(&self.command)
    }
}

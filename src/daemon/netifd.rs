//! The state of netifd's interfaces, for the providers that name some.
//!
//! Of a lease that is renewed with other resolvers, and is otherwise the same, netifd tells no hotplug script. It writes them
//! to a file, which is watched.

use std::path::Path;

use super::context::Context;
use super::token::Token;
use super::warnings::Warnings;
use crate::config::Config;
use crate::linux::file::path_watch::PathWatch;
use crate::linux::process::ubus::{InterfaceError, Interfaces, NoAnswer};
use crate::linux::{errno, log};
use crate::types::Instant;
use crate::uci::Shown;

/// What to do when `ubus` can be run, but does not tell.
const NOT_TOLD: &str = "`ubus call network.interface dump` must work: see whether netifd runs";

/// Where netifd writes the resolvers of all interfaces.
const RESOLVERS: &str = "/tmp/resolv.conf.d/resolv.conf.auto";

/// The netifd interfaces that providers name, queried by `ubus`.
pub(super) struct NetifdWatch<'m> {
    pub(super) interfaces: &'m mut Interfaces,
    /// the file of their resolvers; none: no provider has named an interface so far
    resolvers: Option<PathWatch>,
}

impl NetifdWatch<'_> {
    /// Nothing is asked yet.
    pub(super) fn new(interfaces: &mut Interfaces) -> NetifdWatch<'_> {
        NetifdWatch {
            interfaces,
            resolvers: None,
        }
    }

    /// Starts the queries that are due.
    pub(super) fn ask(&mut self, cx: &Context<'_>, now: Instant) {
        self.interfaces.give_up(now);
        let Some(answer) = self.interfaces.ask(now) else {
            return;
        };
        if let Err(errno) = cx.watch(answer, Token::Netifd) {
            log::error(format_args!(
                "netifd's answer cannot be read: {}",
                errno::text(&errno.into())
            ));
        }
    }

    /// The user, or a hotplug script, reports that an interface has changed, or any of them.
    pub(super) fn refresh(
        &mut self,
        interface: Option<&str>,
        cx: &Context<'_>,
        now: Instant,
    ) -> Result<(), String> {
        let of_interest = self.interfaces.refresh(interface);
        self.ask(cx, now);
        if of_interest {
            return Ok(());
        }
        let names: Vec<&str> = self.interfaces.names().map(|name| name.as_str()).collect();
        Err(match (names.is_empty(), interface) {
            (false, Some(interface)) => format!(
                "no provider uses interface {}; those in use: {}",
                Shown(interface),
                names.join(", ")
            ),
            _ => "no provider uses interfaces of netifd's (`option interface`)".to_owned(),
        })
    }

    /// A new configuration is in force.
    pub(super) fn follow(&mut self, cx: &Context<'_>, now: Instant) {
        self.interfaces.follow(cx.engine.config());
        if self.resolvers.is_none() && self.interfaces.names().next().is_some() {
            match PathWatch::new(Path::new(RESOLVERS)) {
                Ok(watch) => self.watch(watch, cx),
                Err(error) => log::error(format_args!("{error}")),
            }
        }
        self.ask(cx, now);
    }

    fn watch(&mut self, resolvers: PathWatch, cx: &Context<'_>) {
        if let Err(errno) = cx.watch(&resolvers, Token::Resolvers) {
            log::error(format_args!(
                "{RESOLVERS} cannot be watched: {}",
                errno::text(&errno.into())
            ));
        }
        self.resolvers = Some(resolvers);
    }

    /// The file of their resolvers may have changed.
    pub(super) fn resolvers_changed(&mut self, cx: &Context<'_>, now: Instant) {
        let changed = self.resolvers.as_mut().map(PathWatch::changed);
        match changed.unwrap_or(Ok(false)) {
            Ok(false) => {}
            Ok(true) => {
                self.interfaces.refresh(None);
                self.ask(cx, now);
            }
            Err(error) => log::error(format_args!("{error}")),
        }
    }

    /// Warns of interfaces without data from netifd.
    pub(super) fn warn(&self, config: &Config, warnings: &mut Warnings) {
        for (name, error) in self.interfaces.failures() {
            let Some(provider) = config.enabled().find(|p| p.interfaces.contains(name)) else {
                continue;
            };
            let id = Some(&provider.id);
            let mut add = |code, what, cure| {
                warnings.add(code, id, what, cure);
            };
            match error {
                InterfaceError::Unknown => add(
                    "interface-unknown",
                    format_args!("netifd knows no interface {name}"),
                    format_args!(
                        "correct `option interface` (`ubus list 'network.interface.*'` lists all), or make it in the \
                         network's configuration"
                    ),
                ),
                InterfaceError::NoAnswer(NoAnswer::Program(errno)) => add(
                    "no-netifd",
                    format_args!(
                        "interface {name} is asked of netifd by `ubus`, which cannot be run ({})",
                        errno::text(&errno.into())
                    ),
                    format_args!("where there is no netifd, name the device by `option device`"),
                ),
                InterfaceError::NoAnswer(why) | InterfaceError::Silent(why) => {
                    let (more, holds) = match error {
                        InterfaceError::Silent(_) => {
                            (" any more", "what it told before holds, and ")
                        }
                        _ => ("", ""),
                    };
                    add(
                        "no-netifd",
                        format_args!(
                            "netifd does not tell of interface {name}{more} ({why}): {holds}it is asked again"
                        ),
                        format_args!("{NOT_TOLD}"),
                    );
                }
            }
        }
    }
}

//! Multi-WAN failover: probe the Internet through every uplink, keep the default routes ordered by metric.
//!
//! Data flow, one line: `linux/probe` receives → `wire` parses → [`failover::Event::Reply`] →
//! [`failover::Failover::handle`] → round ring → path state → ranking → [`failover::Action::Routes`] →
//! `linux/route` → [`failover::Event::RoutesApplied`].
//!
//! | module | job |
//! |---|---|
//! | [`uci`] | UCI text → sections that borrow from it |
//! | [`config`] | sections → a validated [`config::Config`]; every capacity and default |
//! | [`failover`] | the core: events and the time in, a bounded list of actions out |
//! | [`wire`] | bytes ↔ meaning: ICMP, control frames, saved state |
//! | [`net`], [`text`] | the few types that all of them share |
//! | `linux` | the only place with clocks, sockets, netlink, files, child processes |
//! | `daemon` | the driver: wait → one event → core → carry out actions |
//! | `client`, `cli` | the commands, over the control socket |
//!
//! Architecture invariants:
//! - The first six never import `linux`, read a clock, do I/O, allocate or panic: they build without `std`.
//! - `linux` never decides. Nothing imports `daemon`.
//! - Every list has a capacity, named in [`config`].
#![cfg_attr(not(any(feature = "std", test)), no_std)]

pub mod config;
pub mod failover;
pub mod net;
pub mod text;
pub mod uci;
pub mod wire;

#[cfg(feature = "std")]
pub mod cli;
#[cfg(feature = "std")]
pub mod client;
#[cfg(feature = "std")]
pub mod daemon;
#[cfg(feature = "std")]
pub mod linux;

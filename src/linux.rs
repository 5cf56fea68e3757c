//! The operating system: the only place with clocks, sockets, netlink, files and child processes. It never decides.
//!
//! | module | job |
//! |---|---|
//! | [`netlink`] | the kernel's links, addresses, routes and rules: changes, dumps, events |
//! | [`netfilter`] | entries of connection tracking, and our table of nftables |
//! | [`probe`] | sends probes and receives their answers |
//! | [`process`] | child processes: hooks, `ubus`, and `nft` |
//! | [`mod@file`] | configuration, sticky file, saved state, state directory |
//! | [`poll`] | waits for descriptors and one deadline |
//! | [`clock`] | the clocks, the boot ID, random bytes |
//! | [`signals`] | signals as a descriptor |
//! | [`control`] | the daemon's end of the control socket |
//! | [`connection`] | a client's end of the control socket |
//! | `listener` | sockets that listen at a path |
//! | [`netns_lock`] | one daemon per network namespace |
//! | [`terminal`] | the user's terminal |
//! | [`log`] | the destination of log lines |
//! | [`sysctl`] | the kernel settings that hinder probes |
//! | [`privileges`] | the needed capabilities; dropping the others |
//! | [`errno`] | errno → [`Fault`](crate::types::Fault) |
//! | `heap` | the heap of a program for routers |
//!
//! `ffi` and `heap` are the only files with `unsafe`: the system calls without a safe wrapper in nix, and an allocator.

pub mod clock;
pub mod connection;
pub mod control;
pub mod errno;
mod ffi;
pub mod file;
#[cfg(test)]
mod fixture;
#[cfg(any(target_env = "musl", test))]
mod heap;
mod listener;
pub mod log;
pub mod netfilter;
pub mod netlink;
pub mod netns_lock;
pub mod poll;
pub mod privileges;
pub mod probe;
pub mod process;
pub mod signals;
pub mod sysctl;
pub mod terminal;

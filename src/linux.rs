//! The operating system: the only place with clocks, sockets, netlink, files and child processes. It never decides.
//!
//! The kernel's network state:
//!
//! | module | job |
//! |---|---|
//! | [`objects`] | what the kernel has, as we see it: links, addresses, routes, rules; and the changes we ask it for |
//! | [`netlink`] | carries out changes, dumps, and hears events |
//! | [`mirror`] | the picture of the kernel's state, kept by events and dumps |
//! | [`mwan3`] | whether another master is at work |
//! | [`uplink`] | mirror + configuration → what is known of a path's way out, or why it must wait |
//! | [`layout`] | plan + configuration + uplinks → the routes and rules that the kernel shall have |
//! | [`diff`] | those, and what it has → the changes in between, in a safe order |
//!
//! Probes:
//!
//! | module | job |
//! |---|---|
//! | [`prober`] | asks what checks ask, in whatever way they ask it |
//! | [`icmp`] | the raw sockets that send probes and receive their answers |
//! | [`talks`] | the conversations of checks with servers, over TCP and UDP |
//! | [`neighbours`] | the packet sockets that ask who is on the link |
//! | `filter` | the socket filters: only our replies wake us |
//! | [`exec`] | the commands of `exec` checks |
//! | [`share`] | how the room for conversations and commands is shared |
//! | [`fault`] | errno → what the core calls it |
//!
//! The loop:
//!
//! | module | job |
//! |---|---|
//! | [`poll`] | waits for descriptors and one deadline |
//! | [`clock`] | the time, the boot's identity, random bytes |
//! | [`signals`] | signals as a descriptor |
//! | [`control`] | the daemon's end of the control socket |
//! | [`connection`] | a client's end of the control socket |
//! | [`terminal`] | the person's terminal, and the clock on the wall |
//!
//! Other programs:
//!
//! | module | job |
//! |---|---|
//! | [`child`] | child processes |
//! | [`hooks`] | programs that hear of transitions |
//! | [`netifd`] | which device OpenWrt's logical interfaces have, asked by `ubus` |
//!
//! Files:
//!
//! | module | job |
//! |---|---|
//! | [`files`] | the configuration file |
//! | [`sticky`] | the file that holds the pin |
//! | [`watch`] | tells when what a path leads to may have changed |
//! | [`save`] | the saved state's file |
//! | [`state_dir`] | the state directory: made, found safe, watched |
//! | [`lock`] | one daemon a state directory |
//! | [`alone`] | one daemon a network namespace |
//! | [`log`] | where log lines go |
//! | [`tables`] | names of routing tables |
//! | [`sysctl`] | the kernel's settings that hinder probes |
//! | [`privileges`] | whether we may do our work at all |
//! | [`lines`] | small text files, line by line |
//! | [`trouble`] | what could not be done with a file, why, and what to do |
//!
//! `ffi` is the one file with `unsafe`: the system calls that nix has no safe wrapper for.

pub mod alone;
pub mod child;
pub mod clock;
pub mod connection;
pub mod control;
pub mod diff;
pub mod exec;
pub mod fault;
mod ffi;
pub mod files;
mod filter;
pub mod hooks;
pub mod icmp;
pub mod layout;
pub mod lines;
pub mod lock;
pub mod log;
pub mod mirror;
pub mod mwan3;
pub mod neighbours;
pub mod netifd;
pub mod netlink;
pub mod objects;
pub mod poll;
pub mod privileges;
pub mod prober;
pub mod save;
pub mod share;
pub mod signals;
pub mod state_dir;
pub mod sticky;
pub mod sysctl;
pub mod tables;
pub mod talks;
pub mod terminal;
pub mod trouble;
pub mod uplink;
pub mod watch;

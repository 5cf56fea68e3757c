//! The operating system: the only place with clocks, sockets, netlink, files and child processes. It never decides.
//!
//! | module | job |
//! |---|---|
//! | [`exec`] | the commands of `exec` checks, as child processes |
//! | [`icmp`] | the raw sockets that send probes and receive their answers |
//! | [`fault`] | errno → what the core calls it |
//! | [`connection`] | a client's end of the control socket |
//! | [`control`] | the daemon's end of the control socket |
//! | [`files`] | the configuration file |
//! | [`log`] | where log lines go |
//! | [`objects`] | what the kernel has, as we see it: links, addresses, routes, rules |
//! | [`uplink`] | what is known of a path's way out |
//! | [`layout`] | plan + configuration + uplinks → the routes and rules that the kernel shall have |
//! | [`diff`] | those, and what it has → the changes in between, in a safe order |
//! | [`poll`] | waits for descriptors and one deadline |
//! | [`clock`] | the time, the boot's identity, random bytes |
//! | [`signals`] | signals as a descriptor |
//! | [`sticky`] | the file that holds the pin |
//! | [`watch`] | tells when what a path leads to may have changed |
//! | [`lock`] | one daemon a state directory |
//! | [`save`] | the saved state's file |
//! | [`sysctl`] | the kernel's settings that hinder probes |
//! | [`tables`] | names of routing tables |
//! | [`privileges`] | whether we may do our work at all |
//! | [`trouble`] | what could not be done with a file, why, and what to do |
//! | [`lines`] | small text files, line by line |
//! | [`terminal`] | the person's terminal |

pub mod clock;
pub mod connection;
pub mod control;
pub mod diff;
pub mod exec;
pub mod fault;
mod ffi;
pub mod files;
mod filter;
pub mod icmp;
pub mod layout;
pub mod lines;
pub mod lock;
pub mod log;
pub mod mirror;
pub mod netlink;
pub mod objects;
pub mod poll;
pub mod privileges;
pub mod save;
pub mod signals;
pub mod sticky;
pub mod sysctl;
pub mod tables;
pub mod terminal;
pub mod trouble;
pub mod uplink;
pub mod watch;

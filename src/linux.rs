//! The operating system: the only place with clocks, sockets, netlink, files and child processes. It never decides.
//!
//! | module | job |
//! |---|---|
//! | [`objects`] | what the kernel has, as we see it: links, addresses, routes, rules |

pub mod objects;

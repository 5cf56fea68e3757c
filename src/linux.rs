//! The operating system: the only place with clocks, sockets, netlink, files and child processes. It never decides.
//!
//! | module | job |
//! |---|---|
//! | [`objects`] | what the kernel has, as we see it: links, addresses, routes, rules |
//! | [`uplink`] | what is known of a path's way out |
//! | [`layout`] | plan + configuration + uplinks → the routes and rules that the kernel shall have |
//! | [`diff`] | those, and what it has → the changes in between, in a safe order |

pub mod diff;
pub mod layout;
pub mod objects;
pub mod uplink;

//! The kernel's routing, as a picture and as a plan. Pure: no clock, no I/O, no heap.
//!
//! | module | job |
//! |---|---|
//! | [`objects`] | what the kernel has: links, addresses, routes, rules; and the changes it is asked for |
//! | [`mirror`] | the picture of the kernel's state, kept by events and dumps |
//! | [`uplink`] | mirror + configuration → what is known of a path's uplink, or why it must wait |
//! | [`delegated`] | the IPv6 prefixes that are delegated to providers |
//! | [`resolvers`] | the resolvers that are asked through a provider |
//! | [`layout`] | plan + configuration + uplinks → the routes and rules that the kernel shall have |
//! | [`diff`] | those, and what it has → the changes in between, in a safe order |
//! | [`asked`] | what the kernel says of the way of packets when it is asked |
//! | [`manual`] | whether a default route that is not ours prevails over ours |
//! | [`others`] | what the rules and routes of other programs mean beside ours |
//! | [`mwan3`] | whether mwan3 is at work, too |

pub mod asked;
pub mod delegated;
pub mod diff;
pub mod layout;
pub mod manual;
pub mod mirror;
pub mod mwan3;
pub mod objects;
pub mod others;
pub mod resolvers;
pub mod uplink;

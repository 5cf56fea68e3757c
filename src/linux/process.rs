//! Other programs.
//!
//! | module | job |
//! |---|---|
//! | [`child`] | child processes |
//! | [`hooks`] | programs that are run on transitions |
//! | [`ubus`] | which device OpenWrt's logical interfaces have: what netifd answers to `ubus` |

pub mod child;
pub mod hooks;
pub mod ubus;

//! Child processes.
//!
//! | module | job |
//! |---|---|
//! | [`child`] | a child process |
//! | [`hooks`] | the programs that run on transitions |
//! | [`nft`] | loads our nftables table |
//! | [`ubus`] | device and gateway of OpenWrt's logical interfaces, from netifd by `ubus` |

pub mod child;
pub mod hooks;
pub mod nft;
pub mod ubus;

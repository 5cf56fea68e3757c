//! What is known of a path's way out: its device, address and gateway.

use core::net::IpAddr;

use crate::config::DeviceName;
use crate::failover::Waiting;
use crate::net::Prefix;

/// What is known of a path's way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uplink {
    /// the device's name; empty while netifd has not told it
    pub device: DeviceName,
    /// the device's number; 0 when it does not exist
    pub index: u32,
    /// its own address
    pub address: Option<IpAddr>,
    /// its gateway
    pub gateway: Option<IpAddr>,
    /// needs no gateway: a point-to-point device
    pub direct: bool,
    /// the connected prefix
    pub network: Option<Prefix>,
    /// the gateway is outside the address's network: routes need `onlink`
    pub onlink: bool,
    /// why it cannot be probed, when it cannot
    pub waiting: Option<Waiting>,
    /// whether a default route through it can be installed
    pub routable: bool,
}

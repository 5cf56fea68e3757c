//! errno → [`Fault`], the core's word for it.

use nix::errno::Errno;

use crate::failover::Fault;

/// What the core calls a kernel's refusal.
pub fn fault(errno: Errno) -> Fault {
    match errno {
        Errno::ENETUNREACH => Fault::NetworkUnreachable,
        Errno::EHOSTUNREACH => Fault::HostUnreachable,
        Errno::ENODEV | Errno::ENXIO => Fault::NoDevice,
        Errno::ENETDOWN => Fault::NetworkDown,
        Errno::EPERM | Errno::EACCES => Fault::NotPermitted,
        Errno::EADDRNOTAVAIL => Fault::AddressUnavailable,
        Errno::ENOBUFS | Errno::ENOMEM => Fault::NoBuffers,
        Errno::ETIMEDOUT => Fault::TimedOut,
        other => Fault::Errno(other as i32),
    }
}

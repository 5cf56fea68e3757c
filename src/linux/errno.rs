//! What an errno means for a path: errno → [`Fault`].

use nix::errno::Errno;

use crate::types::Fault;

/// The fault that an errno tells of (errno(3)).
pub fn fault(errno: Errno) -> Fault {
    match errno {
        Errno::ENETUNREACH => Fault::NetworkUnreachable,
        Errno::EHOSTUNREACH => Fault::HostUnreachable,
        Errno::ENODEV | Errno::ENXIO => Fault::NoDevice,
        Errno::ENETDOWN => Fault::NetworkDown,
        Errno::EPERM | Errno::EACCES => Fault::NotPermitted,
        Errno::EADDRNOTAVAIL => Fault::AddressUnavailable,
        Errno::ENOBUFS | Errno::ENOMEM => Fault::NoBuffers,
        Errno::ECONNREFUSED => Fault::Refused,
        Errno::ECONNRESET | Errno::EPIPE => Fault::Reset,
        Errno::ETIMEDOUT => Fault::TimedOut,
        Errno::EINVAL => Fault::InvalidArgument,
        Errno::EEXIST => Fault::Exists,
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT => Fault::NotSupported,
        other => Fault::Errno(other as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_errnos_have_a_name_and_others_keep_their_number() {
        assert_eq!(fault(Errno::ENETUNREACH), Fault::NetworkUnreachable);
        assert_eq!(fault(Errno::ENXIO), Fault::NoDevice);
        assert_eq!(fault(Errno::EACCES), Fault::NotPermitted);
        assert_eq!(
            fault(Errno::EDOM),
            Fault::Errno(nix::libc::EDOM),
            "the number of this machine, not of x86"
        );
    }
}

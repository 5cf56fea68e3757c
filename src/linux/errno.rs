//! The meaning of an errno: as a [`Fault`], and as text.

use std::io;

use nix::errno::Errno;

use crate::types::Fault;

/// The fault for an errno (errno(3)).
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
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => Fault::NotSupported,
        other => Fault::Errno(other as i32),
    }
}

/// The errno of an error; EIO if it has none.
pub(super) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The C library's text for an error (strerror_r(3)), as `No such file or directory`. nix has its own texts, which would
/// make the program larger.
pub fn text(error: &io::Error) -> String {
    let mut text = error.to_string();
    if error.raw_os_error().is_some()
        // std appends the number in parentheses.
        && let Some(number) = text.bytes().rposition(|byte| byte == b'(')
    {
        text.truncate(text[..number].trim_ascii_end().len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_no_number() {
        assert_eq!(text(&Errno::ENOENT.into()), "No such file or directory");
        let of_another = io::Error::other("a (os error 5)");
        assert_eq!(text(&of_another), "a (os error 5)");
    }

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

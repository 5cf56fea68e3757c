//! The capabilities of this process.

use std::path::Path;

use nix::errno::Errno;

use super::ffi;
use super::file::lines;

/// Environment variable: if set (to anything), the daemon drops every capability that it does not need.
pub(crate) const CONFINED_VARIABLE: &str = "FAILOVER_CONFINED";

/// Needed to change routes and rules (linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;
/// Needed for raw sockets.
const CAP_NET_RAW: u32 = 13;

/// The missing capability, with advice; none if none is missing, or if it cannot be determined.
pub fn missing() -> Option<&'static str> {
    missing_of(lines::find(Path::new("/proc/self/status"), &|line| {
        let set = line.strip_prefix("CapEff:")?;
        // Its lower half, which has both.
        u32::from_str_radix(set.trim_ascii().get(8..)?, 16).ok()
    }))
}

/// Drops every capability except those two, permanently, for the process and its children, as systemd's
/// `CapabilityBoundingSet` does.
pub(crate) fn confine() -> Result<(), Errno> {
    let needed = [CAP_NET_ADMIN, CAP_NET_RAW];
    for capability in (0..64).filter(|capability| !needed.contains(capability)) {
        match ffi::renounce(capability) {
            Ok(()) => {}
            Err(Errno::EINVAL) => break, // they are numbered without gaps
            Err(errno) => return Err(errno),
        }
    }
    ffi::keep_capabilities(1 << CAP_NET_ADMIN | 1 << CAP_NET_RAW)
}

fn missing_of(effective: Option<u32>) -> Option<&'static str> {
    let lacks = |capability: u32| effective.is_some_and(|set| set & (1 << capability) == 0);
    match (lacks(CAP_NET_ADMIN), lacks(CAP_NET_RAW)) {
        (false, false) => None,
        (true, false) => {
            Some("CAP_NET_ADMIN is missing, which changing routes takes: run as root, or grant it")
        }
        (false, true) => {
            Some("CAP_NET_RAW is missing, which probing takes: run as root, or grant it")
        }
        (true, true) => Some(
            "CAP_NET_ADMIN and CAP_NET_RAW are missing, which changing routes and probing take: run as root, or grant them",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(missing_of(None), None);
        assert_eq!(missing_of(Some(0x3000)), None);
        assert!(missing_of(Some(0x1000)).unwrap().starts_with("CAP_NET_RAW"));
        assert!(
            missing_of(Some(0x2000))
                .unwrap()
                .starts_with("CAP_NET_ADMIN is")
        );
        assert!(
            missing_of(Some(!0x3000))
                .unwrap()
                .contains("and CAP_NET_RAW")
        );
    }

    #[test]
    fn root_lacks_nothing() {
        if nix::unistd::geteuid().is_root() {
            assert_eq!(missing(), None);
        }
    }
}

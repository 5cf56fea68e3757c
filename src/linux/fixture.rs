//! For tests: a network namespace of one's own.

use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

/// Enters a new network namespace; false, and a message, without the right to.
pub(super) fn own_namespace() -> bool {
    let is_root = geteuid().is_root();
    match is_root {
        true => unshare(CloneFlags::CLONE_NEWNET).unwrap(),
        false => eprintln!("SKIPPED: only root makes network namespaces"),
    }
    is_root
}

//! A point-to-point wire between two namespaces: a TUN device at each end, and `socat` that carries the packets.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::namespace::{Namespace, mortal};
use super::observe::wait_until;

/// While it lives, both devices have carrier; then they vanish.
#[derive(Debug)]
pub struct Wire {
    socat: Child,
}

impl Wire {
    /// Makes the device of each end in its namespace. They are down.
    pub fn lay(near: &Namespace, near_device: &str, far: &Namespace, far_device: &str) -> Wire {
        let end = |device| format!("TUN,tun-type=tun,iff-no-pi,tun-name={device}");
        let mut command = mortal("socat");
        command
            .args([end(near_device), end(far_device)])
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let socat = near.spawn(command).expect("util-linux has `setpriv`");
        let wire = Wire { socat };
        let device_exists = || {
            near.output(&["ip", "link", "show", far_device])
                .status
                .success()
        };
        assert!(
            wait_until(Duration::from_secs(2), device_exists),
            "point-to-point devices need `socat` and /dev/net/tun, and the right to use it"
        );
        near.ip(&format!("link set {far_device} netns {}", far.thread_id()));
        wire
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.socat.kill();
        let _ = self.socat.wait();
    }
}

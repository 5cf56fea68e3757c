//! The clocks, the boot ID, and random bytes.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

use super::errno::errno_of;
use super::file::error::FileError;
use super::file::open::{open_to_read, read_some};
use crate::types::Instant;
use crate::wire::saved_state::BootId;

/// The time of `CLOCK_MONOTONIC`: microseconds since some moment of this boot, the same for every process.
pub fn now() -> Instant {
    Instant::from_micros(micros(ClockId::CLOCK_MONOTONIC).cast_signed())
}

/// Wall-clock time in UTC: milliseconds since 1970.
pub(crate) fn wall_clock_ms() -> u64 {
    micros(ClockId::CLOCK_REALTIME) / 1000
}

/// Waits so many milliseconds. std's `sleep` has the C library's clocks with it.
pub(crate) fn pause(milliseconds: u8) {
    let _ = poll(&mut [], PollTimeout::from(milliseconds));
}

fn micros(clock: ClockId) -> u64 {
    let time = Duration::from(
        clock_gettime(clock).expect("every kernel has these clocks (clock_gettime(2))"),
    );
    time.as_secs() * 1_000_000 + u64::from(time.subsec_micros())
}

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel's boot ID (random(4)).
pub fn boot_id() -> Result<BootId, FileError> {
    let mut text = [0; 36];
    fill(&mut text, BOOT_ID)
        .and_then(|()| BootId::parse(&text).ok_or(ErrorKind::InvalidData.into()))
        .map_err(|e| FileError::new("read", Path::new(BOOT_ID), e).advise("mount /proc"))
}

const RANDOM: &str = "/dev/urandom";

/// Random bytes from the kernel (urandom(4)).
pub fn random<const N: usize>() -> Result<[u8; N], Errno> {
    let mut bytes = [0; N];
    fill(&mut bytes, RANDOM).map_err(|error| errno_of(&error))?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8], file: &str) -> io::Result<()> {
    match read_some(&open_to_read(file)?, bytes)? {
        length if length == bytes.len() => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_agrees_with_proc_uptime_and_advances() {
        let text = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime_s: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let before = now();
        #[allow(clippy::cast_precision_loss)]
        let seconds = before.total_micros() as f64 / 1e6;
        // `uptime` includes the time of suspend, the monotonic clock does not.
        assert!(seconds <= uptime_s + 1.0, "{seconds} {uptime_s}");
        assert!(now() >= before);
        while now() == before {}
    }

    #[test]
    fn the_boot_id_is_constant_and_random_bytes_differ() {
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        let text = std::fs::read(BOOT_ID).unwrap();
        assert_eq!(BootId::parse(&text[..36]), Some(boot_id().unwrap()));
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}

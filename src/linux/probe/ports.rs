//! The local ports of sessions. None comes again before thousands of others did: what a NAT remembers of a session that had
//! no answer is forgotten by then.

use std::io::Read;

use super::super::clock::random;
use super::super::file::open::open_to_read;

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// The most ports that are left out between two sessions, as a power of two: the next one cannot be foretold.
const LEAP_BITS: u32 = 3;
/// The most reserved ranges that are leapt over.
const LEAPS_MAX: usize = 32;

/// The next port. All zero bytes when new.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// the kernel's range for ports that no program chose; empty: not read yet
    first: u16,
    last: u16,
    next: u16,
    /// some of them are reserved
    are_reserved: bool,
    random: u32,
}

impl Ports {
    pub(super) const NEW: Ports = Ports {
        first: 0,
        last: 0,
        next: 0,
        are_reserved: false,
        random: 0,
    };

    /// The port of the next session, by random increments (RFC 6056 section 3.3.5); 0 if the kernel is to choose it.
    pub(super) fn next(&mut self) -> u16 {
        if self.last == 0 && self.read().is_none() {
            return 0;
        }
        for _ in 0..LEAPS_MAX {
            self.leap();
            let reserved = self.are_reserved.then(|| reserved_until(self.next));
            match reserved.flatten() {
                None => return self.next,
                Some(end) => self.next = end.min(self.last),
            }
        }
        0
    }

    fn leap(&mut self) {
        // Numerical Recipes' generator, of which the upper bits are good.
        let random = self.random.wrapping_mul(1_664_525);
        self.random = random.wrapping_add(1_013_904_223);
        let leap = 1 + (self.random >> (32 - LEAP_BITS));
        let size = u32::from(self.last - self.first) + 1;
        let place = (u32::from(self.next - self.first) + leap) % size;
        self.next = self.first + u16::try_from(place).unwrap_or(0);
    }

    fn read(&mut self) -> Option<()> {
        let mut buffer = [0; 32];
        let mut words = text(RANGE, &mut buffer)?.split_ascii_whitespace();
        let [first, last] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
        self.random = u32::from_ne_bytes(random().ok()?);
        self.are_reserved = !text(RESERVED, &mut buffer)?.trim().is_empty();
        if (1..=last).contains(&first) {
            let place = self.random % (u32::from(last - first) + 1);
            (self.first, self.last) = (first, last);
            self.next = first + u16::try_from(place).unwrap_or(0);
        }
        (self.last != 0).then_some(())
    }
}

/// The last port of the range with this one in it that the user keeps for programs: `8080,9000-9100`.
fn reserved_until(port: u16) -> Option<u16> {
    let mut buffer = [0; 1024];
    let all = text(RESERVED, &mut buffer).unwrap_or_default();
    all.trim().split(',').find_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first..=last).contains(&port).then_some(last)
    })
}

fn text<'b>(file: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let length = open_to_read(file).ok()?.read(buffer).ok()?;
    core::str::from_utf8(buffer.get(..length)?).ok()
}

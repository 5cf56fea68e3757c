//! The local ports of sessions: they cannot be foretold, and none comes again before all others did. What a NAT remembers of
//! a session that had no answer is forgotten by then.

use super::super::clock::random;
use super::super::file::open::read_text;
use crate::wire::seal::{Key, hash};

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";
/// The most reserved ports in a row that are passed over; then the kernel chooses.
const RESERVED_TRIES: usize = 1024;

/// A random order of all ports. All zero bytes when new.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// the kernel's range for ports that no program chose
    first: u16,
    /// how many there are; 0: not read yet
    size: u32,
    /// some of them are reserved
    are_reserved: bool,
    /// how many were drawn
    drawn: u32,
    key: Key,
}

impl Ports {
    pub(super) const NEW: Ports = Ports {
        first: 0,
        size: 0,
        are_reserved: false,
        drawn: 0,
        key: [0; 16],
    };

    /// The port of the next session; 0 if the kernel is to choose it.
    pub(super) fn next(&mut self) -> u16 {
        if self.size == 0 && self.read().is_none() {
            return 0;
        }
        let mut buffer = [0; 1024];
        let reserved = match self.are_reserved {
            true => read_text(RESERVED, &mut buffer).unwrap_or_default(),
            false => "",
        };
        let mut drawn = (0..RESERVED_TRIES).map(|_| self.draw());
        let free = drawn.find(|port| !is_reserved(reserved, *port));
        free.unwrap_or(0)
    }

    fn draw(&mut self) -> u16 {
        self.drawn = (self.drawn + 1) % self.size;
        let place = permuted(self.drawn, self.size, &self.key);
        self.first + u16::try_from(place).unwrap_or(0)
    }

    fn read(&mut self) -> Option<()> {
        let mut buffer = [0; 32];
        let (first, last) = bounds(read_text(RANGE, &mut buffer)?, '\t')?;
        self.key = random().ok()?;
        self.are_reserved = !read_text(RESERVED, &mut buffer)?.is_empty();
        self.first = u16::try_from(first).ok()?;
        self.size = last.checked_sub(first)? + 1;
        Some(())
    }
}

/// The place of a number below `size` in a random order of all such numbers: a Feistel network of four rounds, repeated until
/// the result is below `size`, which is at least a quarter of what the network permutes.
fn permuted(mut number: u32, size: u32, key: &Key) -> u32 {
    let half = (u32::BITS - (size - 1).leading_zeros()).div_ceil(2);
    let mask = (1 << half) - 1;
    loop {
        let (mut left, mut right) = (number >> half, number & mask);
        for round in 0..4 {
            let hashed = hash(key, &u128::from(right).to_le_bytes(), round);
            #[allow(clippy::cast_possible_truncation)] // of 64 good bits, a few
            let mixed = left ^ hashed as u32 & mask;
            (left, right) = (right, mixed);
        }
        number = left << half | right;
        if number < size {
            return number;
        }
    }
}

/// Whether the user keeps a port for a program: `8080,9000-9100`.
fn is_reserved(all: &str, port: u16) -> bool {
    all.split(',').any(|range| {
        bounds(range, '-').is_some_and(|(first, last)| (first..=last).contains(&port.into()))
    })
}

/// The two ends of a range; one number is both.
fn bounds(range: &str, separator: char) -> Option<(u32, u32)> {
    let (first, last) = range.split_once(separator).unwrap_or((range, range));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_ports_come_before_one_comes_again() {
        for (first, size) in [
            (32768, 28232),
            (1024, 64512),
            (40000, 32),
            (7, 1),
            (0, 65536),
        ] {
            let mut ports = Ports {
                first,
                size,
                key: *b"a key of 16 byte",
                ..Ports::NEW
            };
            let seen: HashSet<u16> = (0..size).map(|_| ports.draw()).collect();
            assert_eq!(seen.len(), size as usize);
            assert!(
                seen.iter()
                    .all(|port| (0..size).contains(&(u32::from(*port - first))))
            );
            // Not in order: of two in a row, few are neighbours.
            let drawn: Vec<u16> = (0..size.min(100)).map(|_| ports.draw()).collect();
            let near = drawn.windows(2).filter(|two| two[0].abs_diff(two[1]) < 16);
            assert!(size < 1000 || near.count() < 10, "{drawn:?}");
        }
    }

    #[test]
    fn reserved_ports_are_known() {
        let all = "22,8080,9000-9100";
        let is = [22, 8080, 9000, 9100].map(|port| is_reserved(all, port));
        let is_not = [0, 23, 8999, 9101].map(|port| is_reserved(all, port));
        assert_eq!((is, is_not), ([true; 4], [false; 4]));
        assert!(!is_reserved("", 0));
    }
}

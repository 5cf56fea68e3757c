//! The fields of a message ↔ bytes. One list of the fields, [`Message::pass`], serves both directions: the codec writes the
//! fields, or reads into them. So both formats are always the same, and there is half the code.
//!
//! Numbers are little-endian, of their full width. A text or a list follows its length (one byte). An optional field follows
//! one byte, 0 or 1. A choice is its place in a table (one byte).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use heapless::string::{String, StringView};
use heapless::vec::Vec;

use crate::wire::decimal::Decimal;

/// A message of the control socket.
pub trait Message {
    /// Passes each field to the codec, always in the same order. Writing does not change them.
    fn pass(&mut self, codec: &mut Codec<'_>);
}

/// Writes fields, or reads them. An error is reported at the end only, by [`Codec::rest`].
pub struct Codec<'a> {
    side: Side<'a>,
    failed: bool,
}

enum Side<'a> {
    /// the unread bytes
    Read(&'a [u8]),
    /// the remaining room
    Write(&'a mut [u8]),
}

impl<'a> Codec<'a> {
    /// A codec that reads.
    pub fn reader(bytes: &'a [u8]) -> Codec<'a> {
        Codec {
            side: Side::Read(bytes),
            failed: false,
        }
    }

    /// A codec that writes.
    pub fn writer(room: &'a mut [u8]) -> Codec<'a> {
        Codec {
            side: Side::Write(room),
            failed: false,
        }
    }

    /// The remaining bytes. `None`: there was an error.
    pub fn rest(&self) -> Option<usize> {
        let left = match &self.side {
            Side::Read(bytes) => bytes.len(),
            Side::Write(room) => room.len(),
        };
        (!self.failed).then_some(left)
    }

    /// Whether it reads.
    pub fn reads(&self) -> bool {
        matches!(self.side, Side::Read(_))
    }

    /// Records that a value is invalid.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// The next bytes, when reading.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        if let Side::Read(bytes) = &mut self.side
            && let Some((taken, rest)) = bytes.split_at_checked(length)
        {
            *bytes = rest;
            return Some(taken);
        }
        self.failed = true;
        None
    }

    /// Adds bytes, when writing.
    pub fn put(&mut self, bytes: &[u8]) {
        if let Side::Write(room) = &mut self.side
            && let Some((place, rest)) = core::mem::take(room).split_at_mut_checked(bytes.len())
        {
            place.copy_from_slice(bytes);
            *room = rest;
            return;
        }
        self.failed = true;
    }

    #[inline(never)]
    fn octets(&mut self, octets: &mut [u8]) {
        match self.reads() {
            false => self.put(octets),
            true => {
                if let Some(read) = self.take(octets.len()) {
                    octets.copy_from_slice(read);
                }
            }
        }
    }

    /// One byte.
    #[inline(never)]
    pub fn byte(&mut self, value: &mut u8) {
        self.octets(core::slice::from_mut(value));
    }

    /// A number.
    #[inline(never)]
    pub fn number(&mut self, value: &mut u32) {
        let mut octets = value.to_le_bytes();
        self.octets(&mut octets);
        *value = u32::from_le_bytes(octets);
    }

    /// A signed number.
    pub fn signed(&mut self, value: &mut i32) {
        let mut number = value.cast_unsigned();
        self.number(&mut number);
        *value = number.cast_signed();
    }

    /// A number of 64 bits.
    #[inline(never)]
    pub fn long(&mut self, value: &mut u64) {
        let mut octets = value.to_le_bytes();
        self.octets(&mut octets);
        *value = u64::from_le_bytes(octets);
    }

    /// A boolean.
    #[inline(never)]
    pub fn flag(&mut self, value: &mut bool) {
        let mut byte = u8::from(*value);
        self.byte(&mut byte);
        self.failed |= byte > 1;
        *value = byte != 0;
    }

    /// Adds at most 255 bytes after their length, when writing.
    #[inline(never)]
    pub fn put_counted(&mut self, bytes: &[u8]) {
        self.byte(&mut u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        self.put(bytes);
    }

    /// The bytes after the next length, when reading.
    #[inline(never)]
    pub fn take_counted(&mut self) -> &'a [u8] {
        let mut length = 0;
        self.byte(&mut length);
        self.take(length.into()).unwrap_or_default()
    }

    /// A text of at most 255 bytes.
    #[inline(never)]
    pub fn text(&mut self, text: &mut StringView) {
        if !self.reads() {
            return self.put_counted(text.as_bytes());
        }
        text.clear();
        let read = str::from_utf8(self.take_counted()).map_err(drop);
        let read = read.and_then(|read| text.push_str(read).map_err(drop));
        self.failed |= read.is_err();
    }

    /// One of the values in a table.
    pub fn choice<T: Copy + PartialEq>(&mut self, value: &mut T, all: &[T]) {
        let place = all.iter().position(|one| one == value);
        match all.get(self.place(place)) {
            Some(one) => *value = *one,
            None => self.failed = true,
        }
    }

    /// A place in a table; if there is none, one that no table has.
    #[inline(never)]
    fn place(&mut self, place: Option<usize>) -> usize {
        let place = place.and_then(|place| u8::try_from(place).ok());
        let mut byte = place.unwrap_or(u8::MAX);
        self.byte(&mut byte);
        byte.into()
    }

    /// An optional field.
    pub fn optional<T: Default>(
        &mut self,
        value: &mut Option<T>,
        pass: impl FnOnce(&mut Codec<'a>, &mut T),
    ) {
        let mut is_there = value.is_some();
        self.flag(&mut is_there);
        if self.reads() {
            *value = is_there.then(T::default);
        }
        if let Some(value) = value {
            pass(self, value);
        }
    }

    /// An optional text.
    pub fn optional_text<const N: usize>(&mut self, text: &mut Option<String<N>>) {
        self.optional(text, |codec, text| codec.text(text));
    }

    /// An optional number.
    #[inline(never)]
    pub fn optional_number(&mut self, number: &mut Option<u32>) {
        self.optional(number, Codec::number);
    }

    /// An optional number of 64 bits.
    #[inline(never)]
    pub fn optional_long(&mut self, number: &mut Option<u64>) {
        self.optional(number, Codec::long);
    }

    /// An optional number with three decimals.
    pub fn optional_decimal(&mut self, decimal: &mut Option<Decimal>) {
        let mut thousandths = decimal.map(|decimal| decimal.thousandths);
        self.optional_number(&mut thousandths);
        *decimal = thousandths.map(Decimal::new);
    }

    /// A list of at most 255 items.
    pub fn list<T: Default, const N: usize>(
        &mut self,
        list: &mut Vec<T, N>,
        pass: impl Fn(&mut Codec<'a>, &mut T),
    ) {
        let mut length = u8::try_from(list.len()).unwrap_or(u8::MAX);
        self.byte(&mut length);
        if self.reads() {
            list.clear();
            while list.len() < length.into() {
                if list.push(T::default()).is_err() {
                    return self.fail();
                }
            }
        }
        for one in list {
            pass(self, one);
        }
    }

    /// An optional address, as zero, four or sixteen bytes.
    #[inline(never)]
    pub fn address(&mut self, address: &mut Option<IpAddr>) {
        let mut octets = [0; 16];
        let mut length = match address {
            None => 0,
            Some(IpAddr::V4(address)) => {
                octets[..4].copy_from_slice(&address.octets());
                4
            }
            Some(IpAddr::V6(address)) => {
                octets = address.octets();
                16
            }
        };
        self.byte(&mut length);
        if let Some(octets) = octets.get_mut(..usize::from(length)) {
            self.octets(octets);
        }
        *address = match length {
            0 => None,
            4 => {
                let [a, b, c, d, ..] = octets;
                Some(Ipv4Addr::new(a, b, c, d).into())
            }
            16 => Some(Ipv6Addr::from(octets).into()),
            _ => return self.fail(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value that these bytes encode; none if they are invalid, or too long.
    fn read<'a, T: Default>(bytes: &'a [u8], pass: impl Fn(&mut Codec<'a>, &mut T)) -> Option<T> {
        let mut codec = Codec::reader(bytes);
        let mut value = T::default();
        pass(&mut codec, &mut value);
        (codec.rest() == Some(0)).then_some(value)
    }

    #[test]
    fn what_nothing_is_written_as_is_refused() {
        assert_eq!(read(&[1], Codec::flag), Some(true));
        assert_eq!(read(&[2], Codec::flag), None);
        let four = "192.0.2.7".parse().ok();
        assert_eq!(read(&[4, 192, 0, 2, 7], Codec::address), Some(four));
        assert_eq!(read(&[0], Codec::address), Some(None));
        for length in [1, 3, 5, 15, 17, 255] {
            let mut bytes = [0; 256];
            bytes[0] = length;
            let bytes = &bytes[..1 + usize::from(length)];
            assert_eq!(read(bytes, Codec::address), None, "{length}");
        }
        assert_eq!(read(&[2, 7], Codec::optional_number), None);
        let state = |codec: &mut Codec<'_>, value: &mut char| codec.choice(value, &['a', 'b']);
        assert_eq!(read(&[1], state), Some('b'));
        assert_eq!(read(&[2], state), None);
    }

    #[test]
    fn a_text_is_one_and_has_room() {
        let text = |codec: &mut Codec<'_>, text: &mut String<4>| codec.text(text);
        assert_eq!(read(b"\x03abc", text).unwrap(), "abc");
        assert_eq!(read(b"\x05abcde", text), None, "it is too long");
        assert_eq!(read(b"\x02\xc3\x28", text), None, "it is no UTF-8");
        assert_eq!(read(b"\x04abc", text), None, "it is cut off");
    }

    #[test]
    fn a_list_has_room() {
        let list = |codec: &mut Codec<'_>, list: &mut Vec<u8, 2>| codec.list(list, Codec::byte);
        assert_eq!(read(&[2, 7, 8], list).unwrap(), [7, 8]);
        assert_eq!(read(&[3, 7, 8, 9], list), None, "it is too long");
        assert_eq!(read(&[2, 7], list), None, "it is cut off");
    }

    #[test]
    fn what_finds_no_room_is_told_at_the_end() {
        let mut room = [0; 6];
        let mut codec = Codec::writer(&mut room);
        codec.number(&mut 0x0403_0201);
        assert_eq!(codec.rest(), Some(2));
        codec.number(&mut 7);
        assert_eq!(codec.rest(), None);
        codec.byte(&mut 8);
        assert_eq!(codec.rest(), None, "once is enough");
        assert_eq!(room[..4], [1, 2, 3, 4]);
    }
}

//! Shared by the targets: a reader of the fuzzer's bytes, damage to good messages, and independent checksums.
//!
//! The first lines of each target describe its input: a few bytes choose the case, the rest is the message, or the damage to
//! a good message. Every input is valid: after its end, zeros are read.

#[cfg(fuzzing)]
compile_error!("smoltcp takes every checksum for right under cfg(fuzzing): add --no-cfg-fuzzing");

/// The fuzzer's bytes, read from the front.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// A reader of all bytes.
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input(bytes)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        array[..taken.len()].copy_from_slice(taken);
        self.0 = rest;
        array
    }

    /// A piece; the next byte is its length.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// A piece, if it is UTF-8; else an empty text.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.piece()).unwrap_or_default()
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Changes a message. Three bytes of the input make one change: the operation, the place and the value.
pub fn damage(message: &mut Vec<u8>, edits: &[u8]) {
    for edit in edits.chunks_exact(3) {
        let (what, place, value) = (edit[0] % 4, usize::from(edit[1]), edit[2]);
        match message.get_mut(place) {
            Some(byte) if what == 0 => *byte ^= value,
            Some(byte) if what == 1 => *byte = value,
            _ if what == 2 => message.truncate(place),
            _ => message.insert(place.min(message.len()), value),
        }
    }
}

/// The Internet checksum (RFC 1071): 0 over a message that has a correct one.
pub fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for pair in parts.concat().chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// CRC-32 as in Ethernet and zip, computed bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

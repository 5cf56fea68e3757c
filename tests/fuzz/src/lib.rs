//! What the targets share: a reader of the fuzzer's bytes, damage to good messages, and checksums of their own.
//!
//! Each target says at its top what it makes of its input: a few bytes choose, the rest is the message, or what is
//! changed of a good one. Whatever the bytes, something is tried; where there are none left, zeros are read.

#[cfg(fuzzing)]
compile_error!("smoltcp takes every checksum for right under cfg(fuzzing): add --no-cfg-fuzzing");

/// The fuzzer's bytes, read from the front.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of them.
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

    /// A piece whose length the next byte tells.
    pub fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (piece, rest) = self.0.split_at(length);
        self.0 = rest;
        piece
    }

    /// A piece, if it is text; else nothing of it.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.piece()).unwrap_or_default()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Changes a message, each time as three bytes of the input say: what is done, where, and with which value.
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

/// The Internet's checksum (RFC 1071): 0 over what has a right one.
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

/// CRC-32 as in Ethernet and zip, a bit at a time.
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

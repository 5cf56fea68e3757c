//! Messages as parts, one after the other: writing them, and their Internet checksum (RFC 1071).

/// Writes the parts to a buffer, which has room for them; returns their length.
pub(super) fn write(parts: &[&[u8]], buffer: &mut [u8]) -> usize {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        if let Some(place) = buffer.get_mut(length..end) {
            place.copy_from_slice(part);
            length = end;
        }
    }
    length
}

/// The checksum of these bytes; 0 if they contain theirs, and it is right. Each part but the last has an even length.
pub(super) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    #[allow(clippy::cast_possible_truncation)] // see above
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use smoltcp::wire::Icmpv4Packet;

    use super::*;

    #[test]
    fn it_equals_that_of_the_rfc() {
        let bytes = [0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&bytes]), !0xddf2);
        assert_eq!(checksum(&[&bytes[..4], &bytes[4..]]), !0xddf2);
        assert_eq!(
            checksum(&[&[0xff]]),
            0x00ff,
            "an odd byte is the higher one"
        );
    }

    proptest! {
        #[test]
        fn it_equals_smoltcps(mut bytes in prop::collection::vec(any::<u8>(), 8..1500)) {
            Icmpv4Packet::new_unchecked(&mut bytes[..]).fill_checksum();
            prop_assert_eq!(checksum(&[&bytes]), 0);
            bytes[5] ^= 1;
            prop_assert_ne!(checksum(&[&bytes]), 0);
        }
    }
}

//! What netifd says of an interface.
//!
//! Input: where to cut (2); then the status.

#![no_main]

use failover::net::{Family, Prefix};
use failover::wire::netifd::{Unreadable, Way, read};
use failover_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let cut = usize::from(u16::from_be_bytes(input.array()));
    let text = input.rest();
    let Ok(interface) = read(text) else {
        return;
    };
    let device = interface.device.as_bytes();
    let fit = |byte: &u8| byte.is_ascii_graphic() && !b"/:".contains(byte);
    assert!(device.len() <= 15 && device.iter().all(fit), "{device:?}");
    assert!(![&b"."[..], b"..", b"lo"].contains(&device), "{device:?}");
    for family in Family::ALL {
        if let Some(Way::Gateway(gateway)) = interface.way[family] {
            assert!(!gateway.is_unspecified());
        }
        let brings = interface.way[family].is_some() || interface.addressed[family];
        assert!(interface.brings(family) || !brings);
    }
    let longest = |prefix: Prefix| match prefix {
        Prefix::Ipv4(_) => 32,
        Prefix::Ipv6(_) => 128,
    };
    let fits = |prefix: Prefix| prefix.prefix_len() <= longest(prefix);
    assert!(interface.delegated.is_none_or(fits));
    // Blanks around it are of no account; what is cut off is no status.
    let around = [b" \n\t", text, b"\r\n "].concat();
    assert_eq!(read(&around), Ok(interface.clone()));
    if let Some(part) = text.get(..cut) {
        let part = read(part);
        assert!(part == Err(Unreadable) || part == Ok(interface));
    }
});

//! netifd's dump of its interfaces.
//!
//! Input: the place to cut (2); then a dump, or one interface of a dump.

#![no_main]

use failover::types::{Family, Prefix};
use failover::wire::netifd::{Dump, Interface, Unreadable, Way};
use failover_fuzz::Input;
use libfuzzer_sys::fuzz_target;

type Interfaces = Vec<(String, Result<Interface, Unreadable>)>;

fn read(pieces: &[&[u8]]) -> (Interfaces, Result<(), Unreadable>) {
    let (mut dump, mut seen) = (Dump::new(), Vec::new());
    for piece in pieces {
        dump.feed(piece, &mut |name, told| seen.push((name.to_owned(), told)));
    }
    (seen, dump.finish())
}

fn look_at(interface: &Interface) {
    let device = interface.device.v4.as_bytes();
    assert_eq!(interface.device.v4, interface.device.v6);
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
    assert!(interface.delegated.iter().copied().all(fits));
}

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let cut = usize::from(u16::from_be_bytes(input.array()));
    let text = input.rest();
    let one = text
        .strip_prefix(b"{")
        .map(|rest| [br#"{"interface":[{"interface":"wan","#, rest, b"]}"].concat());
    for text in [Some(text), one.as_deref()].into_iter().flatten() {
        let whole = read(&[text]);
        for (name, told) in &whole.0 {
            assert!(!name.is_empty());
            if let Ok(interface) = told {
                look_at(interface);
            }
        }
        // The result does not depend on the cut; blanks around a dump are ignored; a truncated dump is an error.
        let (part, rest) = text.split_at(cut.min(text.len()));
        assert_eq!(read(&[part, rest]), whole);
        assert_eq!(read(&[b" \n\t", text, b"\r\n "]), whole);
        if whole.1.is_ok() && !rest.trim_ascii().is_empty() {
            assert_eq!(read(&[part]).1, Err(Unreadable));
        }
    }
});

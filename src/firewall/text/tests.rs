use super::*;
use crate::limits::PROVIDERS_MAX;
use crate::types::{DeviceName, MarkMask, PerFamily, Prefix};
use proptest::prelude::*;

fn any_member() -> impl Strategy<Value = Member> {
    let device = "[!-~]{0,15}";
    let own = proptest::option::of((any::<u32>(), any::<u32>()));
    (device, device, own, any::<[bool; 5]>()).prop_map(|(v4, v6, own, bits)| Member {
        slot: Slot(0),
        device: PerFamily {
            v4: DeviceName::try_from(v4.as_str()).unwrap(),
            v6: DeviceName::try_from(v6.as_str()).unwrap(),
        },
        own: own.map(|(value, mask)| Mark { value, mask }),
        answers: bits[0],
        records: bits[1],
        restores: bits[2],
        strict: bits[3],
        masquerade: bits[4],
    })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let members = proptest::collection::vec(any_member(), 0..=6);
    (any::<[bool; 3]>(), members).prop_map(|(bits, members)| Plan {
        marks: MarkMask::USUAL,
        answers: bits[0],
        foreign: bits[1],
        ipsec: bits[2],
        members: (0..)
            .zip(members)
            .map(|(slot, member)| Member {
                slot: Slot(slot),
                ..member
            })
            .collect(),
    })
}

fn any_delegated() -> impl Strategy<Value = Delegated> {
    let one = (0..64_u8, any::<[u16; 8]>(), 0..=128_u8);
    proptest::collection::vec(one, 0..40).prop_map(|all| Delegated {
        crowded: 0,
        list: all
            .into_iter()
            .map(|(slot, address, length)| {
                let address = core::net::Ipv6Addr::from(address);
                let prefix = Prefix::new(address.into(), length);
                (Slot(slot), crate::types::network_of(prefix))
            })
            .collect(),
    })
}

fn text(plan: &Plan, delegated: &Delegated) -> String {
    let mut text = String::new();
    write(plan, delegated, &mut text).unwrap();
    text
}

/// What stands after each of these words.
fn names<'a>(text: &'a str, word: &str) -> std::collections::BTreeSet<&'a str> {
    let names = text.split(word).skip(1);
    let end = |rest: &'a str| rest.split([' ', ',', '\n']).next().unwrap();
    names.map(end).collect()
}

fn member(slot: u8, device: &str, bits: &[bool]) -> Member {
    Member {
        slot: Slot(slot),
        device: PerFamily {
            v4: DeviceName::try_from(device).unwrap(),
            v6: DeviceName::new(),
        },
        own: None,
        answers: bits[0],
        records: bits[1],
        restores: bits[2],
        strict: bits[3],
        masquerade: bits[4],
    }
}

/// The chains, without those that the kernel calls; and those that rules and maps lead to.
fn chains(text: &str) -> [std::collections::BTreeSet<&str>; 2] {
    let mut chains = names(text, "\nchain ");
    for hooked in ["prerouting", "output", "srcnat"] {
        chains.remove(hooked);
    }
    let mut used = names(text, " goto ");
    used.extend(names(text, "\ngoto "));
    used.extend(names(text, " jump "));
    [chains, used]
}

#[test]
fn nothing_is_there_without_use() {
    let [one, two] = ["2001:db8:1::/48", "2001:db8:2::/48"].map(|text| text.parse().unwrap());
    let lists: [&[(Slot, Prefix)]; 3] = [&[], &[(Slot(0), one)], &[(Slot(0), one), (Slot(1), two)]];
    for number in 0..3 * 1024_usize {
        let bits: [bool; 10] = core::array::from_fn(|bit| number & (1 << bit) != 0);
        let members = [member(0, "a", &bits), member(1, "b", &bits[5..])];
        let plan = Plan {
            marks: MarkMask::USUAL,
            answers: bits[9] || bits[1],
            foreign: bits[4] || bits[7],
            ipsec: bits[8],
            members: members.into_iter().collect(),
        };
        let delegated = Delegated {
            crowded: 0,
            list: lists[number / 1024].iter().copied().collect(),
        };
        let text = text(&plan, &delegated);
        let [chains, used] = chains(&text);
        assert_eq!(chains, used, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_text_names_only_what_it_has_and_all_of_it(plan in any_plan(), delegated in any_delegated()) {
        let mut text = text(&plan, &delegated);
        // What stands in quotation marks may look like anything.
        for member in &plan.members {
            for family in Family::ALL {
                text = text.replace(&format!("\"{}\"", member.device[family]), "device");
            }
        }
        let [chains, used] = chains(&text);
        let unknown: Vec<_> = used.difference(&chains).collect();
        prop_assert!(unknown.is_empty(), "{unknown:?}");
        let mut maps = names(&text, "\nmap ");
        maps.extend(names(&text, "\nset "));
        let asked: std::collections::BTreeSet<_> =
            names(&text, " @").into_iter().map(|name| name.trim_end_matches(';')).collect();
        prop_assert_eq!(maps, asked);
        let opened = text.matches('{').count();
        prop_assert_eq!(opened, text.matches('}').count());
    }

    #[test]
    fn the_digest_is_that_of_the_text(plan in any_plan(), delegated in any_delegated()) {
        let text = text(&plan, &delegated);
        let (head, table) = text.split_once("\"\n").unwrap();
        let mut sum = Fnv(0x811c_9dc5);
        sum.write_str(table).unwrap();
        prop_assert_eq!(digest(&plan, &delegated), sum.0);
        let digest = format!("comment \"failover {:08x}", sum.0);
        prop_assert!(head.ends_with(&digest));
    }

    #[test]
    fn a_reader_that_is_gone_ends_it(plan in any_plan(), room in 0..400_usize) {
        struct Pipe(usize);
        impl Write for Pipe {
            fn write_str(&mut self, s: &str) -> fmt::Result {
                self.0 = self.0.checked_sub(s.len()).ok_or(fmt::Error)?;
                Ok(())
            }
        }
        let text = text(&plan, &Delegated::new());
        let written = write(&plan, &Delegated::new(), &mut Pipe(room));
        prop_assert_eq!(written.is_ok(), text.len() <= room);
    }
}

#[test]
fn a_published_sum_is_met() {
    let mut sum = Fnv(0x811c_9dc5);
    sum.write_str("foobar").unwrap();
    assert_eq!(sum.0, 0xbf9c_f968);
}

#[test]
fn each_provider_has_marks_of_its_own() {
    let members = (0..64).map(|slot| Member {
        slot: Slot(slot),
        device: PerFamily::default(),
        own: None,
        answers: true,
        records: true,
        restores: true,
        strict: false,
        masquerade: false,
    });
    let plan = Plan {
        marks: MarkMask::USUAL,
        answers: true,
        foreign: false,
        ipsec: false,
        members: members.collect(),
    };
    let text = text(&plan, &Delegated::new());
    let mut marks = std::collections::BTreeSet::new();
    for map in ["map saved", "map answers"] {
        let map = text.lines().find(|line| line.starts_with(map));
        marks.extend(names(map.unwrap(), " 0x"));
    }
    assert_eq!(marks.len(), 2 * PROVIDERS_MAX);
    // The daemon writes it piece by piece, so this is only what `nft` reads.
    assert!(text.len() < 40_000, "{}", text.len());
}

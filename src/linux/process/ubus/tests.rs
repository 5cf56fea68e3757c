use super::*;
use crate::wire::netifd::{Dump, Unreadable};

fn known(name: &str) -> Known {
    Known {
        name: InterfaceName::try_from(name).unwrap(),
        lookup: Lookup::Pending,
        lost_reason: None,
        new_lookup: Lookup::Pending,
    }
}

#[test]
fn a_change_of_an_interface_is_asked_about_at_once_and_of_another_later() {
    let mut interfaces = Interfaces::new();
    assert!(!interfaces.refresh(Some("lan")) && !interfaces.refresh(None));
    assert_eq!(interfaces.next_deadline(), None);
    let _ = interfaces.known.push(known("wan"));
    assert!(!interfaces.refresh(Some("vpn")));
    let later = interfaces.next_deadline().unwrap();
    assert!(later > now() && later <= now() + PAUSE);
    // More changes do not put it off.
    assert!(!interfaces.refresh(Some("lan_6")));
    assert_eq!(interfaces.next_deadline(), Some(later));
    for name in ["wan", "wan_6", "wan_6_4"] {
        (interfaces.due, interfaces.not_before) = (false, None);
        assert!(interfaces.refresh(Some(name)));
        assert!(interfaces.due && interfaces.not_before.is_none(), "{name}");
    }
}

/// netifd shows them by name, other programs may not. (The order of their resolvers is without meaning.)
#[test]
fn the_order_of_a_dump_makes_no_difference() {
    const DUMPS: [(&str, &str); 2] = [
        (
            "wwan",
            include_str!("../../../../tests/data/netifd/made-dump-qmi.json"),
        ),
        (
            "wan6",
            include_str!("../../../../tests/data/netifd/made-dump-dslite.json"),
        ),
    ];
    for (name, text) in DUMPS {
        let dump: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut all = dump["interface"].as_array().unwrap().clone();
        let mut results = std::vec::Vec::new();
        for turn in 0..2 * all.len() {
            all.rotate_left(1);
            if turn % 2 == 1 {
                all.reverse();
            }
            let text = serde_json::json!({ "interface": all }).to_string();
            let (mut dump, mut known) = (Dump::new(), known(name));
            dump.feed(text.as_bytes(), &mut |of, told| {
                if place_of(std::slice::from_ref(&known), of).is_some() {
                    known.hear(of, told);
                }
            });
            dump.finish().unwrap();
            if let Lookup::Found(found) = &mut known.new_lookup {
                found.dns.sort_unstable();
            }
            results.push(known.new_lookup);
        }
        assert!(
            matches!(&results[0], Lookup::Found(found) if found.way.v4.is_some() && found.way.v6.is_some())
        );
        assert!(results.iter().all(|result| *result == results[0]), "{name}");
    }
}

#[test]
fn dynamic_interfaces_count_for_the_one_that_a_provider_names() {
    let told = |dynamic, up| {
        let (mut told, gateway) = (Interface::default(), "192.0.2.1".parse().unwrap());
        (told.dynamic, told.up) = (dynamic, up);
        told.device.v4 = "wwan0".parse().unwrap();
        told.way.v4 = Some(crate::wire::netifd::Way::Gateway(gateway));
        told
    };
    let mut wwan = known("wwan");
    wwan.hear("wwan_4", Ok(told(false, true)));
    assert_eq!(
        wwan.new_lookup,
        Lookup::Pending,
        "it is one of the configuration"
    );
    wwan.hear("wwan_4", Ok(told(true, true)));
    wwan.hear("wwan", Ok(Interface::default()));
    let Lookup::Found(found) = &wwan.new_lookup else {
        panic!("{:?}", wwan.new_lookup);
    };
    assert!(found.up && !found.dynamic && found.way.v4.is_some());
    // What cannot be read of one makes the whole unreadable: the last data stay.
    wwan.hear("wwan_6", Err(Unreadable));
    wwan.hear("wwan", Ok(told(false, true)));
    assert_eq!(wwan.new_lookup, Lookup::Failed(NoAnswer::Unreadable));
}

#[test]
fn a_known_interface_is_kept_while_there_is_no_answer_and_reported_once() {
    let told = || Lookup::Found(Interface::default());
    let refused = |errno| Lookup::Failed(NoAnswer::Program(errno));
    let mut known = known("wan");
    let mut update = |lookup| {
        known.new_lookup = lookup;
        known.update()
    };
    assert!(update(refused(Errno::ENOENT)));
    assert!(update(told()));
    assert!(!update(told()));
    assert!(update(refused(Errno::ENOMEM)));
    let unreadable = Lookup::Failed(NoAnswer::Unreadable);
    assert!(!update(unreadable));
    assert_eq!(known.lookup, told());
    assert_eq!(known.lost_reason, Some(NoAnswer::Program(Errno::ENOMEM)));
    let mut update = |lookup| {
        known.new_lookup = lookup;
        known.update()
    };
    assert!(update(told()));
    assert!(update(Lookup::NotFound));
    assert_eq!(known.lost_reason, None);
}

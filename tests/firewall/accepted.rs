//! `nft` and the kernel take every text.

use failover::firewall::plan::Plan;
use failover::firewall::text;
use failover::routing::delegated::Delegated;
use failover::types::{DeviceName, Mark, MarkMask};

use super::lab::Namespace;
use super::plans::{delegated, member, plan, script, two};

/// Loads a text.
fn load(router: &Namespace, script: &str) {
    router.feed(&["nft", "-f", "-"], script);
}

fn prefixes() -> Delegated {
    delegated(&[
        (0, "2001:db8:1::/48"),
        (0, "2001:db8:a::/56"),
        (1, "2001:db8:2::/48"),
        (1, "2001:db8:a::/48"),
        (1, "2001:db8:1::/48"),
    ])
}

/// A table is taken together with devices in each of its sets, and has them.
fn takes_with_devices(router: &Namespace, plan: &Plan) {
    let mut script = script(plan, &prefixes());
    let left = ["gone", "two words", "wan1"].map(|name| DeviceName::try_from(name).unwrap());
    let moved = ["wan2", ""];
    text::add_devices(plan, &prefixes(), moved, &left, &mut script).unwrap();
    load(router, &script);
    let listed = router.run(&["nft", "list", "table", "inet", "failover"]);
    let of = |set: &str| {
        let after = listed.split_once(&format!("set {set} {{"))?.1;
        Some(after.split_once('}')?.0.matches(" timeout ").count())
    };
    let answers = plan.answers && plan.members.iter().any(|member| member.answers);
    assert_eq!(of("moved"), Some(1), "{listed}");
    for set in ["left", "leaving"] {
        assert_eq!(of(set), answers.then_some(3), "{listed}");
    }
}

#[test]
fn every_combination_is_taken() {
    let router = Namespace::new("router");
    for bits in 0..128_u32 {
        let bit = |number: u32| bits & (1 << number) != 0;
        let mut plan = two();
        (plan.answers, plan.foreign, plan.ipsec) = (bit(0), bit(1), bit(2));
        let first = &mut plan.members[0];
        (first.records, first.restores, first.strict) = (bit(3), bit(4), bit(5));
        (first.answers, first.masquerade) = (bit(6), bit(5));
        takes_with_devices(&router, &plan);
    }
}

#[test]
fn nothing_to_do_is_an_empty_table() {
    let router = Namespace::new("router");
    let mut plan = two();
    plan.answers = false;
    for member in &mut plan.members {
        member.records = false;
    }
    load(&router, &script(&plan, &Delegated::new()));
    let listed = router.run(&["nft", "list", "table", "inet", "failover"]);
    let digest = text::digest(&plan, &Delegated::new());
    let empty = format!("table inet failover {{\n\tcomment \"failover {digest:08x}\"\n}}\n");
    assert_eq!(listed, empty);
}

#[test]
fn all_providers_that_there_can_be_are_taken() {
    let router = Namespace::new("router");
    let devices: Vec<String> = (0..64).map(|slot| format!("device{slot}")).collect();
    let mut members = Vec::new();
    let mut list = Vec::new();
    for slot in 0..64_u8 {
        let mut member = member(slot, &devices[usize::from(slot)]);
        member.own = Some(Mark {
            value: u32::from(slot) + 1,
            mask: 0xff,
        });
        member.masquerade = true;
        member.strict = slot % 2 == 0;
        members.push(member);
        list.extend((0..4).map(|number| (slot, format!("2001:db8:{slot:x}:{number:x}00::/56"))));
    }
    let list: Vec<(u8, &str)> = list
        .iter()
        .map(|(slot, text)| (*slot, text.as_str()))
        .collect();
    load(&router, &script(&plan(&members), &delegated(&list)));
}

#[test]
fn any_mask_is_taken() {
    let router = Namespace::new("router");
    for mask in [0x7, 0xff00, 0xe000_0000, u32::MAX] {
        let mut plan = two();
        plan.marks = MarkMask::new(mask).unwrap();
        takes_with_devices(&router, &plan);
    }
}

/// What the kernel allows (`dev_valid_name()`), and some that `nft` cannot be told literally.
#[test]
fn any_name_of_a_device_is_taken() {
    let router = Namespace::new("router");
    for byte in (0x21..0x7f_u8)
        .map(char::from)
        .filter(|byte| !"/:".contains(*byte))
    {
        for name in [
            format!("{byte}"),
            format!("wan{byte}"),
            format!("{byte}1"),
            format!("w{byte}1"),
        ] {
            if name == "." {
                continue;
            }
            let plan = plan(&[member(0, &name), member(1, "wan2")]);
            load(&router, &script(&plan, &Delegated::new()));
            let listed = router.run(&["nft", "list", "map", "inet", "failover", "leaves"]);
            let told = listed.contains(&format!("ipv4 . \"{name}\" : goto went_1"));
            assert_eq!(told, !name.contains(['"', '*', '\\']), "{name}: {listed}");
        }
    }
}

#[test]
fn a_device_of_one_provider_per_family_is_taken() {
    let router = Namespace::new("router");
    let mut plan = plan(&[member(0, "wan1"), member(1, "wan2"), member(2, "wan2")]);
    plan.members[0].device.v6 = DeviceName::new();
    plan.members[1].device.v6 = "wan1".try_into().unwrap();
    load(&router, &script(&plan, &Delegated::new()));
    let listed = router.run(&["nft", "list", "map", "inet", "failover", "arrives"]);
    for element in [
        "ipv4 . \"wan1\" : jump came_1",
        "ipv4 . \"wan2\" : jump came_2",
        "ipv6 . \"wan1\" : jump came_2",
        "ipv6 . \"wan2\" : jump came_3",
    ] {
        assert!(listed.contains(element), "{listed}");
    }
}

#[test]
fn the_documented_table_is_the_one_that_is_written() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kernel-objects.md");
    let page = std::fs::read_to_string(page).unwrap();
    let script = script(&plan(&[member(0, "eth1")]), &Delegated::new());
    let indented = script.lines().skip(2).map(|line| format!("    {line}\n"));
    let table: String = indented.collect();
    assert!(page.contains(&table), "expected there:\n{table}");
}

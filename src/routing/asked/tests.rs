use super::*;
use crate::config::load;
use crate::types::Mark;

const TARGETS: [&str; 2] = ["203.0.113.8", "2001:db8:53::8"];

fn by(table: u32, length: u8, device: u32) -> Answer {
    Answer::By(Way {
        table,
        length,
        device,
        is_one_of_several: false,
        is_own: false,
    })
}

fn at(seconds: i64) -> Instant {
    Instant::from_secs(seconds)
}

#[test]
fn what_checks_ask_stands_for_the_internet_and_a_resolver_for_those_that_ask_no_address() {
    let of = |text: &str, family| -> Vec<String> {
        let mut config = Config::new();
        load(text.as_bytes(), &|_| None, &mut config, &mut |_| {}).unwrap();
        candidates(&config, family).map(|a| a.to_string()).collect()
    };
    let text = "
config provider a
	option device eth1
	list check ping
	list check tcp
	list check page
	list check dns
	list check arp
	list check exec
config provider b
	option device eth2
	option enabled 0
	list check unused
config check unused
	option type ping
	option target 203.0.113.99
config check ping
	option type ping
	option target 203.0.113.8
config check tcp
	option type tcp
	option target 2001:db8::7
	option port 443
config check page
	option type http
	option target www.example.com
	option resolver 203.0.113.9
config check dns
	option type dns
	option target 203.0.113.10
	option query example.com
config check arp
	option type arp
config check exec
	option type exec
	option command true
";
    assert_eq!(
        of(text, Family::V4),
        ["203.0.113.8", "203.0.113.9", "203.0.113.10", "9.9.9.9"]
    );
    assert_eq!(of(text, Family::V6), ["2001:db8::7", "2620:fe::fe"]);
}

#[test]
fn a_network_in_main_covers_and_what_a_vpn_takes_everything_with_does_not() {
    let covered = |family, table, length| by(table, length, 3).is_covered(family);
    for (family, length) in [(Family::V4, 8), (Family::V6, 16)] {
        assert!(covered(family, TABLE_MAIN, length));
        assert!(!covered(family, TABLE_MAIN, length - 1));
        assert!(!covered(family, 51820, 32), "only in main");
        assert!(is_wide(family, length - 1) && is_wide(family, 1));
        assert!(!is_wide(family, length) && !is_wide(family, 0));
    }
    assert!(!Answer::Refused(Fault::HostUnreachable).is_covered(Family::V4));
    // An address of the router stands for nothing else.
    let Answer::By(way) = by(255, 0, 1) else {
        return;
    };
    let own = Answer::By(Way {
        is_own: true,
        ..way
    });
    assert!(own.is_covered(Family::V4) && own.is_own());
}

#[test]
fn what_follows_a_default_that_is_known_to_prevail_is_not_diverted() {
    let told = |answer, prevailing| diverted(answer, 3, prevailing).is_some();
    assert!(!told(by(176, 0, 3), None));
    assert!(told(by(51820, 0, 4), None));
    assert!(told(Answer::Refused(Fault::HostUnreachable), Some(254)));
    assert!(!told(by(254, 0, 4), Some(254)), "it is told elsewhere");
    assert!(told(by(51820, 0, 4), Some(254)), "something else prevails");
    assert!(
        told(by(254, 1, 4), Some(254)),
        "not by the default, but by a half of the Internet"
    );
}

#[test]
fn where_nothing_is_to_leave_what_leaves_is_diverted() {
    assert_eq!(
        diverted(Answer::Refused(Fault::HostUnreachable), 0, None),
        None
    );
    assert!(diverted(by(51820, 0, 4), 0, None).is_some());
}

#[test]
fn of_several_ways_any_lets_in() {
    let Answer::By(way) = by(254, 0, 4) else {
        return;
    };
    let several = Answer::By(Way {
        is_one_of_several: true,
        ..way
    });
    assert!(several.lets_in_by(3) && !several.leaves_by(3));
    assert!(!by(254, 0, 4).lets_in_by(3) && by(254, 0, 4).lets_in_by(4));
}

#[test]
fn it_takes_two_answers_a_second_apart() {
    let (wrong, other) = (by(51820, 0, 4), by(51820, 0, 5));
    let mut suspicion = Suspicion::default();
    assert!(!suspicion.hear(Some(wrong), at(10)));
    assert_eq!(suspicion.next_deadline(), Some(at(11)));
    assert!(!suspicion.hear(Some(wrong), at(10) + Duration::from_millis(999)));
    assert_eq!(suspicion.told(), None);
    assert!(suspicion.hear(Some(wrong), at(11)));
    assert_eq!(
        (suspicion.told(), suspicion.next_deadline()),
        (Some(wrong), None)
    );
    assert!(!suspicion.hear(Some(wrong), at(71)), "nothing new");
    assert!(suspicion.hear(Some(other), at(131)), "another way");
    assert!(suspicion.hear(None, at(132)), "one good answer is enough");
    assert_eq!(suspicion, Suspicion::default());
    assert!(!suspicion.hear(Some(wrong), at(133)), "a new beginning");
}

fn rule(family: Family, pref: u32, selector: Selector, verdict: RuleVerdict) -> Rule {
    Rule {
        family,
        pref,
        protocol: 3,
        selector,
        verdict,
    }
}

/// What is found among rules that are told in this order and in the opposite one.
fn found(
    question: Question,
    answer: Answer,
    rules: &[(u32, Selector, RuleVerdict)],
) -> Option<u32> {
    let family = Family::of(question.target);
    let search = |rules: &mut dyn Iterator<Item = &(u32, Selector, RuleVerdict)>| {
        let mut search = RuleSearch::new(question, answer);
        for (pref, selector, verdict) in rules {
            search.see(&rule(family, *pref, selector.clone(), *verdict));
        }
        search.found()
    };
    let forwards = search(&mut rules.iter());
    assert_eq!(forwards, search(&mut rules.iter().rev()));
    forwards
}

#[test]
fn the_rule_is_told_where_there_is_no_choice() {
    let look_up = RuleVerdict::Lookup(51820);
    for target in TARGETS.map(|target| target.parse::<IpAddr>().unwrap()) {
        let question = Question {
            target,
            source: None,
        };
        let of = |rules: &[_]| found(question, by(51820, 0, 9), rules);
        assert_eq!(of(&[(100, Selector::All, RuleVerdict::Lookup(254))]), None);
        assert_eq!(of(&[(100, Selector::All, look_up)]), Some(100));
        let only = (32764, Selector::Foreign, look_up);
        assert_eq!(
            of(std::slice::from_ref(&only)),
            Some(32764),
            "as wg-quick's"
        );
        assert_eq!(of(&[only.clone(), (99, Selector::Foreign, look_up)]), None);
        let both = |all| {
            [
                (99, Selector::Foreign, look_up),
                (all, Selector::All, look_up),
            ]
        };
        assert_eq!(of(&both(98)), Some(98));
        assert_eq!(of(&both(100)), None, "perhaps the one, perhaps the other");
        let specific = RuleVerdict::LookupSpecific(51820);
        assert_eq!(of(&[(99, Selector::All, specific)]), None, "a default");
        let mark = |value| {
            Selector::Mark(Mark {
                value,
                mask: 0xff00,
            })
        };
        assert_eq!(of(&[(99, mark(0x100), look_up)]), None, "unmarked packets");
        assert_eq!(of(&[(99, mark(0), look_up)]), Some(99));
        let oif = Selector::Oif("wg0".try_into().unwrap());
        assert_eq!(of(&[(99, oif, look_up)]), None);
    }
}

#[test]
fn half_the_internet_in_main_is_found_by_a_rule_for_specific_routes() {
    for target in TARGETS.map(|target| target.parse::<IpAddr>().unwrap()) {
        let question = Question {
            target,
            source: None,
        };
        let rules = [
            (
                17600,
                Selector::All,
                RuleVerdict::LookupSpecific(TABLE_MAIN),
            ),
            (32766, Selector::All, RuleVerdict::Lookup(TABLE_MAIN)),
        ];
        let of = |length| found(question, by(TABLE_MAIN, length, 9), &rules);
        assert_eq!((of(1), of(0)), (Some(17600), Some(32766)));
    }
}

#[test]
fn the_source_decides_about_rules_for_a_source() {
    let question = |target: &str, source: Option<&str>| Question {
        target: target.parse().unwrap(),
        source: source.map(|source| source.parse().unwrap()),
    };
    let from = |prefix: &str| {
        let selector = Selector::From(prefix.parse().unwrap());
        [(99, selector, RuleVerdict::Lookup(300))]
    };
    let of = |question, rules: &[_]| found(question, by(300, 0, 9), rules);
    let v4 = from("192.0.2.0/24");
    assert_eq!(of(question(TARGETS[0], Some("192.0.2.7")), &v4), Some(99));
    assert_eq!(of(question(TARGETS[0], Some("192.0.3.7")), &v4), None);
    assert_eq!(of(question(TARGETS[0], None), &v4), None);
    // The rule itself chooses the source.
    let v6 = from("2001:db8:1::/64");
    assert_eq!(of(question(TARGETS[1], None), &v6), Some(99));
}

#[test]
fn a_refusal_is_ascribed_to_a_rule_only_where_it_is_certain() {
    let question = Question {
        target: TARGETS[0].parse().unwrap(),
        source: None,
    };
    let of = |fault, rules: &[_]| found(question, Answer::Refused(fault), rules);
    let all = [(99, Selector::All, RuleVerdict::Unreachable)];
    assert_eq!(of(Fault::NetworkUnreachable, &all), Some(99));
    assert_eq!(of(Fault::HostUnreachable, &all), None, "a route refuses");
    let some = [(99, Selector::Foreign, RuleVerdict::Unreachable)];
    assert_eq!(of(Fault::NetworkUnreachable, &some), None);
}

use super::*;

fn again(cause: &Cause) -> Option<Cause> {
    let mut buffer = [0; CAUSE_BYTES_MAX + 2];
    let bytes = postcard::to_slice(cause, &mut buffer).unwrap();
    postcard::from_bytes(bytes).ok()
}

#[test]
fn each_kind_decodes_to_itself() {
    let plain = KINDS.into_iter();
    let pairs = State::ALL.map(|from| State::ALL.map(|to| Kind::State { from, to }));
    for kind in plain.chain(pairs.into_iter().flatten()) {
        assert_eq!(super::kind(kind_byte(kind)), Some(kind));
    }
    for byte in 0..=u8::MAX {
        assert!(kind(byte).is_none_or(|kind| kind_byte(kind) == byte));
    }
}

#[test]
fn each_fault_decodes_to_itself() {
    let numbers = [
        Fault::Status(599),
        Fault::Rcode(5),
        Fault::Exit(255),
        Fault::Errno(-1),
    ];
    for fault in FAULTS.into_iter().chain(numbers) {
        assert_eq!(again(&Cause::Kernel(fault)), Some(Cause::Kernel(fault)));
    }
    for (place, fault) in (0..).zip(FAULTS) {
        assert_eq!(fault_code(fault), (FAULT_PLAIN + place, 0));
    }
}

#[test]
fn each_cause_decodes_to_itself() {
    let name = || "isp1".try_into().unwrap();
    let route = |to: Option<&str>| Ours::Route {
        to: to.map(|to| to.try_into().unwrap()),
        metric: Metric(u32::MAX),
        table: 176,
    };
    let mut causes = vec![
        Cause::Cleanly,
        Cause::Reread,
        Cause::ConfigurationChanged,
        Cause::PinnedByHand,
        Cause::UnpinnedByHand,
        Cause::DisabledByHand,
        Cause::EnabledByHand,
        Cause::UplinkUp,
        Cause::First,
        Cause::NotRefused,
        Cause::HasRoute,
        Cause::NoneWorks,
        Cause::NoneRoutable,
        Cause::Version(name()),
        Cause::Other(name(), Other::Disabled),
        Cause::Other(name(), Other::Preferred),
        Cause::Changed(route(None), 0),
        Cause::Changed(route(Some("192.0.2.0/24")), 7),
        Cause::Changed(Ours::Rule(18500), u32::MAX),
        Cause::Dropped("eth1".try_into().unwrap()),
        Cause::Connections(212, name()),
        Cause::Manual("wg0".try_into().unwrap(), Metric(1)),
        Cause::ManualGone("a-name-of-15-by".try_into().unwrap(), Metric(u32::MAX)),
    ];
    for waiting in [
        Waiting::NoDevice,
        Waiting::Down,
        Waiting::NoCarrier,
        Waiting::NoAddress,
        Waiting::NoGateway,
        Waiting::DeviceTaken(Slot(63)),
        Waiting::RouteRefused,
        Waiting::Duplicate,
    ] {
        causes.extend([Cause::Lost(waiting), Cause::Lacks(waiting)]);
    }
    for state in State::ALL {
        let others = [
            Other::Is(state),
            Other::OnlyDisabledWorks(state),
            Other::LastResort(state),
        ];
        causes.extend(others.map(|other| Cause::Other(name(), other)));
    }
    let mut missed = Missed::default();
    missed.add("192.0.2.1", None);
    missed.add("2001:db8::1", Some(Fault::Status(511)));
    for measure in Measure::ALL {
        let measured = Measured {
            measure,
            value: 80_000,
            limit: 90_000,
            is_above: measure == Measure::Loss,
        };
        for ground in [
            Ground::Unchecked,
            Ground::GoodStreak(1),
            Ground::FailedStreak(3),
            Ground::FailedInWindow(11, 50),
            Ground::Poor(measured),
            Ground::GoodAgain(4, measured),
        ] {
            causes.push(Cause::Judged(Judged {
                ground,
                missed: missed.clone(),
                unreachable: Some(13),
            }));
        }
    }
    for cause in causes {
        assert_eq!(again(&cause).as_ref(), Some(&cause));
    }
}

#[test]
fn truncated_and_too_long_bytes_are_no_cause() {
    let cause = Cause::Other("isp1".try_into().unwrap(), Other::Preferred);
    let mut room = [0; CAUSE_BYTES_MAX];
    let mut bytes = written(&mut cause.clone(), &mut room).to_vec();
    bytes.push(0);
    for length in 0..=bytes.len() {
        let mut buffer = [0; 64];
        let part = postcard::to_slice(&bytes[..length], &mut buffer).unwrap();
        let read = postcard::from_bytes::<Cause>(part).ok();
        assert_eq!(read.is_some(), length == bytes.len() - 1, "{length}");
    }
}

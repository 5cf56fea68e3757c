//! Timing and verdict: from a provider's options, its profile, globals' options and globals' profile, in this order.

use super::quality::{QualityOptions, Thresholds};
use super::{Connections, Profile, Quorum, Timing};
use crate::limits::{
    INTERVAL_MAX, INTERVAL_MIN, PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, TIMEOUT_MIN, WINDOW_MAX,
};
use crate::option::problem::Report;
use crate::option::section::{Given, Options};
use crate::option::value;
use crate::text::Span;
use crate::types::{Duration, PerFamily};

pub(super) const INTERVAL: &str = "expected 10ms to 24h";

/// The values of [`Timing`] that are options, each at its place in [`Values`].
#[derive(Clone, Copy)]
enum Place {
    Interval,
    Timeout,
    Down,
    Up,
    Window,
    MaxFailed,
    Quorum,
}

/// Microseconds, rounds, checks; all the checks are 0. So the program has one routine for all of them.
type Values<T> = [T; 7];

const fn values(timing: &Timing) -> Values<u64> {
    [
        timing.interval.total_micros(),
        timing.timeout.total_micros(),
        timing.down as u64,
        timing.up as u64,
        timing.window as u64,
        timing.max_failed as u64,
        match timing.quorum {
            Quorum::All => 0,
            Quorum::AtLeast(least) => least as u64,
        },
    ]
}

/// The defaults of each [`Profile`].
static DEFAULTS: [Values<u64>; 3] = [
    values(&Profile::Normal.timing()),
    values(&Profile::Fast.timing()),
    values(&Profile::Metered.timing()),
];

/// The options of one section that follow its profile.
pub(super) struct TimingOptions {
    profile: Given<Profile>,
    pub(super) connections: Given<Connections>,
    values: Values<Given<u64>>,
    quality: QualityOptions,
}

impl TimingOptions {
    pub(super) const NONE: TimingOptions = TimingOptions {
        profile: Given::Absent,
        connections: Given::Absent,
        values: [Given::Absent; 7],
        quality: QualityOptions::NONE,
    };

    pub(super) fn read(options: &mut Options<'_, '_, '_>) -> TimingOptions {
        let mut profile = Profile::Normal;
        let given = options.choice(
            "profile",
            &[
                ("normal", Profile::Normal),
                ("fast", Profile::Fast),
                ("metered", Profile::Metered),
            ],
            &mut profile,
        );
        TimingOptions {
            profile: given.map(|()| profile),
            connections: connections(options),
            values: [
                span(options, "interval", INTERVAL_MIN, INTERVAL_MAX, INTERVAL),
                span(
                    options,
                    "timeout",
                    TIMEOUT_MIN,
                    INTERVAL_MAX * TIMEOUT_INTERVALS_MAX,
                    "expected 1ms to 63 intervals",
                ),
                rounds(options, "down", 1),
                rounds(options, "up", 1),
                rounds(options, "window", 1),
                rounds(options, "max_failed", 0),
                quorum(options),
            ],
            quality: QualityOptions::read(options),
        }
    }
}

/// A duration, in microseconds.
fn span(
    options: &mut Options<'_, '_, '_>,
    name: &str,
    least: Duration,
    most: Duration,
    bounds: &'static str,
) -> Given<u64> {
    let mut span = Duration::ZERO;
    let given = options.duration(name, least, most, bounds, &mut span);
    given.map(|()| span.total_micros())
}

/// A number of rounds, at most the largest window.
fn rounds(options: &mut Options<'_, '_, '_>, name: &str, least: u32) -> Given<u64> {
    const MOST: u32 = 64;
    const { assert!(MOST as usize == WINDOW_MAX) };
    let mut rounds = 0;
    let given = options.number(name, least, MOST, &mut rounds);
    given.map(|()| rounds.into())
}

fn quorum(options: &mut Options<'_, '_, '_>) -> Given<u64> {
    const MOST: u32 = 8;
    const { assert!(MOST as usize == PATH_CHECKS_MAX) };
    let mut quorum = 0;
    let given = options.set("quorum", &mut quorum, |text| match value::number(text) {
        _ if text == "all" => Ok(0),
        Some(number) if (1..=MOST).contains(&number) => Ok(number.into()),
        _ => Err("expected all, or a whole number from 1 to 8"),
    });
    given.map(|()| quorum)
}

/// What connections do when another provider leads.
fn connections(options: &mut Options<'_, '_, '_>) -> Given<Connections> {
    const LEAST: Duration = Duration::from_secs(1);
    let shared = options.kind == "globals";
    let mut connections = Connections::Stay;
    let given = options.set("connections", &mut connections, |text| match text {
        "stay" => Ok(Connections::Stay),
        "follow" => Ok(Connections::Follow),
        "off" if shared => Ok(Connections::Off),
        "off" => {
            Err("off is for all providers, in globals: expected stay, follow or a duration, as 10m")
        }
        _ => match value::duration(text) {
            Ok(time) if (LEAST..=INTERVAL_MAX).contains(&time) => Ok(Connections::AtMost(time)),
            Ok(_) => Err("expected 1s to 24h"),
            Err(_) => Err("expected stay, follow or a duration, as 10m"),
        },
    });
    given.map(|()| connections)
}

fn low_byte(number: u64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// The origin of a value.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// an option of the provider, in this line
    Own(u32),
    /// an option of globals, in this line
    Shared(u32),
    /// a profile
    Profile,
    /// an option that is wrong, so the value is unknown
    Unknown,
}

/// A value and its origin.
#[derive(Clone, Copy)]
struct Picked {
    value: u64,
    origin: Origin,
}

/// The rules between values; a violation within globals is reported once.
#[derive(Clone, Copy)]
enum Rule {
    Down,
    Up,
    MaxFailed,
    Timeout,
    Quorum,
}

/// Resolves the timing of one provider after another.
pub(super) struct Resolver {
    shared: TimingOptions,
    /// one bit per [`Rule`] whose violation in globals was reported
    reported: u8,
    thresholds: Thresholds,
}

impl Resolver {
    pub(super) const fn new(shared: TimingOptions) -> Resolver {
        Resolver {
            shared,
            reported: 0,
            thresholds: Thresholds::new(),
        }
    }

    /// The timing of a provider with the options `own` and so many checks in each family (0: unknown, no rule applies).
    pub(super) fn resolve(
        &mut self,
        own: &TimingOptions,
        checks: PerFamily<usize>,
        report: &mut Report<'_>,
    ) -> Timing {
        let pick = |place| self.pick(own, place);
        let (interval, timeout) = (pick(Place::Interval), pick(Place::Timeout));
        let (window, quorum) = (pick(Place::Window), pick(Place::Quorum));
        let (down, up, mut max_failed) =
            (pick(Place::Down), pick(Place::Up), pick(Place::MaxFailed));
        self.check_timeout(&timeout, &interval, report);
        self.check_quorum(&quorum, checks, report);
        if matches!(max_failed.origin, Origin::Profile) {
            max_failed.value = window.value; // the default of every profile is the window
        }
        Timing {
            interval: Duration::from_micros(interval.value),
            timeout: Duration::from_micros(timeout.value),
            down: self.within(&window, &down, Rule::Down, "down", report),
            up: self.within(&window, &up, Rule::Up, "up", report),
            window: low_byte(window.value),
            max_failed: self.within(&window, &max_failed, Rule::MaxFailed, "max_failed", report),
            quorum: match quorum.value {
                0 => Quorum::All,
                least => Quorum::AtLeast(low_byte(least)),
            },
            quality: self.thresholds.resolve(
                &own.quality,
                &self.shared.quality,
                low_byte(window.value),
                report,
            ),
        }
    }

    /// What a provider's connections do; and the line that says so, unless a profile does.
    pub(super) fn connections(&self, own: &TimingOptions) -> (Connections, Option<u32>) {
        if let Given::Is(off @ Connections::Off, _) = self.shared.connections {
            return (off, None);
        }
        for options in &[own, &self.shared] {
            match (options.connections, options.profile) {
                (Given::Is(value, line), _) => return (value, Some(line)),
                (Given::Absent, Given::Is(Profile::Metered, _)) => {
                    return (Connections::Follow, None);
                }
                (Given::Absent, Given::Absent) => {}
                _ => break,
            }
        }
        (Connections::Stay, None)
    }

    /// Whether the profile that the options `own` begin from is `metered`.
    pub(super) fn is_metered(&self, own: &TimingOptions) -> bool {
        match (own.profile, self.shared.profile) {
            (Given::Is(profile, _), _) | (Given::Absent, Given::Is(profile, _)) => {
                profile == Profile::Metered
            }
            _ => false,
        }
    }

    fn pick(&self, own: &TimingOptions, place: Place) -> Picked {
        let of = |profile: Profile, origin| Picked {
            value: DEFAULTS[profile as usize][place as usize],
            origin,
        };
        for (options, is_own) in [(own, true), (&self.shared, false)] {
            match (options.values[place as usize], options.profile) {
                (Given::Is(value, line), _) => {
                    let origin = if is_own {
                        Origin::Own(line)
                    } else {
                        Origin::Shared(line)
                    };
                    return Picked { value, origin };
                }
                (Given::Absent, Given::Is(profile, _)) => return of(profile, Origin::Profile),
                (Given::Bad, _) | (Given::Absent, Given::Bad) => {
                    return of(Profile::Normal, Origin::Unknown);
                }
                (Given::Absent, Given::Absent) => {}
            }
        }
        of(Profile::Normal, Origin::Profile)
    }

    /// The line to report for a contradiction of two values; none if it was reported.
    fn blame(&mut self, rule: Rule, one: Origin, other: Origin) -> Option<u32> {
        let line = match (one, other) {
            (Origin::Unknown, _) | (_, Origin::Unknown) => return None,
            (Origin::Own(line), _) | (_, Origin::Own(line)) => return Some(line),
            (Origin::Shared(line), _) | (_, Origin::Shared(line)) => line,
            (Origin::Profile, Origin::Profile) => return None,
        };
        let bit = 1 << rule as u8;
        let first = self.reported & bit == 0;
        self.reported |= bit;
        first.then_some(line)
    }

    /// A number of rounds that must not exceed the window: a default is clamped, a given value is refused.
    fn within(
        &mut self,
        window: &Picked,
        rounds: &Picked,
        rule: Rule,
        name: &str,
        report: &mut Report<'_>,
    ) -> u8 {
        let (limit, value) = (window.value, rounds.value);
        if value > limit
            && matches!(rounds.origin, Origin::Own(_) | Origin::Shared(_))
            && let Some(line) = self.blame(rule, rounds.origin, window.origin)
        {
            report.error(
                line,
                format_args!("{name} '{value}' is above the window of {limit} rounds: expected at most {limit}"),
            );
        }
        low_byte(value.min(limit))
    }

    fn check_timeout(&mut self, timeout: &Picked, interval: &Picked, report: &mut Report<'_>) {
        let most = interval.value * u64::from(TIMEOUT_INTERVALS_MAX);
        if timeout.value > most
            && let Some(line) = self.blame(Rule::Timeout, timeout.origin, interval.origin)
        {
            let span = |micros| Span(Duration::from_micros(micros));
            let (timeout, interval, most) = (span(timeout.value), span(interval.value), span(most));
            report.error(
                line,
                format_args!(
                    "timeout '{timeout}' is over 63 intervals of {interval}: expected at most {most}"
                ),
            );
        }
    }

    fn check_quorum(&mut self, quorum: &Picked, checks: PerFamily<usize>, report: &mut Report<'_>) {
        let least = quorum.value;
        for (family, count) in [("ipv4", checks.v4), ("ipv6", checks.v6)] {
            if (1..least).contains(&(count as u64))
                && let Some(line) = self.blame(Rule::Quorum, quorum.origin, Origin::Profile)
            {
                report.error(
                    line,
                    format_args!(
                        "quorum '{least}' is above the number of {family} checks, {count}: expected at most that, or all"
                    ),
                );
                return;
            }
        }
    }
}

//! Timing and verdict: from a provider's options, its profile, globals' options and globals' profile, in this order.

use super::quality::{QualityOptions, Thresholds};
use super::{Profile, Quorum, Timing};
use crate::limits::{
    INTERVAL_MAX, INTERVAL_MIN, PATH_CHECKS_MAX, TIMEOUT_INTERVALS_MAX, TIMEOUT_MIN, WINDOW_MAX,
};
use crate::option::problem::Report;
use crate::option::section::{Given, Options};
use crate::text::Span;
use crate::types::{Duration, PerFamily};

pub(super) const INTERVAL: &str = "expected 10ms to 24h";

/// The timing options of one section.
pub(super) struct TimingOptions {
    profile: Given<Profile>,
    interval: Given<Duration>,
    timeout: Given<Duration>,
    down: Given<u8>,
    up: Given<u8>,
    window: Given<u8>,
    max_failed: Given<u8>,
    quorum: Given<Quorum>,
    quality: QualityOptions,
}

impl TimingOptions {
    pub(super) const NONE: TimingOptions = TimingOptions {
        profile: Given::Absent,
        interval: Given::Absent,
        timeout: Given::Absent,
        down: Given::Absent,
        up: Given::Absent,
        window: Given::Absent,
        max_failed: Given::Absent,
        quorum: Given::Absent,
        quality: QualityOptions::NONE,
    };

    pub(super) fn read(options: &mut Options<'_, '_, '_>) -> TimingOptions {
        TimingOptions {
            profile: options.choice(
                "profile",
                &[
                    ("normal", Profile::Normal),
                    ("fast", Profile::Fast),
                    ("metered", Profile::Metered),
                ],
            ),
            interval: options.duration("interval", INTERVAL_MIN, INTERVAL_MAX, INTERVAL),
            timeout: options.duration(
                "timeout",
                TIMEOUT_MIN,
                INTERVAL_MAX * TIMEOUT_INTERVALS_MAX,
                "expected 1ms to 63 intervals",
            ),
            down: rounds(options, "down", 1),
            up: rounds(options, "up", 1),
            window: rounds(options, "window", 1),
            max_failed: rounds(options, "max_failed", 0),
            quorum: quorum(options),
            quality: QualityOptions::read(options),
        }
    }
}

/// A number of rounds, at most the largest window.
fn rounds(options: &mut Options<'_, '_, '_>, name: &str, least: u32) -> Given<u8> {
    const MOST: u32 = 64;
    const { assert!(MOST as usize == WINDOW_MAX) };
    options.number(name, least, MOST).map(low_byte)
}

fn quorum(options: &mut Options<'_, '_, '_>) -> Given<Quorum> {
    const MOST: u32 = 8;
    const { assert!(MOST as usize == PATH_CHECKS_MAX) };
    options.parse("quorum", |text| match crate::option::value::number(text) {
        _ if text == "all" => Ok(Quorum::All),
        Some(number) if (1..=MOST).contains(&number) => Ok(Quorum::AtLeast(low_byte(number))),
        _ => Err("expected all, or a whole number from 1 to 8"),
    })
}

fn low_byte(number: u32) -> u8 {
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
struct Picked<T> {
    value: T,
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
        let interval = self.pick(own, |o| o.interval, |t| t.interval);
        let timeout = self.pick(own, |o| o.timeout, |t| t.timeout);
        let window = self.pick(own, |o| o.window, |t| t.window);
        let quorum = self.pick(own, |o| o.quorum, |t| t.quorum);
        self.check_timeout(timeout, interval, report);
        self.check_quorum(quorum, checks, report);
        let down = self.pick(own, |o| o.down, |t| t.down);
        let up = self.pick(own, |o| o.up, |t| t.up);
        let mut max_failed = self.pick(own, |o| o.max_failed, |t| t.max_failed);
        if matches!(max_failed.origin, Origin::Profile) {
            max_failed.value = window.value; // the default of every profile is the window
        }
        Timing {
            interval: interval.value,
            timeout: timeout.value,
            down: self.within(window, down, Rule::Down, "down", report),
            up: self.within(window, up, Rule::Up, "up", report),
            window: window.value,
            max_failed: self.within(window, max_failed, Rule::MaxFailed, "max_failed", report),
            quorum: quorum.value,
            quality: self.thresholds.resolve(
                &own.quality,
                &self.shared.quality,
                window.value,
                report,
            ),
        }
    }

    fn pick<T: Copy>(
        &self,
        own: &TimingOptions,
        option: fn(&TimingOptions) -> Given<T>,
        default: fn(&Timing) -> T,
    ) -> Picked<T> {
        let normal = Picked {
            value: default(&Profile::Normal.timing()),
            origin: Origin::Profile,
        };
        for (options, is_own) in [(own, true), (&self.shared, false)] {
            match (option(options), options.profile) {
                (Given::Is(value, line), _) => {
                    let origin = if is_own {
                        Origin::Own(line)
                    } else {
                        Origin::Shared(line)
                    };
                    return Picked { value, origin };
                }
                (Given::Absent, Given::Is(profile, _)) => {
                    let value = default(&profile.timing());
                    return Picked { value, ..normal };
                }
                (Given::Bad, _) | (Given::Absent, Given::Bad) => {
                    let origin = Origin::Unknown;
                    return Picked { origin, ..normal };
                }
                (Given::Absent, Given::Absent) => {}
            }
        }
        normal
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
        window: Picked<u8>,
        rounds: Picked<u8>,
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
        value.min(limit)
    }

    fn check_timeout(
        &mut self,
        timeout: Picked<Duration>,
        interval: Picked<Duration>,
        report: &mut Report<'_>,
    ) {
        let most = interval.value * TIMEOUT_INTERVALS_MAX;
        if timeout.value > most
            && let Some(line) = self.blame(Rule::Timeout, timeout.origin, interval.origin)
        {
            let (timeout, interval, most) = (Span(timeout.value), Span(interval.value), Span(most));
            report.error(
                line,
                format_args!(
                    "timeout '{timeout}' is over 63 intervals of {interval}: expected at most {most}"
                ),
            );
        }
    }

    fn check_quorum(
        &mut self,
        quorum: Picked<Quorum>,
        checks: PerFamily<usize>,
        report: &mut Report<'_>,
    ) {
        let Quorum::AtLeast(least) = quorum.value else {
            return;
        };
        for (family, count) in [("ipv4", checks.v4), ("ipv6", checks.v6)] {
            if (1..usize::from(least)).contains(&count)
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

//! Thresholds of loss, latency and jitter: from a provider's options, then globals'.

use core::fmt;

use super::{Quality, Threshold};
use crate::option::problem::Report;
use crate::option::section::{Given, Options};
use crate::option::value::{self, Expected};
use crate::text::Limit;
use crate::types::{Duration, Measure};

/// No round trip takes this many seconds: milliseconds are meant.
const SECONDS_MOST: u32 = 10;
const MEASURES: usize = Measure::ALL.len();
/// Longest time of a threshold.
const TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// An option of one section: a number, or `none`.
type Limits = [Given<Option<u32>>; MEASURES];

/// The quality options of one section, by measure.
pub(super) struct QualityOptions {
    most: Limits,
    recover: Limits,
}

impl QualityOptions {
    pub(super) const NONE: QualityOptions = QualityOptions {
        most: [Given::Absent; MEASURES],
        recover: [Given::Absent; MEASURES],
    };

    pub(super) fn read(options: &mut Options<'_, '_, '_>) -> QualityOptions {
        let mut own = QualityOptions::NONE;
        let (most, recover) = (own.most.iter_mut(), own.recover.iter_mut());
        for (place, name) in most.zip(&["max_loss", "max_latency", "max_jitter"]) {
            *place = limit(options, name, 1);
        }
        for (place, name) in recover.zip(&["recover_loss", "recover_latency", "recover_jitter"]) {
            *place = limit(options, name, 0);
        }
        own
    }
}

fn limit(options: &mut Options<'_, '_, '_>, name: &str, least: u32) -> Given<Option<u32>> {
    let is_loss = name.ends_with("loss");
    let mut limit = None;
    let given = options.set(name, &mut limit, |text| match text {
        "none" => Ok(None),
        _ if is_loss => percent(text, least).map(Some),
        _ => time(text, least).map(Some),
    });
    if !is_loss {
        options.doubt_unit(name, SECONDS_MOST);
    }
    given.map(|()| limit)
}

fn percent(text: &str, least: u32) -> Expected<u32> {
    let digits = text.strip_suffix("%").unwrap_or(text);
    value::number(digits)
        .filter(|percent| (least..100).contains(percent))
        .ok_or(match least {
            0 => "expected a whole percentage from 0 to 99, or none",
            _ => "expected a whole percentage from 1 to 99, or none",
        })
}

fn time(text: &str, least: u32) -> Expected<u32> {
    let time = value::duration(text)?;
    u32::try_from(time.total_micros())
        .ok()
        .filter(|micros| *micros >= least && time <= TIME_MAX)
        .ok_or("expected a duration as 250ms, at most 1h, or none")
}

/// Resolves the quality thresholds of one provider after another.
pub(super) struct Thresholds {
    /// one bit per measure whose error in globals was reported
    reported: u8,
}

impl Thresholds {
    pub(super) const fn new() -> Thresholds {
        Thresholds { reported: 0 }
    }

    /// The thresholds of a provider with the options `own` and a window of so many rounds.
    pub(super) fn resolve(
        &mut self,
        own: &QualityOptions,
        shared: &QualityOptions,
        window: u8,
        report: &mut Report<'_>,
    ) -> Quality {
        let mut quality = Quality::NONE;
        for measure in Measure::ALL {
            let index = measure as usize;
            let pair = Pair {
                measure,
                most: pick(&own.most[index], &shared.most[index]),
                recover: pick(&own.recover[index], &shared.recover[index]),
                window,
            };
            let threshold = pair.settle(&mut |line, is_shared, message| {
                let bit = u8::from(is_shared) << index;
                if self.reported & bit == 0 {
                    report.error(line, message);
                }
                self.reported |= bit;
            });
            quality = quality.with(measure, threshold);
        }
        quality
    }
}

/// An option, and whether it comes from globals.
type Picked<'g> = (&'g Given<Option<u32>>, bool);

fn pick<'g>(own: &'g Given<Option<u32>>, shared: &'g Given<Option<u32>>) -> Picked<'g> {
    match own {
        Given::Absent => (shared, true),
        own => (own, false),
    }
}

/// Both thresholds of a measure.
struct Pair<'g> {
    measure: Measure,
    most: Picked<'g>,
    recover: Picked<'g>,
    window: u8,
}

impl Pair<'_> {
    fn settle(&self, refuse: &mut dyn FnMut(u32, bool, fmt::Arguments<'_>)) -> Option<Threshold> {
        let Pair {
            measure, window, ..
        } = *self;
        let name = measure.name();
        if self.most.0.is_bad() || self.recover.0.is_bad() {
            return None; // it is unknown
        }
        let (&Given::Is(most, line), is_shared) = self.most else {
            if let (&Given::Is(Some(_), line), is_shared) = self.recover {
                let what = format_args!(
                    "recover_{name} without max_{name}: expected option max_{name} with what fails a provider"
                );
                refuse(line, is_shared, what);
            }
            return None;
        };
        let most = most?;
        let shown = |value| Limit { measure, value };
        if measure == Measure::Loss && most * u32::from(window) < 100 {
            let (least, rounds) = (
                100_u32.div_ceil(window.max(1).into()),
                100_u32.div_ceil(most),
            );
            let what = if rounds > 64 {
                format_args!(
                    "max_loss '{most}%': {window} rounds cannot show that: expected at least {least}%"
                )
            } else {
                format_args!(
                    "max_loss '{most}%': a window of {window} rounds cannot show that: expected at least {least}%, or a window of {rounds}"
                )
            };
            refuse(line, is_shared, what);
        }
        let recover = match self.recover {
            (&Given::Is(Some(recover), line), is_shared) => {
                if recover > most {
                    let what = format_args!(
                        "recover_{name} '{}' is above max_{name} {}: expected at most that",
                        shown(recover),
                        shown(most)
                    );
                    refuse(line, is_shared, what);
                }
                recover
            }
            _ => most - most / 4,
        };
        Some(Threshold { most, recover })
    }
}

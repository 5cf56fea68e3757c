//! UCI text → a validated [`Config`]: the sections, and what they must be to each other.

use heapless::String;

use super::options::{Given, KINDS, Options};
use super::problem::{Hint, Problem, Report, nearest};
use super::provider;
use super::timing::{Resolver, TimingOptions};
use super::value;
use super::{
    CHECKS_MAX, Config, FILE_MAX, Globals, NAME_MAX, Name, PATH_CHECKS_MAX, PROVIDERS_MAX,
    Provider, RANK_MAX, RtTable, SECTIONS_MAX, Slot, TABLE_MAIN,
};
use crate::net::{Family, Metric, PerFamily};
use crate::uci::{self, Command, Section};

/// The metric that an IPv6 route gets when it has none.
const METRIC_IPV6_DEFAULT: u32 = 1024;

/// A configuration that was not accepted. Every reason was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// how many there were
    pub errors: u32,
}

/// Fills `config` from the text of a configuration file, and tells `report` every problem of it. The lines are not in
/// order: what is no UCI comes first, then globals, checks, providers, the whole.
///
/// `tables` resolves the name of a routing table to its number, as `rt_tables` has it. Slots are given in the file's
/// order: see [`Config::assign_slots`]. Providers come sorted by rank: see [`Provider::rank`].
///
/// # Errors
/// [`Refused`] when there was an error and not only warnings; then `config` must not be used.
pub fn load(
    text: &[u8],
    tables: &dyn Fn(&str) -> Option<u32>,
    config: &mut Config,
    report: &mut dyn FnMut(Problem),
) -> Result<(), Refused> {
    config.globals = Globals::default();
    config.providers.clear();
    config.checks.clear();
    let mut loading = Loading {
        text,
        tables,
        report: Report::new(report),
        timing: Resolver::new(TimingOptions::NONE),
        providers: 0,
        ranked: 0,
        lost: false,
        strange: false,
        checks_lost: false,
        providers_lost: false,
    };
    if text.len() > FILE_MAX {
        let length = text.len();
        loading.report.error(
            1,
            format_args!("the file has {length} bytes: expected at most {FILE_MAX}"),
        );
    } else if loading.read_syntax() {
        loading.read_globals(config);
        loading.read_checks(config);
        loading.read_providers(config);
        loading.compare_whole(config);
    }
    match loading.report.errors {
        0 => Ok(()),
        errors => Err(Refused { errors }),
    }
}

struct Loading<'a, 'r> {
    text: &'a [u8],
    tables: &'r dyn Fn(&str) -> Option<u32>,
    report: Report<'r>,
    timing: Resolver,
    /// provider sections so far
    providers: u32,
    /// one bit a slot: its `rank` was given
    ranked: u64,
    /// a section may not have been seen: that one is not there is no error
    lost: bool,
    /// a section's type is unknown: it may be any
    strange: bool,
    /// a check was not read
    checks_lost: bool,
    /// a provider was not read
    providers_lost: bool,
}

impl<'a> Loading<'a, '_> {
    fn sections(&self, kind: &'static str) -> impl Iterator<Item = Section<'a>> + use<'a> {
        uci::sections(self.text).filter(move |section| section.kind.is(kind))
    }

    /// Reports what is no UCI; `false` when the file is too much to look at.
    fn read_syntax(&mut self) -> bool {
        let mut sections = 0;
        for statement in uci::statements(self.text) {
            match statement {
                Ok(statement) => {
                    sections += usize::from(matches!(statement.command, Command::Config { .. }));
                    if sections > SECTIONS_MAX {
                        self.report.error(
                            statement.line,
                            format_args!("too many sections: expected at most {SECTIONS_MAX}"),
                        );
                        return false;
                    }
                }
                Err(error) => {
                    self.lost |= error.opens_section;
                    self.report
                        .error(error.line, format_args!("{}", error.fault));
                }
            }
        }
        self.refuse_unknown_kinds();
        true
    }

    fn refuse_unknown_kinds(&mut self) {
        let names = KINDS.each_ref().map(|kind| kind.name);
        for section in uci::sections(self.text) {
            let report = &mut self.report;
            let kind = section.kind;
            match KINDS.iter().find(|known| kind.is(known.name)) {
                Some(known) => Options { section, report }.refuse_unknown(known),
                None => {
                    self.strange = true;
                    let text: String<NAME_MAX> = kind.text().unwrap_or_default();
                    let near = Hint(nearest(&text, &mut names.into_iter()));
                    report.error(
                        section.line,
                        format_args!(
                            "unknown section type {kind}: expected globals, provider or check{near}"
                        ),
                    );
                }
            }
        }
    }

    fn read_globals(&mut self, config: &mut Config) {
        let mut first = None;
        for section in self.sections("globals") {
            if let Some(line) = first {
                self.report.error(
                    section.line,
                    format_args!("a second globals section, besides the one in line {line}: expected one at most"),
                );
                continue;
            }
            first = Some(section.line);
            let mut options = Options {
                section,
                report: &mut self.report,
            };
            super::globals::read(&mut options, self.tables, &mut config.globals);
            self.timing = Resolver::new(TimingOptions::read(&mut options));
        }
    }

    fn read_checks(&mut self, config: &mut Config) {
        for (index, section) in self.sections("check").enumerate() {
            if index >= CHECKS_MAX {
                self.report.error(
                    section.line,
                    format_args!("too many checks: expected at most {CHECKS_MAX}"),
                );
                self.checks_lost = true;
                break;
            }
            let mut options = Options {
                section,
                report: &mut self.report,
            };
            let name = name_of(&mut options, "all");
            let named = name.is_some();
            match super::check::read(&mut options, name.unwrap_or_default()) {
                // There is room: see above.
                Some(check) if named => self.checks_lost |= config.checks.push(check).is_err(),
                _ => self.checks_lost = true,
            }
        }
        if config.checks.is_empty() && !self.checks_lost && !self.sections_lost() {
            let nothing = "no check: expected at least one, as config check 'google' with type ping and target 8.8.8.8";
            self.lacking(config, nothing);
        }
    }

    const fn sections_lost(&self) -> bool {
        self.lost || self.strange
    }

    /// What the whole file lacks is no error while it is out of use: so that one can be shipped.
    fn lacking(&mut self, config: &Config, what: &str) {
        if config.globals.enabled {
            self.report.error(1, format_args!("{what}"));
        } else {
            self.report.warning(1, format_args!("{what}"));
        }
    }

    fn read_providers(&mut self, config: &mut Config) {
        for section in self.sections("provider") {
            self.providers += 1;
            if usize::try_from(self.providers).is_ok_and(|count| count > PROVIDERS_MAX) {
                self.report.error(
                    section.line,
                    format_args!("too many providers: expected at most {PROVIDERS_MAX}"),
                );
                self.providers_lost = true;
                break;
            }
            self.read_provider(section, config);
        }
        if self.providers_lost || self.sections_lost() {
            return;
        }
        if self.providers == 0 {
            let nothing = "no provider: expected at least one, as config provider 'isp1' with option device 'eth1'";
            self.lacking(config, nothing);
        } else if config.enabled().next().is_none() {
            self.lacking(config, "no provider is enabled: expected at least one");
        }
    }

    fn read_provider(&mut self, section: Section<'a>, config: &mut Config) {
        let Ok(slot) = u8::try_from(config.providers.len()) else {
            return;
        };
        let mut options = Options {
            section,
            report: &mut self.report,
        };
        let id = name_of(&mut options, "auto");
        let named = id.is_some();
        let mut read = provider::blank(id.unwrap_or_default(), Slot(slot), self.providers);
        let enabled = options.boolean("enabled");
        read.enabled = enabled.or(true);
        provider::read_device(&mut options, &mut read);
        provider::read_addresses(&mut options, &mut read);
        read.rt_table = provider::read_table(&mut options, self.tables, &config.globals);
        read.mark = options.parse("mark", value::mark).or(None);
        let rank = options.number("rank", 1, RANK_MAX);
        self.read_timing(section, &mut read, config);
        if let Given::Is(rank, line) = rank {
            read.rank = rank;
            self.ranked |= 1 << slot;
            self.compare_rank(&read, line, config);
        }
        // One that may be out of use cannot be in another's way.
        if read.enabled && !enabled.is_bad() {
            self.compare_with_others(section, &read, config);
        }
        if named {
            self.insert(read, config);
        } else {
            self.providers_lost = true;
            self.ranked &= !(1 << slot);
        }
    }

    /// The checks, and the options of timing and verdict.
    fn read_timing(&mut self, section: Section<'a>, read: &mut Provider, config: &Config) {
        let mut options = Options {
            section,
            report: &mut self.report,
        };
        // A check that was refused, or lost, is not missed a second time.
        let (text, lost) = (self.text, self.lost);
        let exists = |name: &str| {
            let named = |section: &Section<'_>| section.name.is_some_and(|found| found.is(name));
            let other =
                |section: &Section<'_>| section.kind.is("provider") || section.kind.is("globals");
            lost || uci::sections(text).any(|section| named(&section) && !other(&section))
        };
        let named = provider::read_checks(&mut options, &config.checks, &exists);
        let all = section.get("check").is_none();
        let mut counts: PerFamily<usize> = PerFamily::default();
        if let Some(checks) = named {
            read.checks = checks;
            for family in Family::ALL {
                let count = config.path_checks(read, family).count();
                if count > PATH_CHECKS_MAX {
                    let line = options.line("check");
                    options.error(
                        line,
                        format_args!("{count} {family} checks of one provider: expected at most {PATH_CHECKS_MAX}, chosen by list check"),
                    );
                }
                // With a check missing nobody knows how many "all" are.
                let known = !(all && (self.checks_lost || self.lost || self.strange));
                counts[family] = if known { count } else { 0 };
            }
        }
        let own = TimingOptions::read(&mut options);
        read.timing = self.timing.resolve(&own, counts, options.report);
    }

    fn compare_rank(&mut self, read: &Provider, line: u32, config: &Config) {
        let same =
            |other: &&Provider| other.rank == read.rank && self.ranked & (1 << other.slot.0) != 0;
        if let Some(other) = config.providers.iter().find(same) {
            let (rank, other) = (read.rank, &other.id);
            self.report.error(
                line,
                format_args!("rank '{rank}' is provider '{other}'s already: expected another"),
            );
        }
    }

    /// What no two providers in use may share.
    fn compare_with_others(&mut self, section: Section<'a>, read: &Provider, config: &Config) {
        let line = |name| {
            section
                .get(name)
                .map_or(section.line, |setting| setting.line)
        };
        for other in config.enabled() {
            let id = &other.id;
            let device = Family::ALL
                .iter()
                .map(|family| &read.device[*family])
                .find(|device| !device.is_empty() && shares_device(read, other, device));
            if let Some(device) = device {
                let name = if *device == read.device.v4 {
                    "device"
                } else {
                    "device6"
                };
                self.report.error(
                    line(name),
                    format_args!(
                        "{name} '{device}' is provider '{id}'s already: expected one of its own"
                    ),
                );
            }
            let interface = read
                .interfaces
                .iter()
                .find(|name| other.interfaces.contains(name));
            if let Some(interface) = interface {
                self.report.error(
                    line("interface"),
                    format_args!("interface '{interface}' is provider '{id}'s already: expected one of its own"),
                );
            }
            if let (RtTable::Id(table), true) = (read.rt_table, read.rt_table == other.rt_table) {
                self.report.error(
                    line("rt_table"),
                    format_args!("rt_table {table} is provider '{id}'s already: expected another"),
                );
            }
            if let (Some(a), Some(b)) = (read.mark, other.mark)
                && (a.value ^ b.value) & a.mask & b.mask == 0
            {
                let (value, mask) = (a.value, a.mask);
                if a == b {
                    self.report.error(
                        line("mark"),
                        format_args!("mark '{value:#x}/{mask:#x}' is provider '{id}'s already: expected another"),
                    );
                } else {
                    self.report.warning(
                        line("mark"),
                        format_args!("mark '{value:#x}/{mask:#x}' overlaps provider '{id}'s"),
                    );
                }
            }
        }
    }

    /// Behind those that are preferred to it.
    fn insert(&mut self, read: Provider, config: &mut Config) {
        let key = |provider: &Provider| (provider.rank, self.ranked & (1 << provider.slot.0) == 0);
        let behind = config
            .providers
            .iter()
            .position(|other| key(other) > key(&read));
        let place = behind.unwrap_or(config.providers.len());
        let full = config.providers.insert(place, read).is_err();
        self.providers_lost |= full; // there is room for PROVIDERS_MAX, and no more are read
    }

    /// What needs all sections.
    fn compare_whole(&mut self, config: &Config) {
        self.compare_metrics(config);
        if self.checks_lost || self.providers_lost || self.sections_lost() {
            return;
        }
        let used = config
            .providers
            .iter()
            .fold(0, |used, provider| used | provider.checks);
        for (index, check) in config.checks.iter().enumerate() {
            if used & (1 << index) == 0 && self.providers > 0 {
                let name = &check.name;
                let line = self
                    .sections("check")
                    .find(|section| section.name.is_some_and(|found| found.is(name)))
                    .map_or(1, |section| section.line);
                self.report
                    .warning(line, format_args!("check '{name}' is used by no provider"));
            }
        }
    }

    fn compare_metrics(&mut self, config: &Config) {
        let Metric(first) = config.globals.start_metric;
        let line = self
            .sections("globals")
            .next()
            .and_then(|section| section.get("start_metric"))
            .map_or(1, |setting| setting.line);
        let Some(end) = first.checked_add(self.providers) else {
            let most = u32::MAX - self.providers;
            self.report.error(
                line,
                format_args!(
                    "start_metric '{first}': expected at most {most}, for the others follow it"
                ),
            );
            return;
        };
        if config.globals.table == TABLE_MAIN
            && (first..end).contains(&METRIC_IPV6_DEFAULT)
            && config.manages(Family::V6)
        {
            self.report.warning(
                line,
                format_args!("start_metric '{first}': metric 1024 in table main is what IPv6 routes without a metric have"),
            );
        }
    }
}

/// Whether both have a device in the same family. `device` is one of `one`'s.
fn shares_device(one: &Provider, other: &Provider, device: &str) -> bool {
    Family::ALL
        .into_iter()
        .any(|family| one.device[family] == device && other.device[family] == device)
}

/// The section's name, if it is fit for an id.
fn name_of(options: &mut Options<'_, '_, '_>, reserved: &str) -> Option<Name> {
    let Section {
        kind, name, line, ..
    } = options.section;
    let Some(word) = name else {
        options.error(
            line,
            format_args!("a {kind} without a name: expected as in config {kind} 'name'"),
        );
        return None;
    };
    let Ok(name) = word.text::<NAME_MAX>() else {
        options.error(
            line,
            format_args!("{kind} {word}: expected a name of at most {NAME_MAX} bytes"),
        );
        return None;
    };
    if name == reserved {
        options.error(
            line,
            format_args!("{kind} {word}: the name is reserved, expected another"),
        );
        return None;
    }
    Some(name)
}

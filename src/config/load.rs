//! UCI text → a validated [`Config`], section by section. The rules between sections are in `compare`.

use super::timing::{Resolver, TimingOptions};
use super::{Config, Connections, Globals, Provider, provider};
use crate::limits::{
    CHECKS_MAX, FILE_MAX, NAME_MAX, PATH_CHECKS_MAX, PROVIDERS_MAX, RANK_MAX, SECTIONS_MAX,
};
use crate::option::problem::{Hint, Problem, Report, nearest};
use crate::option::section::{Given, Options, Value};
use crate::option::table::KINDS;
use crate::option::value;
use crate::types::{Family, Name, PerFamily, Slot};
use crate::uci::{Index, Section, until_unclosed_quote};

/// The configuration was refused. Every error was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// the number of errors
    pub errors: u32,
}

/// Fills `config` from the text of a configuration file, and calls `report` with every problem. Problems are not in the
/// order of lines: first lines that are no UCI, then globals, checks, providers, and the file as a whole.
///
/// `tables` resolves the name of a routing table to its number, as in `rt_tables`. Slots are assigned in the file's order:
/// see [`Config::assign_slots`]. Providers are sorted by rank: see [`Provider::rank`].
///
/// # Errors
/// [`Refused`] if there was an error, not only warnings; then `config` must not be used.
pub fn load(
    text: &[u8],
    tables: &dyn Fn(&str) -> Option<u32>,
    config: &mut Config,
    report: &mut dyn FnMut(Problem),
) -> Result<(), Refused> {
    config.globals = Globals::default();
    config.providers.clear();
    config.checks.clear();
    config.clear_lists();
    let mut report = Report::new(report);
    let mut lost = false;
    if text.len() > FILE_MAX {
        let what = format_args!("the file has more than {FILE_MAX} bytes: expected at most that");
        report.error(1, what);
        return Err(Refused { errors: 1 });
    }
    let (text, untold) = until_unclosed_quote(text);
    lost |= !untold.is_empty();
    let index = Index::read(text, &mut |error| {
        lost |= error.opens_section;
        crate::option::slips::report_line(error, &mut report);
    });
    let mut loading = Loading {
        index,
        tables,
        report,
        timing: Resolver::new(TimingOptions::NONE),
        providers: 0,
        ranked: 0,
        lost,
        strange: false,
        checks_lost: false,
        providers_lost: false,
    };
    loading.refuse_unknown();
    loading.read_globals(config);
    loading.read_checks(config);
    loading.read_providers(config);
    loading.compare_whole(config);
    match loading.report.errors {
        0 => Ok(()),
        errors => Err(Refused { errors }),
    }
}

/// The state between sections.
pub(super) struct Loading<'a, 'r> {
    pub(super) index: Index<'a, SECTIONS_MAX>,
    tables: &'r dyn Fn(&str) -> Option<u32>,
    pub(super) report: Report<'r>,
    timing: Resolver,
    /// provider sections read so far
    pub(super) providers: u32,
    /// one bit per slot: its `rank` is set
    pub(super) ranked: u64,
    /// a section may have been lost in a damaged line: a missing section is no error
    lost: bool,
    /// the type of a section is unknown: it may be any section
    strange: bool,
    /// a check was not read
    pub(super) checks_lost: bool,
    /// a provider was not read
    pub(super) providers_lost: bool,
}

impl<'a> Loading<'a, '_> {
    /// The next section of a kind, and where to continue.
    pub(super) fn next_section(&self, kind: &str, from: &mut usize) -> Option<Section<'a>> {
        loop {
            let section = self.index.section(*from)?;
            *from += 1;
            if section.kind.is(kind) {
                return Some(section);
            }
        }
    }

    /// Reports unknown section types and options.
    fn refuse_unknown(&mut self) {
        for section in self.index.sections() {
            let report = &mut self.report;
            let kind = section.kind;
            match KINDS.iter().find(|known| kind.is(known.name)) {
                Some(known) => {
                    warn_of_additions(&section, known.name, report);
                    let kind = known.name;
                    let mut options = Options {
                        kind,
                        section: &section,
                        report,
                    };
                    options.refuse_unknown(known);
                }
                None => {
                    self.strange = true;
                    let text: Value = kind.text().unwrap_or_default();
                    let near = Hint(nearest(&text, &mut KINDS.iter().map(|kind| kind.name)));
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
        let mut from = 0;
        while let Some(section) = self.next_section("globals", &mut from) {
            if let Some(line) = first {
                self.report.error(
                    section.line,
                    format_args!("a second globals section, besides the one in line {line}: expected one at most"),
                );
                continue;
            }
            first = Some(section.line);
            let mut options = Options {
                kind: "globals",
                section: &section,
                report: &mut self.report,
            };
            super::globals::read(&mut options, self.tables, &mut config.globals);
            let shared = TimingOptions::read(&mut options);
            config.globals.firewall_asked |=
                matches!(shared.connections, Given::Is(value, _) if value != Connections::Off);
            self.timing = Resolver::new(shared);
        }
    }

    fn read_checks(&mut self, config: &mut Config) {
        let (mut from, mut count) = (0, 0);
        while let Some(section) = self.next_section("check", &mut from) {
            count += 1;
            if count > CHECKS_MAX {
                self.report.error(
                    section.line,
                    format_args!("too many checks: expected at most {CHECKS_MAX}"),
                );
                self.checks_lost = true;
                break;
            }
            let mut options = Options {
                kind: "check",
                section: &section,
                report: &mut self.report,
            };
            let mut name = Name::new();
            let named = name_of(&mut options, "all", &mut name);
            match super::check::read(&mut options, name) {
                // It fits: see above.
                Some(check) if named => self.checks_lost |= config.checks.push(check).is_err(),
                _ => self.checks_lost = true,
            }
        }
        if config.checks.is_empty() && !self.checks_lost && !self.sections_lost() {
            let nothing = "no check: expected at least one, as config check 'google' with type ping and target 8.8.8.8";
            self.lacking(config, nothing);
        }
    }

    pub(super) const fn sections_lost(&self) -> bool {
        self.lost || self.strange
    }

    /// Reports what the file lacks. With `option enabled '0'` in globals it is no error, as for the shipped file.
    fn lacking(&mut self, config: &Config, what: &str) {
        if config.globals.enabled {
            self.report.error(1, format_args!("{what}"));
        } else {
            self.report.warning(1, format_args!("{what}"));
        }
    }

    fn read_providers(&mut self, config: &mut Config) {
        let mut from = 0;
        while let Some(section) = self.next_section("provider", &mut from) {
            self.providers += 1;
            if usize::try_from(self.providers).is_ok_and(|count| count > PROVIDERS_MAX) {
                self.report.error(
                    section.line,
                    format_args!("too many providers: expected at most {PROVIDERS_MAX}"),
                );
                self.providers_lost = true;
                break;
            }
            self.read_provider(&section, config);
        }
        if self.providers_lost || self.sections_lost() {
            return;
        }
        if self.providers == 0 {
            let nothing = "no provider: expected at least one, as config provider 'isp1' with option device 'eth1'";
            self.lacking(config, nothing);
        } else if config.enabled().next().is_none() {
            self.lacking(config, "no provider is enabled: expected at least one");
        } else if config.enabled().nth(1).is_none()
            && config.globals.enabled
            && self.report.errors == 0
        {
            self.report.warning(
                1,
                format_args!("only one provider is enabled: there is nothing to fail over to"),
            );
        }
    }

    #[inline(never)] // out of the loop
    fn read_provider(&mut self, section: &Section<'a>, config: &mut Config) {
        let Ok(slot) = u8::try_from(config.providers.len()) else {
            return;
        };
        let mut options = Options {
            kind: "provider",
            section,
            report: &mut self.report,
        };
        let mut read = provider::blank(Slot(slot), self.providers);
        let named = name_of(&mut options, "auto", &mut read.id);
        let enabled = options.boolean("enabled", &mut read.enabled);
        provider::read_device(&mut options, &mut read);
        provider::read_addresses(&mut options, &mut read);
        provider::read_table(&mut options, self.tables, &config.globals, &mut read);
        let ours = config.globals.mark_mask;
        options.set("mark", &mut read.mark, |text| value::mark(text, ours));
        options.boolean("masquerade", &mut read.masquerade);
        provider::read_prefixes(&mut options, read.slot, config);
        read.dns_route = config.globals.dns_route;
        options.boolean("dns_route", &mut read.dns_route);
        provider::read_dns(&mut options, read.slot, config);
        let rank = options.number("rank", 1, RANK_MAX, &mut read.rank);
        let written = self.read_timing(section, &mut read, config);
        if read.enabled {
            let delegated = !config.prefixes_of(&read).is_empty();
            config.globals.firewall_asked |= written.is_some() || read.masquerade || delegated;
            self.compare_table(&mut read, written, &config.globals);
            self.compare_dns(section, &read, config);
        }
        if let Given::Is((), line) = rank {
            self.ranked |= 1 << slot;
            self.compare_rank(&read, line, config);
        }
        // A provider that may be disabled cannot conflict with another.
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

    /// The checks, and the options that follow the profile. Returns the line that says what its connections do.
    fn read_timing(
        &mut self,
        section: &Section<'a>,
        read: &mut Provider,
        config: &Config,
    ) -> Option<u32> {
        let mut options = Options {
            kind: "provider",
            section,
            report: &mut self.report,
        };
        // A check that was refused, or lost, is not reported again as missing.
        let (index, lost) = (&self.index, self.lost);
        let exists = |name: &str| {
            let is_check =
                |section: Section<'_>| !section.kind.is("provider") && !section.kind.is("globals");
            lost || index.with_name(name).is_some_and(is_check)
        };
        let named = provider::read_checks(&mut options, &config.checks, &exists);
        let all = section.get("check").is_none();
        let mut counts: PerFamily<usize> = PerFamily::default();
        // If a name is unknown, any of the checks may be meant.
        read.checks = named.unwrap_or(u32::MAX);
        if named.is_some() {
            for family in Family::ALL {
                let count = config.path_checks(read, family).count();
                if count > PATH_CHECKS_MAX {
                    let line = options.line("check");
                    options.error(
                        line,
                        format_args!("{count} {family} checks of one provider: expected at most {PATH_CHECKS_MAX}, chosen by list check"),
                    );
                }
                // While a check is missing, the number that "all" stands for is unknown.
                let known = !(all && (self.checks_lost || self.lost || self.strange));
                counts[family] = if known { count } else { 0 };
            }
        }
        let own = TimingOptions::read(&mut options);
        read.timing = self.timing.resolve(&own, counts, options.report);
        read.metered = self.timing.is_metered(&own);
        let (connections, line) = self.timing.connections(&own);
        read.connections = connections;
        line
    }

    /// Inserts a provider after those with a better rank.
    fn insert(&mut self, read: Provider, config: &mut Config) {
        let key = |provider: &Provider| (provider.rank, self.ranked & (1 << provider.slot.0) == 0);
        let behind = config
            .providers
            .iter()
            .position(|other| key(other) > key(&read));
        let place = behind.unwrap_or(config.providers.len());
        let full = config.providers.insert(place, read).is_err();
        self.providers_lost |= full; // at most PROVIDERS_MAX are read
    }
}

/// `uci` merges all sections with the same name, so a copied section must be renamed.
fn warn_of_additions(section: &Section<'_>, kind: &str, report: &mut Report<'_>) {
    let Some(name) = section.name else {
        return;
    };
    for line in section.additions() {
        let first = section.line;
        report.warning(
            line,
            format_args!(
                "section {name} begins in line {first} already, and this is added to it: another {kind} needs another name"
            ),
        );
    }
}

/// Sets the section's name; whether it is a valid id.
fn name_of(options: &mut Options<'_, '_, '_>, reserved: &str, place: &mut Name) -> bool {
    let Section { name, line, .. } = *options.section;
    let kind = options.kind;
    let Some(word) = name else {
        options.error(
            line,
            format_args!("a {kind} without a name: expected as in config {kind} 'name'"),
        );
        return false;
    };
    let text: Value = word.text().unwrap_or_default();
    const { assert!(NAME_MAX == 31) };
    let expected = match () {
        () if text == reserved => "the name is reserved, expected another",
        () if !text.is_empty() && place.push_str(&text).is_ok() => return true,
        () => "expected a name of at most 31 bytes",
    };
    options.error(line, format_args!("{kind} {word}: {expected}"));
    false
}

//! The rules between sections, checked once each section is read.

use core::fmt;

use super::load::Loading;
use super::{Check, Config, Connections, Globals, Provider, RtTable};
use crate::limits::{COMMANDS_MAX, SESSIONS_MAX};
use crate::option::problem::Report;
use crate::types::{Family, Metric, Prefix, Slot, TABLE_MAIN};
use crate::uci::{Section, Word};

/// The metric of an IPv6 route that is added without one.
const METRIC_IPV6_DEFAULT: u32 = 1024;

impl Loading<'_, '_> {
    pub(super) fn compare_rank(&mut self, read: &Provider, line: u32, config: &Config) {
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

    /// Reports what no two enabled providers may share.
    pub(super) fn compare_with_others(
        &mut self,
        section: &Section<'_>,
        read: &Provider,
        config: &Config,
    ) {
        for other in config.enabled() {
            let mut pair = Pair {
                section,
                read,
                other,
                report: &mut self.report,
            };
            pair.compare_devices();
            pair.compare_tables();
            pair.compare_marks();
            pair.compare_prefixes(config);
        }
    }

    /// Without a table, nothing leads by the provider but its metric: warns of options that need more.
    pub(super) fn compare_table(
        &mut self,
        read: &mut Provider,
        written: Option<u32>,
        globals: &Globals,
    ) {
        if read.rt_table != RtTable::None {
            return;
        }
        let answers = self.line_in_globals("answers");
        let id = &read.id;
        let mut warn = |line: u32, option: &str, what: &str| {
            self.report.warning(
                line,
                format_args!(
                    "{option} is without effect on provider '{id}', which has rt_table 'none': {what}"
                ),
            );
        };
        if matches!(read.connections, Connections::Stay | Connections::AtMost(_)) {
            read.connections = Connections::Follow;
            if let Some(line) = written {
                warn(line, "connections", "they follow");
            }
        }
        if let Some(line) = answers.filter(|_| globals.answers) {
            warn(line, "answers", "the provider that leads answers");
        }
    }

    /// Warns of resolvers that are not asked through the provider.
    pub(super) fn compare_dns(&mut self, section: &Section<'_>, read: &Provider, config: &Config) {
        let Some(line) = section.get("dns").map(|setting| setting.line) else {
            return;
        };
        let id = &read.id;
        let option = match (read.dns_route, read.rt_table) {
            (false, _) => "dns_route '0'",
            (true, RtTable::None) => "rt_table 'none'",
            _ => "",
        };
        if !option.is_empty() {
            let what = format_args!(
                "dns of provider '{id}' is not routed, with {option}: its resolvers are asked through the provider that leads"
            );
            return self.report.warning(line, what);
        }
        for resolver in config.dns_of(read) {
            let names = |other: &&Provider| config.dns_of(other).any(|named| named == resolver);
            if let Some(Provider { id, .. }) = config.enabled().find(names) {
                let what = format_args!(
                    "dns '{resolver}' is provider '{id}'s, too: it is asked through the provider that leads"
                );
                self.report.warning(line, what);
            }
        }
    }

    /// The line of an option of globals, if it is set.
    fn line_in_globals(&self, option: &str) -> Option<u32> {
        let section = self.next_section("globals", &mut 0)?;
        section.get(option).map(|setting| setting.line)
    }

    /// The rules that need all sections.
    pub(super) fn compare_whole(&mut self, config: &Config) {
        self.compare_metrics(config);
        self.compare_slots(config);
        if self.checks_lost || self.providers_lost || self.sections_lost() {
            return;
        }
        self.warn_of_families(config);
        self.compare_rooms(config);
        let used = config
            .providers
            .iter()
            .fold(0, |used, provider| used | provider.checks);
        for (index, check) in config.checks.iter().enumerate() {
            if used & (1 << index) == 0 && self.providers > 0 {
                let name = &check.name;
                let section = self.index.with_name(name);
                let line = section.map_or(1, |section| section.line);
                self.report
                    .warning(line, format_args!("check '{name}' is used by no provider"));
            }
        }
    }

    /// A family without a check is not managed: warns of providers that have settings for it.
    fn warn_of_families(&mut self, config: &Config) {
        for family in Family::ALL {
            if config.manages(family) || !config.globals.enabled {
                continue;
            }
            for provider in config.enabled() {
                let prefix = config.prefixes_of(provider).first();
                let prefix = prefix.filter(|_| family == Family::V6);
                let prefix = prefix.map(|(_, prefix)| prefix.address().into());
                let (option, value) = match (
                    &provider.gateway[family],
                    &provider.address[family],
                    &prefix,
                ) {
                    (Some(gateway), ..) => ("gateway", gateway),
                    (_, Some(address), _) => ("address", address),
                    (.., Some(prefix)) => ("prefix", prefix),
                    _ => continue,
                };
                let line = self.line_of(&provider.id, option, value.is_ipv6());
                self.report.warning(
                    line,
                    format_args!(
                        "{option} '{value}' is without effect: there is no {family} check, so {family} is left alone; add one with an {family} target"
                    ),
                );
            }
        }
    }

    /// The line of a provider's option, or of its value that is an address of this family.
    fn line_of(&self, id: &str, option: &str, is_ipv6: bool) -> u32 {
        let section = self.index.with_name(id);
        let Some(setting) = section.and_then(|section| section.get(option)) else {
            return 1;
        };
        let colon = |word: Word<'_>| word.bytes().any(|byte| byte == b':');
        let mut values = setting.values();
        let found = values.find(|(word, _)| colon(*word) == is_ipv6);
        found.map_or(setting.line, |(_, line)| line)
    }

    /// Checks that all sessions and commands can run at once: each check has at most one, and in an outage all of them run
    /// until their timeout.
    fn compare_rooms(&mut self, config: &Config) {
        let what = &["tcp, dns and http", "hold", "sessions"];
        self.compare_room(config, &Check::needs_session, what, SESSIONS_MAX);
        let what = &["exec", "run", "commands"];
        self.compare_room(config, &Check::needs_command, what, COMMANDS_MAX);
    }

    fn compare_room(
        &mut self,
        config: &Config,
        counts: &dyn Fn(&Check) -> bool,
        [checks, hold, sessions]: &[&str; 3],
        room: usize,
    ) {
        let (mut providers, mut all) = (0, 0);
        for provider in config.enabled() {
            let checks = config.checks_of(provider);
            let count = checks.filter(|check| counts(check)).count();
            providers += u32::from(count > 0);
            all += count;
        }
        if all > room {
            self.report.warning(
                1,
                format_args!(
                    "the {checks} checks of {providers} providers can {hold} {all} {sessions} at once; there is room for \
                     {room}: in an outage some are not asked; choose fewer for each by list check, or use ping"
                ),
            );
        }
    }

    /// Each provider needs a mark.
    fn compare_slots(&mut self, config: &Config) {
        let (room, providers) = (config.globals.mark_mask.slots(), self.providers);
        if let Some(line) = self.line_in_globals("mark_mask")
            && (1..providers).contains(&room)
        {
            let bits = u32::BITS - providers.leading_zeros() + 1;
            self.report.error(
                line,
                format_args!(
                    "mark_mask has room for {room} providers, of {providers}: expected {bits} bits or more, as 0xff000000"
                ),
            );
        }
    }

    fn compare_metrics(&mut self, config: &Config) {
        let Metric(first) = config.globals.start_metric;
        let line = self.line_in_globals("start_metric").unwrap_or(1);
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

/// A provider that is being read, and one that was read before.
struct Pair<'a, 'p, 'r> {
    section: &'p Section<'a>,
    read: &'p Provider,
    other: &'p Provider,
    report: &'p mut Report<'r>,
}

impl Pair<'_, '_, '_> {
    /// Reports an option whose value the other provider has already.
    fn taken(&mut self, option: &str, value: fmt::Arguments<'_>) {
        let (line, other) = (self.section.line_of(option), &self.other.id);
        self.report.error(
            line,
            format_args!("{option} '{value}' is provider '{other}'s already: expected another"),
        );
    }

    fn compare_devices(&mut self) {
        let (read, other) = (self.read, self.other);
        let (v4, v6) = (&read.device.v4, &read.device.v6);
        for (device, taken) in [(v4, &other.device.v4), (v6, &other.device.v6)] {
            if !device.is_empty() && device == taken {
                let option = if device == v4 { "device" } else { "device6" };
                self.taken(option, format_args!("{device}"));
                break;
            }
        }
        let shared = read
            .interfaces
            .iter()
            .find(|name| other.interfaces.contains(name));
        if let Some(interface) = shared {
            self.taken("interface", format_args!("{interface}"));
        }
    }

    fn compare_tables(&mut self) {
        if let RtTable::Id(table) = self.read.rt_table
            && self.read.rt_table == self.other.rt_table
        {
            self.taken("rt_table", format_args!("{table}"));
        }
    }

    fn compare_marks(&mut self) {
        let (Some(mark), Some(other)) = (self.read.mark, self.other.mark) else {
            return;
        };
        let both_match = (mark.value ^ other.value) & mark.mask & other.mask == 0;
        let shown = format_args!("{:#x}/{:#x}", mark.value, mark.mask);
        if mark == other {
            self.taken("mark", shown);
        } else if both_match {
            self.overlaps("mark", shown);
        }
    }

    fn overlaps(&mut self, option: &str, value: fmt::Arguments<'_>) {
        let (line, id) = (self.section.line_of(option), &self.other.id);
        self.report.warning(
            line,
            format_args!("{option} '{value}' overlaps provider '{id}'s"),
        );
    }

    fn compare_prefixes(&mut self, config: &Config) {
        for (_, one) in config.prefixes_of(self.read) {
            let both = |(_, two): &(Slot, Prefix)| {
                one.contains_addr(&two.address()) || two.contains_addr(&one.address())
            };
            if config.prefixes_of(self.other).iter().any(both) {
                self.overlaps("prefix", format_args!("{one}"));
            }
        }
    }
}

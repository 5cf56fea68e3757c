//! Uplinks → the text of our configuration, within its bounds.

use std::fmt::{Display, Write};

use super::Mwan3;
use super::options::{DEFAULTS, INTERVAL, NONE, OPTIONS, QUORUM, Values};
use super::uplinks::{Interface, Target, Uplink};
use crate::limits::{CHECKS_MAX, NAME_MAX, PROVIDERS_MAX};

/// Connections are asked for so often, in seconds, when the configuration does not say.
const TCP_INTERVAL: u32 = 5;

const HEAD: &str = "by `failover import-mwan3`; it says on stderr what is not carried over.
# To switch over, when `failover check` finds nothing wrong:
#   /etc/init.d/mwan3 stop; /etc/init.d/mwan3 disable
#   /etc/init.d/failover enable; /etc/init.d/failover restart
";
const NOTHING: &str = "no provider comes out that is enabled and has an address of its family to ping (track_ip): disabled";
const NO_CHECK: &str = "nothing to ping (track_ip): add a check of its family";
const ASKED_SO: &str = "nothing to ping (track_ip): asked what the best interface is asked";
const UNCHECKED: &str =
    "nothing to ping (track_ip): online while it is up, if others are checked in its family";
const SECTION: &str = "\nconfig";
const LIST: &str = "\tlist";

/// Where the configuration grows.
struct Text(String);

impl Text {
    fn line(&mut self, start: &str, name: &str, value: &dyn Display) {
        let _ = writeln!(self.0, "{start} {name} '{value}'");
    }

    fn option(&mut self, name: &str, value: &dyn Display) {
        self.line("\toption", name, value);
    }

    /// Those that are not said already.
    fn values(&mut self, values: &Values, said: &Values) {
        for (place, (name, unit, ..)) in OPTIONS.iter().enumerate() {
            match values[place] {
                value if value == said[place] => {}
                NONE => self.option(name, &"none"),
                value => self.option(name, &format_args!("{value}{unit}")),
            }
        }
    }

    fn provider(&mut self, uplink: &Uplink<'_>, common: &Values, checks: &[Target]) {
        self.line(SECTION, "provider", &uplink.id);
        if !uplink.enabled {
            self.option("enabled", &"0");
        }
        for one in &uplink.interfaces {
            self.line(LIST, "interface", &one.section.name);
        }
        self.values(&uplink.values, common);
        // Without a list all of them are meant; one of another family comes to none.
        if uplink.checks != mask(checks, checks) {
            let listed = uplink.checks.max(1);
            for number in (0..checks.len()).filter(|number| listed & 1 << number != 0) {
                self.line(LIST, "check", &check_name(number, checks));
            }
        }
    }

    fn check(&mut self, number: usize, checks: &[Target], uplinks: &[Uplink<'_>]) {
        let Target { address, method } = checks[number];
        let (kind, options) = method;
        self.line(SECTION, "check", &check_name(number, checks));
        self.option("type", &kind);
        self.option("target", &address);
        let names = match kind {
            "tcp" => ["port", "accept_refused"],
            _ => ["size", "ttl"],
        };
        for (name, value) in names.iter().zip(&options) {
            if *value != 0 {
                self.option(name, value);
            }
        }
        let mut interval = TCP_INTERVAL;
        for user in uplinks.iter().filter(|one| one.checks & 1 << number != 0) {
            interval = interval.min(user.values[INTERVAL]);
        }
        if kind == "tcp" && interval < TCP_INTERVAL {
            self.option("interval", &format_args!("{interval}s"));
        }
    }
}

impl Mwan3 {
    /// The text, and whether it is of any use: else it is one that does nothing.
    pub(super) fn written(
        &self,
        file: &str,
        mut uplinks: Vec<Uplink<'_>>,
        last_resort: &str,
    ) -> (String, bool) {
        for uplink in uplinks.get(PROVIDERS_MAX..).unwrap_or_default() {
            self.note(uplink.first(), &"too many interfaces: left out");
        }
        uplinks.truncate(PROVIDERS_MAX);
        let checks = self.checks(&uplinks);
        for place in 0..uplinks.len() {
            self.ask(&mut uplinks, place, &checks);
        }
        let mut asked = uplinks.iter().filter(|uplink| uplink.checks != 0);
        let usable = asked.any(|uplink| uplink.enabled);
        let common = common(&uplinks);
        let mut text = Text(format!("# Made from {file} {HEAD}"));
        text.line(SECTION, "globals", &"globals");
        if !usable {
            self.notes.add(1, &NOTHING);
            let _ = writeln!(text.0, "\t# {NOTHING}");
            text.option("enabled", &"0");
        }
        text.option("last_resort", &last_resort);
        text.values(&common, &DEFAULTS);
        for uplink in &uplinks {
            text.provider(uplink, &common, &checks);
        }
        for number in 0..checks.len() {
            text.check(number, &checks, &uplinks);
        }
        (text.0, usable)
    }

    /// Every target once, those of providers in use first, as many as there may be.
    fn checks(&self, uplinks: &[Uplink<'_>]) -> Vec<Target> {
        let mut checks = Vec::new();
        for enabled in &[true, false] {
            for uplink in uplinks.iter().filter(|uplink| uplink.enabled == *enabled) {
                for one in &uplink.interfaces {
                    for target in &one.targets {
                        if !checks.contains(target) {
                            checks.push(*target);
                        }
                    }
                    if checks.len() > CHECKS_MAX {
                        self.note(one.section, &"too many checks: not all of its are there");
                    }
                    checks.truncate(CHECKS_MAX);
                }
            }
        }
        checks
    }

    /// Gives an uplink the checks that its interfaces name, or else those of the first uplink that has any of its family.
    fn ask(&self, uplinks: &mut [Uplink<'_>], place: usize, checks: &[Target]) {
        let uplink = &uplinks[place];
        let (mut asked, mut quorum) = (0, uplink.values[QUORUM]);
        for one in &uplink.interfaces {
            let own = mask(checks, &one.targets);
            asked |= own;
            if own != 0 {
                quorum = quorum.min(own.count_ones());
            }
        }
        if asked == 0 {
            quorum = quorum.min(1);
            let family = uplink.interfaces[0].family;
            for other in &*uplinks {
                for one in &other.interfaces {
                    if asked == 0 && one.family == family {
                        asked = mask(checks, &one.targets);
                    }
                }
            }
            let what = if asked == 0 { NO_CHECK } else { ASKED_SO };
            self.note(uplink.first(), &what);
        } else {
            let bare = |one: &&Interface<'_>| one.targets.is_empty();
            for one in uplink.interfaces.iter().filter(bare) {
                self.note(one.section, &UNCHECKED);
            }
        }
        uplinks[place].checks = asked;
        uplinks[place].values[QUORUM] = quorum;
    }
}

/// Those of the checks that ask these targets.
fn mask(checks: &[Target], targets: &[Target]) -> u32 {
    const { assert!(CHECKS_MAX <= 32) };
    let mut bits = 0;
    for (number, target) in checks.iter().enumerate() {
        bits |= u32::from(targets.contains(target)) << number;
    }
    bits
}

/// As type and target, if that is not too long, and no other check's.
fn check_name(number: usize, checks: &[Target]) -> String {
    let name = plain_name(&checks[number]);
    let mut earlier = checks[..number].iter();
    if name.len() > NAME_MAX || earlier.any(|other| plain_name(other) == name) {
        return format!("{}_{number}", checks[number].method.0);
    }
    name
}

fn plain_name(Target { address, method }: &Target) -> String {
    format!("{}_{address}", method.0)
        .replace('.', "_")
        .replace(':', "_")
}

/// What most providers have, each value by itself; of equals that of the first in rank.
fn common(uplinks: &[Uplink<'_>]) -> Values {
    let mut common = DEFAULTS;
    for (place, common) in common.iter_mut().enumerate() {
        let mut most = 0;
        for value in uplinks.iter().map(|one| one.values[place]) {
            let alike = uplinks.iter().filter(|one| one.values[place] == value);
            let count = alike.count();
            if count > most {
                (most, *common) = (count, value);
            }
        }
    }
    common
}

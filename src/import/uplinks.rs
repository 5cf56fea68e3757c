//! Interfaces → uplinks: what mwan3 tracks, by our measures. An interface of IPv4 and one of IPv6 on the same device are one
//! uplink.

use std::mem::swap;
use std::net::IpAddr;

use super::Mwan3;
use super::options::Values;
use super::order::{NOWHERE, Place};
use super::sections::{Section, device};
use crate::limits::{NAME_MAX, PATH_CHECKS_MAX};
use crate::option::value;
use crate::types::Family;
use crate::wire::icmp::{PAYLOAD_LEN, PAYLOAD_MAX};

/// What becomes a provider.
pub(super) struct Uplink<'a> {
    pub(super) id: String,
    pub(super) enabled: bool,
    /// one, or that of IPv4 and that of IPv6; the settings of the first count
    pub(super) interfaces: Vec<Interface<'a>>,
    pub(super) values: Values,
    /// one bit per check that comes out
    pub(super) checks: u32,
    /// a second interface was found for it
    joined: bool,
}

/// One interface of netifd's in one family, as mwan3 knows it.
pub(super) struct Interface<'a> {
    pub(super) section: &'a Section,
    pub(super) family: Family,
    /// see [`device`]; none when it is not known
    device: Option<String>,
    pub(super) targets: Vec<Target>,
    /// its place in the policy of its family, or [`NOWHERE`]
    pub(super) place: Place,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Target {
    pub(super) address: IpAddr,
    pub(super) method: Method,
}

/// How it is asked: the type of a check, and the values of two options: of `ping` size and ttl, of `tcp` port and
/// accept_refused. Those that are 0 are not given.
pub(super) type Method = (&'static str, [u32; 2]);

/// mwan3's methods of tracking besides pings, the types of check that they become in IPv4 and in IPv6, and the options.
const METHODS: [(&str, [&str; 2], [u32; 2]); 5] = [
    ("nping-icmp", ["ping", "ping"], [0, 0]),
    ("arping", ["arp", "ndp"], [0, 0]),
    ("nping-arp", ["arp", "ndp"], [0, 0]),
    // nping's own port; a refusal is an answer to it.
    ("nping-tcp", ["tcp", "tcp"], [80, 1]),
    // Whatever the server answers is good there; here one page has one status.
    ("httping", ["tcp", "tcp"], [80, 0]),
];
/// The names of the checks that come out begin so: with their type.
const CHECKS: [&str; 4] = ["ping_", "tcp_", "arp_", "ndp_"];
const FAMILY: &str = "expected ipv4 or ipv6: here it is ipv4";
const HTTP: &str = "asked for a connection to port 80: a check of `type 'http'` asks for a page, if you know its status";
const HTTPS: &str = "asked for a connection to port 443: a check of `type 'exec'` asks for a page";
const PINGS: &str = "pings are sent instead: a check of `type 'exec'` runs any other program";
const SAME_DEVICE: &str = "they have the same device";
const SAME_STEM: &str = "their names say so; make two of it if their devices differ";

impl<'a> Uplink<'a> {
    pub(super) fn first(&self) -> &'a Section {
        self.interfaces[0].section
    }

    /// That of the first interface that has one.
    pub(super) fn place(&self) -> Place {
        let mut places = self.interfaces.iter().map(|one| one.place);
        places.find(|place| *place != NOWHERE).unwrap_or(NOWHERE)
    }

    fn shares_device(&self, other: &Uplink<'_>) -> bool {
        let is = |one: &Interface<'_>| {
            let mut others = other.interfaces.iter();
            one.device.is_some() && others.any(|other| other.device == one.device)
        };
        self.enabled && other.enabled && self.interfaces.iter().any(is)
    }

    /// Why two uplinks of one interface each are one.
    fn same(&self, other: &Uplink<'_>) -> Option<&'static str> {
        let (one, other) = (&self.interfaces[0], &other.interfaces[0]);
        let (same, why) = match (&one.device, &other.device) {
            (Some(one), Some(other)) => (one == other, SAME_DEVICE),
            _ => (one.stem() == other.stem(), SAME_STEM),
        };
        (!self.joined && one.family != other.family && same).then_some(why)
    }
}

impl Interface<'_> {
    /// `wan6`, `wan_6` and `wan_4` belong to `wan`.
    fn stem(&self) -> &str {
        let name = &self.section.name;
        let endings: &[&str] = match self.family {
            Family::V4 => &["_4"],
            Family::V6 => &["_v6", "v6", "_6", "6"],
        };
        let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
        stem.unwrap_or(name)
    }
}

impl Mwan3 {
    /// Joins the interfaces that are to be, in the order of the file.
    pub(super) fn uplinks(&self) -> Vec<Uplink<'_>> {
        let mut uplinks: Vec<Uplink<'_>> = Vec::new();
        let interfaces = self.of_kind("interface");
        for uplink in interfaces.filter_map(|section| self.uplink(section)) {
            let same = |other: &Uplink<'_>| other.same(&uplink).is_some();
            match uplinks.iter().position(same) {
                Some(place) => self.join(&mut uplinks[place], uplink),
                None => uplinks.push(uplink),
            }
        }
        for place in 0..uplinks.len() {
            let (earlier, later) = uplinks.split_at_mut(place);
            let uplink = &mut later[0];
            uplink.id = self.id(uplink.first(), earlier);
            for other in earlier.iter().filter(|one| uplink.shares_device(one)) {
                let what = format_args!(
                    "has the device of '{}'; of two providers on one device, one waits",
                    other.id
                );
                self.note(uplink.first(), &what);
            }
        }
        uplinks
    }

    /// Makes one of two; one that is disabled while the other is not is left out.
    fn join<'a>(&self, uplink: &mut Uplink<'a>, mut other: Uplink<'a>) {
        let why = uplink.same(&other).unwrap_or_default();
        let v6_first = uplink.interfaces[0].family == Family::V6;
        if (other.enabled, v6_first) > (uplink.enabled, !v6_first) {
            swap(uplink, &mut other);
        }
        uplink.joined = true;
        let (name, second) = (&uplink.first().name, other.first());
        if uplink.enabled != other.enabled {
            let what = format_args!(
                "disabled: left out of provider '{name}'; `list interface` and checks of its family bring it in"
            );
            return self.note(second, &what);
        }
        self.note(second, &format_args!("one provider with '{name}': {why}"));
        if uplink.values != other.values {
            let what =
                format_args!("a provider has one timing, and one quorum: that of '{name}' counts");
            self.note(second, &what);
        }
        uplink.interfaces.append(&mut other.interfaces);
    }

    /// The interface's name, unless our configuration needs it for something else.
    fn id(&self, first: &Section, earlier: &[Uplink<'_>]) -> String {
        let is_check = CHECKS.iter().any(|kind| first.name.starts_with(kind));
        let is_long = first.name.len() > NAME_MAX;
        if !["auto", "globals"].contains(&&*first.name) && !is_check && !is_long {
            return first.name.clone();
        }
        let is_free = |id: &String| {
            self.find("interface", id).is_none() && earlier.iter().all(|other| other.id != *id)
        };
        let mut ids = (1_u32..).map(|number| format!("uplink{number}"));
        let id = ids.find(is_free).unwrap_or_default();
        let what = format_args!("the name is reserved or too long: the provider is '{id}'");
        self.note(first, &what);
        id
    }

    /// Of one interface; none when netifd has no interface of such a name.
    fn uplink<'a>(&self, section: &'a Section) -> Option<Uplink<'a>> {
        if let Err(expected) = value::interface(&section.name) {
            self.note(section, &format_args!("{expected}: left out"));
            return None;
        }
        let family = match section.value("family") {
            "ipv6" => Family::V6,
            _ => Family::V4,
        };
        if section.value("family") != family.name() {
            self.note_option(section, "family", &FAMILY);
        }
        let method = self.method(section, family);
        let targets = self.targets(section, family, method);
        Some(Uplink {
            id: String::new(),
            // As mwan3 has it, an interface is enabled only where the file says so.
            enabled: section.is_on("enabled"),
            values: self.values(section, method.0, targets.iter().map(|_| 1).sum()),
            interfaces: vec![Interface {
                section,
                family,
                device: device(&section.name, &self.network),
                targets,
                place: NOWHERE,
            }],
            checks: 0,
            joined: false,
        })
    }

    /// The addresses to ask, each once.
    fn targets(&self, section: &Section, family: Family, method: Method) -> Vec<Target> {
        let mut targets = Vec::new();
        for (line, word) in section.words("track_ip") {
            let why = match value::address(word).map(|address| Target { address, method }) {
                Ok(target) if Family::of(target.address) != family => "of the other family",
                Ok(target) if targets.contains(&target) => continue,
                Ok(_) if targets.len() == PATH_CHECKS_MAX => "a path has at most 8 checks",
                Ok(target) => {
                    targets.push(target);
                    continue;
                }
                Err(expected) => expected,
            };
            let what = format_args!("{why}: left out");
            self.note_value(section, (line, "track_ip", word), &what);
        }
        targets
    }

    fn method(&self, section: &Section, family: Family) -> Method {
        let name = section.value("track_method");
        let Some((_, kinds, values)) = METHODS.iter().find(|(theirs, ..)| *theirs == name) else {
            let method = self.ping(section);
            if name != "ping" {
                self.note_option(section, "track_method", &PINGS);
            }
            return method;
        };
        let mut method = (kinds[family as usize], *values);
        if name == "httping" {
            let is_https = section.is_on("httping_ssl");
            let (port, what) = if is_https { (443, HTTPS) } else { (80, HTTP) };
            method.1[0] = port;
            self.note_option(section, "track_method", &what);
        }
        method
    }

    /// mwan3's own size and time to live were not chosen by the user.
    fn ping(&self, section: &Section) -> Method {
        let chosen = |name, usual: u32, least: u32, most: u32| {
            let given = value::number(&section.setting(name)?.value);
            if given.is_none_or(|given| given != usual && !(least..=most).contains(&given)) {
                let what = format_args!("expected a number from {least} to {most}: left out");
                self.note_option(section, name, &what);
                return None;
            }
            given.filter(|given| *given != usual)
        };
        let size = chosen("size", 56, PAYLOAD_LEN.into(), PAYLOAD_MAX.into());
        let ttl = chosen("max_ttl", 60, 1, 255);
        ("ping", [size.unwrap_or(0), ttl.unwrap_or(0)])
    }
}

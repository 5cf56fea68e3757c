//! What the kernel has in one family: rules, routes, links, addresses, and its answers to questions. One `ip` reads it all.

use serde_json::Value;

use super::super::OURS;
use super::super::lab::{Family, Lab};

/// What one family has.
pub(super) struct Picture {
    /// in their order
    pub(super) rules: Vec<Rule>,
    pub(super) routes: Vec<Route>,
    pub(super) links: Vec<Link>,
    /// by question; none: the target is unreachable
    pub(super) answers: Vec<Option<Way>>,
}

/// A rule: its preference, what it selects and does, as `from all lookup 254`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) pref: u32,
    pub(super) ours: bool,
    pub(super) text: String,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) table: u32,
    pub(super) destination: String,
    /// IPv6: for packets from this prefix only
    pub(super) from: Option<String>,
    pub(super) metric: u32,
    pub(super) protocol: u32,
    pub(super) unicast: bool,
    pub(super) source: Option<String>,
    pub(super) ways: Vec<Way>,
}

/// By which device, by which gateway, from which address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) device: String,
    pub(super) gateway: Option<String>,
    pub(super) source: Option<String>,
    pub(super) onlink: bool,
}

/// A device, with its addresses of this family, in the kernel's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) up: bool,
    pub(super) carrier: bool,
    pub(super) ethernet: bool,
    pub(super) point_to_point: bool,
    pub(super) addresses: Vec<Address>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) own: String,
    pub(super) length: u32,
    pub(super) peer: bool,
    /// of link scope
    pub(super) near: bool,
    /// neither tentative nor a duplicate
    pub(super) usable: bool,
}

impl Picture {
    /// Reads it, and asks these questions: the words after `ip route get`.
    pub(super) fn take(lab: &Lab, family: Family, questions: &[String]) -> Picture {
        let mut lines = "rule show\nroute show table all\nlink show\naddr show\n".to_owned();
        for question in questions {
            lines += &format!("route get {question}\n");
        }
        let option = if family == Family::V4 { "-4" } else { "-6" };
        let command = [
            "ip", "-json", "-details", "-Numeric", "-force", option, "-batch", "-",
        ];
        let output = lab.router.fed(&command, &lines);
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        let failed = |number: usize| complaints.contains(&format!("Command failed -:{number}\n"));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut said = said.lines().filter(|line| !line.is_empty());
        let mut told = (1..).map(|number| match failed(number) {
            true => Vec::new(),
            false => serde_json::from_str(said.next().unwrap_or_default()).unwrap_or_default(),
        });
        let mut next = || -> Vec<Value> { told.next().unwrap_or_default() };
        let (rules, routes, links, addresses) = (next(), next(), next(), next());
        let answer = |found: Vec<Value>| found.first().map(way);
        Picture {
            rules: rules.iter().map(rule).collect(),
            routes: routes.iter().map(route).collect(),
            links: links.iter().map(|found| link(found, &addresses)).collect(),
            answers: questions.iter().map(|_| answer(next())).collect(),
        }
    }

    pub(super) fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The default routes of others in a table.
    pub(super) fn foreign(&self, table: u32) -> impl Iterator<Item = &Route> {
        let defaults = self.routes.iter().filter(|r| r.destination == "default");
        defaults.filter(move |r| r.table == table && r.protocol != OURS)
    }

    /// Whether a rule of others before this preference does this for all packets.
    pub(super) fn has_before(&self, pref: u32, text: &str) -> bool {
        let mut foreign = self.rules.iter().filter(|rule| !rule.ours);
        foreign.any(|rule| rule.pref < pref && rule.text == text)
    }
}

fn rule(found: &Value) -> Rule {
    let mut text = match (word(found, "src"), number(found, "srclen")) {
        (Some(source), Some(length)) => format!("from {source}/{length}"),
        (source, _) => format!("from {}", source.unwrap_or("all".to_owned())),
    };
    if found.get("not").is_some() {
        text = format!("not {text}");
    }
    if let Some(target) = word(found, "dst") {
        text += &format!(" to {target}");
    }
    if let Some(mark) = word(found, "fwmark") {
        text += &format!(" fwmark {mark}");
        text += &word(found, "fwmask").map_or_else(String::new, |mask| format!("/{mask}"));
    }
    for selector in ["iif", "oif"] {
        if let Some(device) = word(found, selector) {
            text += &format!(" {selector} {device}");
        }
    }
    if let Some(table) = number(found, "table") {
        text += &format!(" lookup {table}");
    }
    if let Some(length) = number(found, "suppress_prefixlen") {
        text += &format!(" suppress_prefixlength {length}");
    }
    if let Some(target) = number(found, "goto") {
        text += &format!(" goto {target}");
    } else if let Some(action) = word(found, "action") {
        text += &format!(" action {action}");
    }
    Rule {
        pref: number(found, "priority").unwrap_or(0),
        ours: number(found, "protocol") == Some(OURS),
        text,
    }
}

fn route(found: &Value) -> Route {
    let several = found["nexthops"].as_array();
    let ways = match several {
        Some(several) => several.iter().map(way).collect(),
        None => vec![way(found)],
    };
    Route {
        table: number(found, "table").unwrap_or(254),
        destination: word(found, "dst").unwrap_or_default(),
        from: word(found, "from"),
        metric: number(found, "metric").unwrap_or(0),
        protocol: number(found, "protocol").unwrap_or(0),
        unicast: number(found, "type").is_none_or(|kind| kind == 1),
        source: word(found, "prefsrc"),
        ways,
    }
}

fn way(found: &Value) -> Way {
    let flags = found["flags"].as_array().into_iter().flatten();
    Way {
        device: word(found, "dev").unwrap_or_default(),
        gateway: word(found, "gateway").or_else(|| word(&found["via"], "host")),
        source: word(found, "prefsrc"),
        onlink: flags.into_iter().any(|flag| flag == "onlink"),
    }
}

/// `ip addr` leaves out links without an address of the family.
fn link(found: &Value, addresses: &[Value]) -> Link {
    let flags = found["flags"].as_array().into_iter().flatten();
    let flags: Vec<&str> = flags.filter_map(Value::as_str).collect();
    let flag = |name: &str| flags.contains(&name);
    let same = addresses
        .iter()
        .filter(|other| other["ifindex"] == found["ifindex"]);
    let addresses = same
        .filter_map(|other| other["addr_info"].as_array())
        .flatten();
    Link {
        name: word(found, "ifname").unwrap_or_default(),
        up: flag("UP"),
        carrier: flag("LOWER_UP"),
        ethernet: word(found, "link_type").is_some_and(|kind| kind == "ether" || kind == "[1]"),
        point_to_point: flag("POINTOPOINT"),
        addresses: addresses
            .map(|address| Address {
                own: word(address, "local").unwrap_or_default(),
                length: number(address, "prefixlen").unwrap_or(0),
                peer: address.get("address").is_some(),
                near: number(address, "scope").is_some_and(|scope| scope >= 253),
                usable: address.get("dadfailed").is_none() && address.get("tentative").is_none(),
            })
            .collect(),
    }
}

fn word(found: &Value, field: &str) -> Option<String> {
    Some(found.get(field)?.as_str()?.to_owned())
}

/// `ip` prints some numbers as strings.
fn number(found: &Value, field: &str) -> Option<u32> {
    let value = found.get(field)?;
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.or_else(|| value.as_str()?.parse().ok())
}

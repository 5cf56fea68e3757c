//! The kernel's routes and rules, read by `ip -json`, independent of the daemon.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::namespace::Namespace;
use super::topology::Family;

/// One route. Numbers, not names: protocol 176 is the daemon's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `default`, or a prefix
    pub dst: String,
    /// the gateway
    pub via: Option<String>,
    /// the device; none for a multipath route, or one that refuses
    pub dev: Option<String>,
    /// the metric; 0 if there is none
    pub metric: u32,
    /// the program that made it
    pub protocol: u32,
    /// the preferred source address
    pub src: Option<String>,
    /// `unicast`, `unreachable` …
    pub kind: String,
    /// as `onlink`, `linkdown`
    pub flags: Vec<String>,
}

/// One policy rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// its preference
    pub pref: u32,
    /// the program that made it
    pub protocol: u32,
    /// `all`, or a source address
    pub src: String,
    /// the mark with its mask, as `0x100/0xff00`
    pub fwmark: Option<String>,
    /// the device that a socket is bound to
    pub oif: Option<String>,
    /// the table to look the route up in
    pub table: Option<u32>,
    /// `suppress_prefixlength`
    pub suppress_prefixlength: Option<u32>,
    /// the action if it is not a table lookup, as `unreachable`
    pub action: Option<String>,
}

impl Namespace {
    /// The routes of a table, in the kernel's order. A table that does not exist is empty.
    pub fn routes(&self, family: Family, table: u32) -> Vec<Route> {
        let table = table.to_string();
        let found = self.ip_json(family, &["route", "show", "table", &table]);
        found.iter().map(route).collect()
    }

    /// The default routes of a table, lowest metric first.
    pub fn defaults(&self, family: Family, table: u32) -> Vec<Route> {
        let mut routes = self.routes(family, table);
        routes.retain(|route| route.dst == "default");
        routes.sort_by_key(|route| route.metric);
        routes
    }

    /// The device of the default route with the lowest metric.
    pub fn leader(&self, family: Family, table: u32) -> Option<String> {
        self.defaults(family, table).into_iter().next()?.dev
    }

    /// Whether a device can send.
    pub fn is_up(&self, device: &str) -> bool {
        let output = self.output(&["ip", "-json", "link", "show", device]);
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let state = found.first().and_then(|link| text(link, "operstate"));
        // A point-to-point device has no such state.
        state.is_some_and(|state| matches!(state.as_str(), "UP" | "UNKNOWN"))
    }

    /// The policy rules, in order.
    pub fn rules(&self, family: Family) -> Vec<Rule> {
        self.ip_json(family, &["rule", "show"])
            .iter()
            .map(rule)
            .collect()
    }

    /// The device that the kernel would use for a target: `ip route get` with further words, as `["mark", "0x100"]`. None
    /// if the target is unreachable.
    pub fn way(&self, target: &str, words: &[&str]) -> Option<String> {
        let mut command = vec!["ip", "-json", "route", "get", target];
        command.extend(words);
        let output = self.output(&command);
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
        text(found.first()?, "dev")
    }

    fn ip_json(&self, family: Family, words: &[&str]) -> Vec<Value> {
        let family = if family == Family::V4 { "-4" } else { "-6" };
        let mut command = vec!["ip", "-json", "-details", "-Numeric", family];
        command.extend(words);
        let said = self.output(&command).stdout;
        serde_json::from_slice(&said).unwrap_or_default()
    }
}

fn route(found: &Value) -> Route {
    let flags = found["flags"].as_array().map(Vec::as_slice);
    Route {
        dst: text(found, "dst").unwrap_or_default(),
        via: text(found, "gateway").or_else(|| text(&found["via"], "host")),
        dev: text(found, "dev"),
        metric: number(found, "metric").unwrap_or(0),
        protocol: number(found, "protocol").unwrap_or(0),
        src: text(found, "prefsrc"),
        kind: kind(found, "type").unwrap_or_else(|| "unicast".to_owned()),
        flags: flags
            .unwrap_or_default()
            .iter()
            .filter_map(|f| Some(f.as_str()?.to_owned()))
            .collect(),
    }
}

fn rule(found: &Value) -> Rule {
    let mask = |mark: String| match text(found, "fwmask") {
        Some(mask) => format!("{mark}/{mask}"),
        None => mark,
    };
    let length = number(found, "srclen");
    let src = text(found, "src").unwrap_or_else(|| "all".to_owned());
    Rule {
        pref: number(found, "priority").unwrap_or(0),
        protocol: number(found, "protocol").unwrap_or(0),
        src: length.map_or_else(|| src.clone(), |length| format!("{src}/{length}")),
        fwmark: text(found, "fwmark").map(mask),
        oif: text(found, "oif"),
        table: number(found, "table"),
        suppress_prefixlength: number(found, "suppress_prefixlen"),
        action: kind(found, "action"),
    }
}

/// The name of a route's type, or of a rule's action: see `RTN_*` and `FR_ACT_*` in the kernel's headers.
fn kind(found: &Value, field: &str) -> Option<String> {
    Some(match number(found, field) {
        Some(1) => "unicast".to_owned(),
        Some(6) => "blackhole".to_owned(),
        Some(7) => "unreachable".to_owned(),
        Some(8) => "prohibit".to_owned(),
        _ => text(found, field)?,
    })
}

fn text(found: &Value, field: &str) -> Option<String> {
    Some(found.get(field)?.as_str()?.to_owned())
}

/// `ip` prints some numbers as strings.
fn number(found: &Value, field: &str) -> Option<u32> {
    let value = found.get(field)?;
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.or_else(|| value.as_str()?.parse().ok())
}

/// Polls until the condition holds. False on timeout.
pub fn wait_until(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + timeout;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

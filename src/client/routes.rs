//! `routes`: our rules and routes as the kernel has them now, in the order in which it looks them up, and what each is for.
//! Needs no daemon, and no rights.

mod purpose;

use std::fmt::{Display, Write};
use std::path::Path;

use crate::client::cli::Exit;
use crate::client::text::{WIDTH, pad, plain, wrap};
use crate::client::{complain, print, settings, state_dir};
use crate::config::{Config, Provider};
use crate::linux::clock::boot_id;
use crate::linux::connection::ask;
use crate::linux::file::saved_state::{self, Loaded};
use crate::linux::netfilter::Netfilter;
use crate::linux::netlink::Requests;
use crate::routing::asked::{self, Answer, Question};
use crate::routing::layout::pref;
use crate::routing::mirror::{self, Kinds, Object};
use crate::routing::objects::{Route, RouteKind, Rule, RuleVerdict, Selector};
use crate::types::{
    DeviceName, Family, Fault, Name, PROTOCOL, Slot, TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN,
};
use crate::wire::control::Request;
use crate::wire::saved_state::Record;

/// The column of what something is for.
const WHY: usize = 48;
/// Before what belongs to no preference.
const INDENT: &str = "       ";
/// The protocol of the kernel's own rules (`RTPROT_KERNEL`, linux/rtnetlink.h).
const KERNEL: u8 = 2;

/// `routes`
pub fn routes(file: &Path) -> Exit {
    let config = match settings(file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut requests = match Requests::open() {
        Ok(requests) => requests,
        Err(error) => return unread(&error),
    };
    let mut out = String::new();
    match render(&mut out, &config, &mut requests) {
        Ok(()) => print(&out),
        Err(fault) => unread(&fault),
    }
}

fn unread(error: &dyn Display) -> Exit {
    let text = format_args!("the kernel's routes cannot be read: {error}");
    complain(Exit::Bug, &text)
}

fn render(out: &mut String, config: &Config, requests: &mut Requests) -> Result<(), Fault> {
    let mut view = View {
        config,
        names: names(config),
        devices: Vec::new(),
        rules: Vec::new(),
        routes: Vec::new(),
    };
    view.take(requests, Kinds::LINKS, Family::V4)?;
    for &family in &Family::ALL {
        view.rules.clear();
        view.routes.clear();
        view.take(requests, Kinds::RULES, family)?;
        view.take(requests, Kinds::routes(family), family)?;
        if view.has_ours() {
            let _ = writeln!(out, "{family}: the rules, in the order of a look-up");
            view.show_rules(out);
            view.show_tables(out);
        } else {
            let _ = writeln!(out, "{family}: no rule or route of ours");
        }
        let way = view.way(requests, family);
        wrap(out, "", &way);
        out.push('\n');
    }
    let state = match Netfilter::new().table_digest() {
        Ok(Some(digest)) => format!("marks connections by their provider (digest {digest:08x})"),
        Ok(None) => "is not there: connections have no provider".to_owned(),
        Err(Fault::NotPermitted) => "is shown to root only".to_owned(),
        Err(fault) => format!("is not there: {fault}"),
    };
    wrap(out, "", &format!("nftables: table inet failover {state}"));
    Ok(())
}

/// The providers by slot: the daemon knows them; else those of its last run. None: neither may be asked.
fn names(config: &Config) -> Vec<(Slot, Name)> {
    let mut names = Vec::new();
    if let Ok(answer) = ask(state_dir(config), &Request::Status) {
        for provider in &answer.providers {
            names.push((provider.head.slot, provider.head.id.clone()));
        }
    }
    if names.is_empty()
        && let Ok(boot) = boot_id()
        && let Loaded::Saved(saved) = saved_state::read(&config.globals.state_dir, boot)
    {
        for record in saved.records() {
            if let Record::Provider { id, slot, .. } = record
                && let Ok(id) = id.try_into()
            {
                names.push((slot, id));
            }
        }
    }
    names
}

/// What the kernel has, of one family at a time, and what is known besides.
struct View<'a> {
    config: &'a Config,
    names: Vec<(Slot, Name)>,
    /// by their numbers
    devices: Vec<(u32, DeviceName)>,
    /// in the order in which they are asked
    rules: Vec<Rule>,
    /// ours, and default routes
    routes: Vec<Route>,
}

impl View<'_> {
    fn take(&mut self, requests: &mut Requests, kind: Kinds, family: Family) -> Result<(), Fault> {
        for object in requests.all(kind, family)? {
            match object {
                Object::Link(link) => self.devices.push((link.index, link.name)),
                Object::Rule(rule) => self.rules.push(rule),
                Object::Route(route, _) if mirror::family(&route) == family => {
                    self.routes.push(route);
                }
                Object::Route(..) | Object::Address(_) => {}
            }
        }
        Ok(())
    }

    fn has_ours(&self) -> bool {
        self.rules.iter().any(is_ours) || self.routes.iter().any(|r| r.protocol == PROTOCOL)
    }

    fn show_rules(&self, out: &mut String) {
        let goto = |rule: &Rule| is_ours(rule) && matches!(rule.verdict, RuleVerdict::Goto(_));
        let from = self.rules.iter().find(|rule| goto(rule));
        let from = from.map_or(pref::ANCHOR, |rule| rule.pref);
        for rule in &self.rules {
            let why = match rule.protocol {
                PROTOCOL => self.purpose(rule),
                KERNEL => "the kernel's".to_owned(),
                _ => "not ours".to_owned(),
            };
            let is_skipped = rule.pref > from && rule.pref < pref::ANCHOR;
            let skipped = if is_skipped { ", jumped over" } else { "" };
            let first = format!("{:>5}  ", rule.pref);
            line(out, &first, &self.rule(rule), &(why + skipped));
        }
    }

    fn purpose(&self, rule: &Rule) -> String {
        let (text, slot) = purpose::of(rule, self.config.globals.rule_pref);
        let slot = slot.or_else(|| self.slot_of_table(table_of(rule)?));
        text.replace('%', &self.id(slot))
    }

    fn rule(&self, rule: &Rule) -> String {
        let mut text = match &rule.selector {
            Selector::All => String::new(),
            Selector::Mark(mark) => format!("fwmark {:#x}/{:#x} ", mark.value, mark.mask),
            Selector::From(prefix) => format!("from {prefix} "),
            Selector::OwnFrom(prefix) => format!("iif lo from {prefix} "),
            Selector::OwnTo(prefix) => format!("iif lo to {prefix} "),
            Selector::Oif(device) => format!("oif {device} "),
            _ => "some packets: ".to_owned(),
        };
        match rule.verdict {
            RuleVerdict::Lookup(table) | RuleVerdict::LookupSpecific(table) => {
                text += "lookup ";
                text += &table_name(table);
                if matches!(rule.verdict, RuleVerdict::LookupSpecific(_)) {
                    text += " suppress_prefixlength 0";
                }
            }
            RuleVerdict::Goto(target) => {
                let _ = write!(text, "goto {target}");
                if !self.rules.iter().any(|rule| rule.pref == target) {
                    text += " (unresolved)";
                }
            }
            RuleVerdict::Unreachable => text += "unreachable",
            RuleVerdict::Foreign => text += "something else",
        }
        text
    }

    /// The tables with routes of ours, in the order in which rules look them up.
    fn show_tables(&self, out: &mut String) {
        let mut shown: Vec<u32> = Vec::new();
        let looked_up = self.rules.iter().filter_map(table_of);
        for table in looked_up.chain(self.routes.iter().map(|route| route.table)) {
            let routes = || self.routes.iter().filter(move |route| route.table == table);
            let concerns = table == TABLE_MAIN || routes().any(|r| r.protocol == PROTOCOL);
            if shown.contains(&table) || !concerns || routes().next().is_none() {
                continue;
            }
            shown.push(table);
            let (name, what) = (table_name(table), self.table(table));
            let _ = writeln!(out, "table {name}: {what}");
            let mut leads = table == self.config.globals.table;
            for route in routes().filter(|route| route.kind != RouteKind::Hop) {
                let mut why = match route.protocol {
                    PROTOCOL => self.id(self.slot_of_device(route.device)),
                    _ => "not ours".to_owned(),
                };
                if leads {
                    why += " leads";
                }
                leads = false;
                line(out, INDENT, &self.route(route), &why);
            }
        }
    }

    fn table(&self, table: u32) -> String {
        match table {
            _ if table == self.config.globals.table => "the providers, best first".to_owned(),
            TABLE_MAIN => "its default routes".to_owned(),
            _ => self.id(self.slot_of_table(table)),
        }
    }

    fn route(&self, route: &Route) -> String {
        let mut text = match route.destination.prefix_len() {
            0 => "default".to_owned(),
            _ => route.destination.to_string(),
        };
        if let Some(from) = &route.from {
            let _ = write!(text, " from {from}");
        }
        match route.kind {
            RouteKind::Unicast => {}
            RouteKind::Throw => text += " leaves it to the next rule",
            RouteKind::Other => text += " refuses",
            _ => text += " by several ways, or a nexthop object",
        }
        if let Some(gateway) = &route.gateway {
            let _ = write!(text, " via {gateway}");
        }
        if route.device != 0 {
            let _ = write!(text, " dev {}", self.device(route.device));
        }
        if let Some(source) = &route.source {
            let _ = write!(text, " src {source}");
        }
        let _ = write!(text, " metric {}", route.metric);
        text
    }

    /// By which route the router's own packets to the Internet leave now.
    fn way(&self, requests: &mut Requests, family: Family) -> String {
        for target in asked::candidates(self.config, family) {
            let question = Question {
                target,
                source: None,
            };
            match requests.ask(question) {
                Ok(answer) if answer.is_covered(family) => {}
                Ok(Answer::By(way)) => {
                    let (device, table) = (self.device(way.device), table_name(way.table));
                    let by = match self.slot_of_device(way.device) {
                        None => format!("{device} (table {table})"),
                        slot => format!("{} ({device}, table {table})", self.id(slot)),
                    };
                    return format!("now: the router reaches {target} by {by}");
                }
                Ok(Answer::Refused(fault)) | Err(fault) => {
                    return format!("now: the router does not reach {target}: {fault}");
                }
            }
        }
        String::new()
    }

    fn id(&self, slot: Option<Slot>) -> String {
        let known = self.names.iter().find(|(known, _)| Some(*known) == slot);
        let known = known.map(|(_, id)| id);
        match (known.or_else(|| self.configured(slot?)), slot) {
            (Some(id), _) => plain(id),
            (None, Some(Slot(number))) => format!("slot {number}"),
            (None, None) => "a provider".to_owned(),
        }
    }

    /// If no names are known: the provider that has the slot's device by the configuration. Its slot there says little: a
    /// reload leaves each provider its slot.
    fn configured(&self, slot: Slot) -> Option<&Name> {
        if !self.names.is_empty() {
            return None;
        }
        let is_its = |own: &str| self.slot_where(&|_, device| device == own) == Some(slot);
        let has_it = |provider: &&Provider| match provider.interfaces.is_empty() {
            true => Family::ALL
                .iter()
                .any(|family| is_its(&provider.device[*family])),
            false => provider.slot == slot,
        };
        let mut providers = self.config.providers.iter();
        providers.find(has_it).map(|provider| &provider.id)
    }

    fn device(&self, number: u32) -> String {
        let known = self.devices.iter().find(|(known, _)| *known == number);
        known.map_or_else(|| number.to_string(), |(_, name)| plain(name))
    }

    /// A provider has one rule for its device, which tells its table, too.
    fn slot_where(&self, is_its: &dyn Fn(&Rule, &str) -> bool) -> Option<Slot> {
        self.rules.iter().find_map(|rule| match &rule.selector {
            Selector::Oif(device) if is_ours(rule) && is_its(rule, device) => {
                purpose::slot_of_device(rule, self.config.globals.rule_pref)
            }
            _ => None,
        })
    }

    fn slot_of_table(&self, table: u32) -> Option<Slot> {
        self.slot_where(&|rule, _| table_of(rule) == Some(table))
    }

    fn slot_of_device(&self, number: u32) -> Option<Slot> {
        let name = self.device(number);
        self.slot_where(&|_, device| device == name)
    }
}

fn is_ours(rule: &Rule) -> bool {
    rule.protocol == PROTOCOL
}

fn table_of(rule: &Rule) -> Option<u32> {
    match rule.verdict {
        RuleVerdict::Lookup(table) | RuleVerdict::LookupSpecific(table) => Some(table),
        _ => None,
    }
}

fn table_name(table: u32) -> String {
    match table {
        0 => "the VRF's table".to_owned(), // of a rule for all of them
        TABLE_MAIN => "main".to_owned(),
        TABLE_LOCAL => "local".to_owned(),
        TABLE_DEFAULT => "default".to_owned(),
        _ => table.to_string(),
    }
}

/// What there is, and beside it, or below where there is no room, what it is for.
fn line(out: &mut String, first: &str, what: &str, why: &str) {
    let begin = out.len();
    wrap(out, first, what);
    out.pop(); // the end of the line
    let last = out[begin..]
        .bytes()
        .rev()
        .take_while(|byte| *byte != b'\n')
        .count();
    let mut margin = String::new();
    if last + 2 <= WHY {
        pad(&mut margin, WHY);
    } else if last + 2 + why.len() <= WIDTH {
        pad(&mut margin, last + 2);
    } else {
        out.push('\n');
        pad(&mut margin, WHY);
    }
    let mut right = String::new();
    wrap(&mut right, &margin, why);
    let beside = if out.ends_with("\n") { 0 } else { last };
    out.push_str(&right[beside..]);
}

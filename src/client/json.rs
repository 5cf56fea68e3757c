//! `status --json`: one object. Its names are an interface: add, never rename.

use std::fmt::Display;
use std::net::IpAddr;

use crate::client::{explain, journal};
use crate::linux::connection::{Answer, Provider};
use crate::types::Family;
use crate::wire::control::{Entry, Warning};
use crate::wire::decimal::Decimal;
use crate::wire::snapshot::{Check, CheckState, Header, InMain, Path};

/// One line. `None`: the daemon's answer has no header. For a page, with the wall-clock time: also the histories and the
/// reasons of the paths, and the journal, newest first.
pub(super) fn render(answer: &Answer, page_ms: Option<u64>) -> Option<String> {
    let header = answer.header.as_ref()?;
    let mut json = Json(Vec::new());
    json.open("", b'{');
    json.header(header);
    json.open("warnings", b'[');
    for warning in &answer.warnings {
        json.warning(warning);
    }
    json.close(b']');
    json.counters(header);
    json.open("providers", b'[');
    for provider in &answer.providers {
        json.provider(header, provider, page_ms);
    }
    json.close(b']');
    if let Some(now_ms) = page_ms {
        json.journal(&answer.entries, now_ms);
    }
    json.close(b'}');
    json.0.push(b'\n');
    String::from_utf8(json.0).ok()
}

/// The text so far.
struct Json(Vec<u8>);

/// What the object is made of. Items of lists have no name.
impl Json {
    fn begin(&mut self, name: &str) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[')) {
            self.0.push(b',');
        }
        if !name.is_empty() {
            self.0.push(b'"');
            self.0.extend_from_slice(name.as_bytes());
            self.0.extend_from_slice(b"\":");
        }
    }

    fn open(&mut self, name: &str, bracket: u8) {
        self.begin(name);
        self.0.push(bracket);
    }

    fn close(&mut self, bracket: u8) {
        self.0.push(bracket);
    }

    /// A number, `true` or `false`, or null.
    fn value(&mut self, name: &str, value: Option<&dyn Display>) {
        self.begin(name);
        let text = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A string, or null.
    fn text(&mut self, name: &str, text: Option<&str>) {
        let Some(text) = text else {
            return self.value(name, None);
        };
        self.begin(name);
        let begin = self.0.len();
        // No escape is longer than six bytes.
        self.0.resize(begin + 6 * text.len() + 2, 0);
        let length = serde_json_core::to_slice(text, &mut self.0[begin..]);
        self.0.truncate(begin + length.unwrap_or(0));
    }

    fn address(&mut self, name: &str, address: Option<&IpAddr>) {
        let text = address.map(IpAddr::to_string);
        self.text(name, text.as_deref());
    }
}

fn shown<T: Display>(value: &Option<T>) -> Option<&dyn Display> {
    value.as_ref().map(|value| value as &dyn Display)
}

impl Json {
    fn header(&mut self, header: &Header) {
        self.text("version", Some(&header.version));
        self.value("uptime_s", Some(&header.uptime_s));
        self.text("pinned", header.pinned.as_deref());
        self.value("table", Some(&header.table));
        self.open("active", b'{');
        for family in &Family::ALL {
            let leader = header.active.leader(*family);
            self.text(family.name(), leader.map(|id| id.as_str()));
        }
        self.close(b'}');
        self.in_main("overridden_by", &header.overridden_by);
        self.in_main("fallback", &header.fallback);
        let marked = &header.connections_marked;
        self.by_family("connections_marked", &marked.ipv4, &marked.ipv6);
    }

    /// An object with a value for each family.
    fn by_family(&mut self, name: &str, v4: &dyn Display, v6: &dyn Display) {
        self.open(name, b'{');
        self.value(Family::V4.name(), Some(v4));
        self.value(Family::V6.name(), Some(v6));
        self.close(b'}');
    }

    fn in_main(&mut self, name: &str, routes: &InMain) {
        self.open(name, b'{');
        for family in &Family::ALL {
            match routes.of(*family) {
                None => self.value(family.name(), None),
                Some(route) => {
                    self.open(family.name(), b'{');
                    self.text("device", Some(&route.device));
                    self.value("metric", Some(&route.metric));
                    self.value("table", Some(&route.table));
                    self.close(b'}');
                }
            }
        }
        self.close(b'}');
    }

    fn warning(&mut self, warning: &Warning) {
        self.open("", b'{');
        self.text("code", Some(&warning.code));
        self.text("provider", warning.provider.as_deref());
        self.text("text", Some(&warning.to_string()));
        let cure = warning.cure.as_ref();
        self.text("cure", cure.map(|cure| cure.text.as_str()));
        self.value("since_s", Some(&(warning.since_ms / 1000)));
        if let Some(to) = &warning.diversion {
            self.text("family", Some(to.family.name()));
            self.text("device", to.device.as_deref());
            self.value("table", shown(&to.table));
            self.value("preference", shown(&to.preference));
        }
        self.close(b'}');
    }

    fn counters(&mut self, header: &Header) {
        let of = &header.counters;
        self.open("counters", b'{');
        self.value("swaps", Some(&of.swaps));
        self.value("probes_sent", Some(&of.probes_sent));
        self.value("probes_answered", Some(&of.probes_answered));
        self.value("replies_rejected", Some(&of.replies_rejected));
        self.value("icmp_errors", Some(&of.icmp_errors));
        self.value("repairs", Some(&of.repairs));
        self.value("kernel_errors", Some(&of.kernel_errors));
        self.value("overruns", Some(&of.overruns));
        self.value("undecodable", Some(&of.undecodable));
        self.value("overflows", Some(&of.overflows));
        self.value("reloads", Some(&of.reloads));
        self.close(b'}');
    }

    fn provider(&mut self, header: &Header, provider: &Provider, page_ms: Option<u64>) {
        let Provider { head, paths, .. } = provider;
        self.open("", b'{');
        self.text("id", Some(&head.id));
        self.value("rank", Some(&head.rank));
        self.text("state", Some(head.state.name()));
        self.value("disabled", Some(&head.disabled));
        if let Some(connections) = &provider.connections {
            self.by_family("connections", &connections.ipv4, &connections.ipv6);
        }
        self.open("paths", b'[');
        for path in paths {
            self.path(path);
        }
        self.close(b']');
        if let Some(now_ms) = page_ms.filter(|_| !paths.is_empty()) {
            self.open("explained", b'[');
            for path in paths {
                let [why, change] = explain::explained(header, head, path, now_ms);
                self.open("", b'{');
                self.text("family", Some(path.family.name()));
                self.text("why", Some(&why));
                self.text("change", Some(&change));
                self.close(b'}');
            }
            self.close(b']');
        }
        self.close(b'}');
    }

    fn path(&mut self, path: &Path) {
        self.open("", b'{');
        self.text("family", Some(path.family.name()));
        self.text("device", path.device.as_deref());
        self.text("state", Some(path.state.name()));
        let reason = path.reason.is_told().then(|| path.reason.to_string());
        self.text("reason", reason.as_deref());
        self.value("since_s", Some(&(path.since_ms / 1000)));
        self.address("address", path.address.as_ref());
        self.value("address_deprecated", Some(&path.address_deprecated));
        self.address("gateway", path.gateway.as_ref());
        self.value("gateways", Some(&path.gateways));
        self.open("resolvers", b'[');
        for resolver in &path.resolvers {
            self.address("", resolver.as_ref());
        }
        self.close(b']');
        self.value("metric", shown(&path.metric));
        self.value("installed", Some(&path.installed));
        self.value("overridden_by", shown(&path.overridden_by));
        self.text("held_back_by", path.held_back_by.as_deref());
        self.value("takes_over_in_ms", shown(&path.takes_over_in_ms));
        self.open("rounds", b'{');
        self.value("good", Some(&path.rounds.good));
        self.value("failed", Some(&path.rounds.failed));
        self.value("streak", Some(&path.rounds.streak));
        self.close(b'}');
        self.value("loss_percent", shown(&path.loss_percent));
        self.open("rtt_ms", b'{');
        self.value("last", shown(&path.rtt_ms.last));
        self.value("avg", shown(&path.rtt_ms.avg));
        self.value("stddev", shown(&path.rtt_ms.stddev));
        self.value("min", shown(&path.rtt_ms.min));
        self.value("max", shown(&path.rtt_ms.max));
        self.close(b'}');
        self.open("checks", b'[');
        for check in &path.checks {
            self.check(check);
        }
        self.close(b']');
        if let Some(history) = &path.history {
            self.open("history", b'[');
            for us in &history.0 {
                let time = (*us != 0).then(|| Decimal::new(*us));
                self.value("", shown(&time));
            }
            self.close(b']');
        }
        self.close(b'}');
    }

    fn check(&mut self, check: &Check) {
        self.open("", b'{');
        self.text("name", Some(&check.name));
        self.text("type", Some(&check.kind));
        self.text("target", Some(&check.target));
        let state = match check.state {
            CheckState::Pending => "pending",
            CheckState::Ok => "ok",
            CheckState::Lost => "lost",
        };
        self.text("state", Some(state));
        self.value("rtt_ms", shown(&check.rtt_ms));
        self.value("loss_percent", shown(&check.loss_percent));
        self.value("sent", Some(&check.sent));
        self.value("received", Some(&check.received));
        self.value("failing_s", shown(&check.failing_s));
        self.close(b'}');
    }

    /// As `log` shows it; null instead of `-`.
    fn journal(&mut self, entries: &[Entry], now_ms: u64) {
        self.open("journal", b'[');
        for entry in entries.iter().rev() {
            self.open("", b'{');
            let names: &[&str] = &["time", "provider", "family", "kind", "cause"];
            for (name, word) in names.iter().zip(&journal::row(entry, now_ms)) {
                self.text(name, Some(&**word).filter(|word| *word != "-"));
            }
            self.close(b'}');
        }
        self.close(b']');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client::fixture::{healthy, troubled};
    use crate::wire::control::Diversion;
    use crate::wire::snapshot::History;

    fn parsed(answer: &Answer) -> Value {
        serde_json::from_str(&render(answer, None).unwrap()).unwrap()
    }

    #[test]
    fn every_field_is_there_under_its_name() {
        let google = json!({
            "name": "google", "type": "ping", "target": "8.8.8.8", "state": "ok", "rtt_ms": 12.346,
            "loss_percent": 33.333, "sent": 300, "received": 299, "failing_s": null
        });
        let online = |family: &str, address: &str, gateway: &str, checks: Value| {
            json!({
                "family": family, "device": "eth1", "state": "online", "reason": null, "since_s": 11_520,
                "address": address, "address_deprecated": false, "gateway": gateway, "gateways": 1, "resolvers": [],
                "metric": 100, "installed": true,
                "overridden_by": null, "held_back_by": null, "takes_over_in_ms": null,
                "rounds": {"good": 50, "failed": 0, "streak": 50},
                "loss_percent": 0.0,
                "rtt_ms": {"last": 12.346, "avg": 12.3, "stddev": 0.125, "min": 0.001, "max": 8388.608},
                "checks": checks
            })
        };
        let providers = json!([
            {"id": "isp1", "rank": 1, "state": "online", "disabled": false, "paths": [
                online("ipv4", "192.0.2.7", "192.0.2.1", json!([google])),
                online("ipv6", "2001:db8::7", "fe80::1", json!([]))
            ]},
            {"id": "isp2", "rank": 2, "state": "probing", "disabled": false, "paths": [{
                "family": "ipv4", "device": null, "state": "probing", "reason": null, "since_s": 2,
                "address": null, "address_deprecated": false, "gateway": null, "gateways": 0, "resolvers": [], "metric": null, "installed": false, "overridden_by": null,
                "held_back_by": null, "takes_over_in_ms": null,
                "rounds": {"good": 0, "failed": 0, "streak": 0}, "loss_percent": null,
                "rtt_ms": {"last": null, "avg": null, "stddev": null, "min": null, "max": null}, "checks": []
            }]}
        ]);
        let expected = json!({
            "version": "0.1.0",
            "uptime_s": 273_840,
            "pinned": null,
            "table": 176,
            "active": {"ipv4": "isp1", "ipv6": "isp1"},
            "overridden_by": {"ipv4": null, "ipv6": null},
            "fallback": {"ipv4": null, "ipv6": null},
            "connections_marked": {"ipv4": false, "ipv6": false},
            "warnings": [],
            "counters": {
                "swaps": 2, "probes_sent": 600, "probes_answered": 590, "icmp_errors": 0, "replies_rejected": 0, "repairs": 1,
                "kernel_errors": 0, "overruns": 0, "undecodable": 0, "overflows": 0, "reloads": 0
            },
            "providers": providers
        });
        // Compared as text: a parsed 12.346 may be rounded.
        let found = parsed(&healthy());
        assert_eq!(
            serde_json::to_string_pretty(&found).unwrap(),
            serde_json::to_string_pretty(&expected).unwrap()
        );
    }

    #[test]
    fn the_fields_stand_in_their_order() {
        let text = render(&troubled(), None).unwrap();
        let (_, satellite) = text.split_once(r#""providers":["#).unwrap();
        let (_, satellite) = satellite.split_once(r#"{"id":"satellite"#).unwrap();
        assert_eq!(
            satellite,
            r#"-of-the-neighbouring-x","rank":3,"state":"disabled","disabled":true,"paths":[{"family":"ipv4","device":"pppoe-wan","state":"online","reason":null,"since_s":11520,"address":"192.0.2.7","address_deprecated":false,"gateway":"192.0.2.1","gateways":1,"resolvers":[],"metric":4294967295,"installed":false,"overridden_by":0,"held_back_by":null,"takes_over_in_ms":null,"rounds":{"good":50,"failed":0,"streak":50},"loss_percent":2.0,"rtt_ms":{"last":12.346,"avg":12.3,"stddev":0.125,"min":0.001,"max":8388.608},"checks":[]},{"family":"ipv6","device":"wwan-cdc-12345","state":"waiting","reason":"no carrier","since_s":90000,"address":null,"address_deprecated":false,"gateway":null,"gateways":0,"resolvers":[],"metric":null,"installed":false,"overridden_by":null,"held_back_by":null,"takes_over_in_ms":null,"rounds":{"good":0,"failed":0,"streak":0},"loss_percent":null,"rtt_ms":{"last":null,"avg":null,"stddev":null,"min":null,"max":null},"checks":[]}]}]}
"#
        );
        let text = render(&healthy(), None).unwrap();
        let check = r#""checks":[{"name":"google","type":"ping","target":"8.8.8.8","state":"ok","rtt_ms":12.346,"loss_percent":33.333,"sent":300,"received":299,"failing_s":null}]"#;
        assert!(text.contains(check), "{text}");
        let begin = r#"{"version":"0.1.0","uptime_s":273840,"pinned":null,"table":176,"active":{"ipv4":"isp1","ipv6":"isp1"},"overridden_by":{"ipv4":null,"ipv6":null},"fallback":{"ipv4":null,"ipv6":null},"connections_marked":{"ipv4":false,"ipv6":false},"warnings":[],"counters":{"swaps":2,"probes_sent":600,"probes_answered":590,"replies_rejected":0,"icmp_errors":0,"repairs":1,"kernel_errors":0,"overruns":0,"undecodable":0,"overflows":0,"reloads":0},"providers":[{"id":"isp1","rank":1,"state":"online","disabled":false,"paths":[{"family":"ipv4""#;
        assert!(text.starts_with(begin), "{text}");
    }

    /// With everything that a page has besides.
    fn page() -> String {
        let mut answer = healthy();
        answer.entries = crate::client::fixture::journal();
        let rounds = heapless::Vec::from_slice(&[12_346, 0, 900]).unwrap();
        answer.providers[0].paths[0].history = Some(History(rounds));
        render(&answer, Some(1_763_929_735_400)).unwrap()
    }

    fn parsed_page() -> Value {
        serde_json::from_str(&page()).unwrap()
    }

    #[test]
    fn a_page_has_the_history_the_reasons_and_the_journal() {
        let text = page();
        assert!(text.contains(r#""history":[12.346,null,0.9]}"#), "{text}");
        let page = parsed_page();
        let explained = &page["providers"][0]["explained"];
        let why = "isp1 ipv4 is online since 17:16:55. It carries ipv4: it is the first in the order that works.";
        assert_eq!(explained[0]["family"], "ipv4");
        assert_eq!(explained[0]["why"], why);
        let change = explained[0]["change"].as_str().unwrap();
        assert!(
            change.starts_with("A round is good when its check is answered. It"),
            "{change}"
        );
        assert_eq!(explained.as_array().unwrap().len(), 2);
        let entries = page["journal"].as_array().unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(
            entries[0],
            json!({
                "time": "2025-11-23T20:28:55Z", "provider": "backup", "family": null, "kind": "pinned",
                "cause": "pinned by hand"
            })
        );
        // Without a page there is none of them.
        let plain = parsed(&healthy());
        assert_eq!(plain.get("journal"), None);
        assert_eq!(plain["providers"][0].get("explained"), None);
        assert_eq!(plain["providers"][0]["paths"][0].get("history"), None);
    }

    #[test]
    fn connections_are_told_if_they_were_counted() {
        let mut answer = healthy();
        assert_eq!(parsed(&answer)["providers"][0].get("connections"), None);
        let connections = crate::linux::connection::Connections { ipv4: 212, ipv6: 3 };
        answer.providers[0].connections = Some(connections);
        let expected = json!({"ipv4": 212, "ipv6": 3});
        assert_eq!(parsed(&answer)["providers"][0]["connections"], expected);
    }

    #[test]
    fn resolvers_are_addresses() {
        let mut answer = healthy();
        let told = ["192.0.2.53", "192.0.2.54"];
        answer.providers[0].paths[0].resolvers = told.iter().map(|one| one.parse().ok()).collect();
        let path = &parsed(&answer)["providers"][0]["paths"][0];
        assert_eq!(path["resolvers"], json!(told));
    }

    #[test]
    fn a_manual_default_is_told_of_by_family() {
        let mut answer = healthy();
        let header = answer.header.as_mut().unwrap();
        header.overridden_by.ipv6 = Some(crate::wire::snapshot::ManualRoute {
            device: "wg0".try_into().unwrap(),
            metric: 1024,
            table: 254,
        });
        let expected =
            json!({"ipv4": null, "ipv6": {"device": "wg0", "metric": 1024, "table": 254}});
        assert_eq!(parsed(&answer)["overridden_by"], expected);
    }

    /// The names of all fields of an object, and of those in it.
    fn names(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    found.push(name.clone());
                    names(value, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| names(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_documentation_tells_of_every_field() {
        const DOCS: &str = include_str!("../../docs/status-json.md");
        let words = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let told: Vec<&str> = DOCS
            .split('`')
            .skip(1)
            .step_by(2)
            .flat_map(|code| code.split(words))
            .collect();
        let mut found = Vec::new();
        for answer in [healthy(), troubled()] {
            names(&parsed(&answer), &mut found);
        }
        names(&parsed_page(), &mut found);
        assert!(found.len() > 50);
        found.retain(|name| !told.contains(&name.as_str()));
        assert_eq!(found, [""; 0], "docs/status-json.md lacks them");
    }

    #[test]
    fn it_is_one_line() {
        for answer in [healthy(), troubled()] {
            let text = render(&answer, None).unwrap();
            assert!(text.ends_with("}\n"));
            assert_eq!(text.matches('\n').count(), 1);
        }
    }

    #[test]
    fn any_text_is_escaped() {
        let mut answer = troubled();
        let ugly = "\"quoted\" \\ back \u{0} \u{1b}[31m \t \r\n \u{7f} ü → 🛰 \u{2028}";
        answer.warnings[0].text = ugly.try_into().unwrap();
        answer.warnings[0].cure = None;
        assert_eq!(parsed(&answer)["warnings"][0]["text"], ugly);
    }

    #[test]
    fn warnings_are_objects() {
        assert_eq!(
            parsed(&troubled())["warnings"][0]["provider"],
            json!("isp2")
        );
        assert_eq!(parsed(&troubled())["warnings"][1]["provider"], Value::Null);
        assert_eq!(
            parsed(&troubled())["warnings"][0]["code"],
            json!("rp-filter")
        );
    }

    #[test]
    fn of_a_diversion_every_field_is_there_and_of_other_warnings_none() {
        let mut answer = troubled();
        let told = |answer: &Answer| parsed(answer)["warnings"][0].clone();
        for field in ["family", "device", "table", "preference"] {
            assert_eq!(told(&answer).get(field), None);
        }
        answer.warnings[0].diversion = Some(Diversion {
            family: Family::V6,
            device: "wg0".try_into().ok(),
            table: Some(51820),
            preference: None,
        });
        let fields = |warning: Value| {
            ["family", "device", "table", "preference"].map(|field| warning.get(field).cloned())
        };
        assert_eq!(
            fields(told(&answer)),
            [json!("ipv6"), json!("wg0"), json!(51820), Value::Null].map(Some)
        );
    }

    #[test]
    fn a_cure_is_a_field_and_in_the_text() {
        let warnings = &parsed(&troubled())["warnings"];
        let cure = "sysctl -w net.ipv4.conf.eth2.rp_filter=2";
        let what = "strict rp_filter on eth2 drops the replies to its probes";
        assert_eq!(warnings[0]["cure"], cure);
        assert_eq!(warnings[0]["text"], format!("{what}; cure: {cure}"));
        let (what, cure) = ("7 addresses cannot be watched", "delete those not needed");
        assert_eq!(warnings[1]["cure"], cure);
        assert_eq!(warnings[1]["text"], format!("{what}; {cure}"));
        assert_eq!(warnings[2]["cure"], Value::Null);
    }

    #[test]
    fn sixty_four_providers_fit() {
        let mut answer = healthy();
        answer.providers = vec![answer.providers[0].clone(); 64];
        assert_eq!(parsed(&answer)["providers"].as_array().unwrap().len(), 64);
    }
}

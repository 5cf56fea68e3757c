//! `status --json`: one object. Its names are an interface.

use serde::{Serialize, Serializer};

use crate::client::journal;
use crate::linux::connection::{Answer, Provider, serialize_texts};
use crate::text::text;
use crate::types::Family;
use crate::wire::control::{Entry, TEXT_MAX, Warning};
use crate::wire::snapshot::{Active, Counters, InMain, Marked};

/// The whole object.
#[derive(Serialize)]
struct Status<'a> {
    version: &'a str,
    uptime_s: u64,
    pinned: Option<&'a str>,
    table: u32,
    active: &'a Active,
    overridden_by: &'a InMain,
    fallback: &'a InMain,
    connections_marked: &'a Marked,
    warnings: &'a [Told<'a>],
    counters: &'a Counters,
    providers: &'a [Provider],
    // For a page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Journal<'a>>,
}

/// The journal of an answer at a wall-clock time, newest first.
struct Journal<'a>(&'a [Entry], u64);

impl Serialize for Journal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lines = self.0.iter().rev();
        serializer.collect_seq(lines.map(|entry| Line(journal::row(entry, self.1))))
    }
}

/// One entry, as `log` shows it; null instead of `-`.
struct Line([String; 5]);

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut texts = ["time", "provider", "family", "kind", "cause"].map(|name| (name, None));
        for ((_, text), word) in texts.iter_mut().zip(&self.0) {
            *text = Some(&**word).filter(|word| *word != "-");
        }
        serialize_texts(&texts, serializer)
    }
}

/// The two parts of a warning's text: what is wrong, and what to do.
const WHOLE_MAX: usize = 2 * TEXT_MAX + 8;

/// One warning. Its text includes the cure.
#[derive(Serialize)]
struct Told<'a> {
    code: &'a str,
    provider: Option<&'a str>,
    text: heapless::String<WHOLE_MAX>,
    cure: Option<&'a str>,
    since_s: u64,
    // Of `diverted` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preference: Option<Option<u32>>,
}

impl<'a> From<&'a Warning> for Told<'a> {
    fn from(warning: &'a Warning) -> Told<'a> {
        let diversion = warning.diversion.as_ref();
        Told {
            code: &warning.code,
            provider: warning.provider.as_deref(),
            text: text(format_args!("{warning}")),
            cure: warning.cure.as_ref().map(|cure| cure.text.as_str()),
            since_s: warning.since_ms / 1000,
            family: diversion.map(|to| to.family),
            device: diversion.map(|to| to.device.as_deref()),
            table: diversion.map(|to| to.table),
            preference: diversion.map(|to| to.preference),
        }
    }
}

/// More than 64 providers can fill.
const SIZE_MAX: usize = 4 << 20;

/// One line. `None`: the daemon's answer has no header. For a page, the answer's journal is told, newest first, with the
/// wall-clock time.
pub(super) fn render(answer: &Answer, page_ms: Option<u64>) -> Option<String> {
    let header = answer.header.as_ref()?;
    let warnings: Vec<Told<'_>> = answer.warnings.iter().map(Told::from).collect();
    let status = Status {
        version: &header.version,
        uptime_s: header.uptime_s,
        pinned: header.pinned.as_deref(),
        table: header.table,
        active: &header.active,
        overridden_by: &header.overridden_by,
        fallback: &header.fallback,
        connections_marked: &header.connections_marked,
        warnings: &warnings,
        counters: &header.counters,
        providers: &answer.providers,
        journal: page_ms.map(|now_ms| Journal(&answer.entries, now_ms)),
    };
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Ok(length) = serde_json_core::to_slice(&status, &mut buffer) {
            buffer.truncate(length);
            buffer.push(b'\n');
            return String::from_utf8(buffer).ok();
        }
        if buffer.len() >= SIZE_MAX {
            return None;
        }
        buffer = vec![0; 2 * buffer.len()];
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
        answer.providers[0].explained = vec![crate::linux::connection::Explained {
            family: Family::V4,
            why: "isp1 ipv4 is online.".to_owned(),
            change: String::new(),
        }];
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
        let explained = json!([{"family": "ipv4", "why": "isp1 ipv4 is online.", "change": ""}]);
        assert_eq!(page["providers"][0]["explained"], explained);
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
            device: Some(text(format_args!("wg0"))),
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

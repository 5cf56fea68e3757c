//! Wrong files in place of configuration and sticky file, pins of unknown providers, and the format of the status.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::daemon::program;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};
use super::{SOON, leads, online};

/// The error message of a refused reload. The command finds the daemon by another configuration file.
fn refused(client_file: &Path) -> String {
    let begun = Instant::now();
    let mut command = Command::new(program());
    command.args(["reload", "--config"]).arg(client_file);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(begun.elapsed() < Duration::from_secs(4), "it waits");
    String::from_utf8(output.stderr).unwrap()
}

/// Whatever file is in place of the configuration, a reload is refused at once, and the old configuration stays.
#[test]
fn a_file_that_is_no_configuration_is_refused() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let file = daemon.file("failover.conf");
        let client_file = daemon.file("client.conf");
        fs::copy(&file, &client_file).unwrap();

        fs::write(&file, "nonsense\n".repeat(7000)).unwrap();
        let text = refused(&client_file);
        assert!(
            text.contains(":18: unknown command 'nonsense'") && !text.contains(":20:"),
            "{text}"
        );
        let count = ":19: … and 6982 more, from this line on\n";
        assert!(text.contains(count), "{text}");
        assert!(text.contains("the configuration has 7002 errors"), "{text}");
        assert!(daemon.log().lines().count() < 100);

        fs::remove_file(&file).unwrap();
        assert!(refused(&client_file).contains("No such file or directory"));
        fs::create_dir(&file).unwrap();
        assert!(refused(&client_file).contains("Is a directory: name a file"));
        fs::remove_dir(&file).unwrap();

        // A pipe without a writer, and one whose writer writes nothing.
        let made = Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
        assert!(refused(&client_file).contains("no provider"));
        let _silent = fs::File::options()
            .read(true)
            .write(true)
            .open(&file)
            .unwrap();
        refused(&client_file);
        fs::remove_file(&file).unwrap();

        fs::rename(&client_file, &file).unwrap();
        daemon.must(&["reload"]);
        assert!(leads(&lab, 1));
    });
}

/// A wrong sticky file has no effect, and is reported until it is corrected.
#[test]
fn a_wrong_sticky_file_is_reported_until_it_is_corrected() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let file = daemon.sticky_file();
        let warned = || -> Option<String> {
            let status = daemon.status();
            let warnings = status["warnings"].as_array().unwrap();
            let warning = warnings.iter().find(|w| w["code"] == "sticky-file")?;
            Some(warning["text"].as_str().unwrap().to_owned())
        };
        let is_warned =
            |what: &str| wait_until(SOON, || warned().is_some_and(|text| text.contains(what)));
        for (content, complaint) in [
            (
                "isp7\n",
                "no provider 'isp7' (did you mean 'isp1'?); there are: isp1, isp2",
            ),
            ("isp1 isp2\n", "no provider 'isp1 isp2'"),
            (&"x".repeat(1_000_000), "more than 64 bytes"),
            ("isp\u{1}\n", "other than text"),
        ] {
            daemon.must(&["use", "isp2"]);
            fs::write(&file, content).unwrap();
            assert!(is_warned(complaint), "{:?}", warned());
            assert_eq!(daemon.status()["pinned"], "isp2");
            fs::write(&file, "isp2\r\n").unwrap();
            assert!(wait_until(SOON, || warned().is_none()), "{:?}", warned());
        }
        daemon.must(&["use", "auto"]);
        fs::create_dir(&file).unwrap();
        assert!(is_warned("Is a directory"), "{:?}", warned());
        assert_eq!(daemon.command(&["use", "isp2"]).status.code(), Some(64));
        fs::remove_dir(&file).unwrap();
        symlink(&file, &file).unwrap();
        assert!(is_warned("symbolic link"), "{:?}", warned());
        fs::remove_file(&file).unwrap();
        assert!(wait_until(SOON, || warned().is_none()), "{:?}", warned());
        assert!(daemon.status()["pinned"].is_null());
        assert!(leads(&lab, 1));
    });
}

/// Names and types of an object's members, in order; `|` separates alternative types.
const SCHEMA: &[(&str, &[(&str, &str)])] = &[
    (
        "status",
        &[
            ("version", "string"),
            ("uptime_s", "whole"),
            ("pinned", "string|null"),
            ("table", "whole"),
            ("active", "active"),
            ("overridden_by", "overridden_by"),
            ("fallback", "overridden_by"),
            ("connections_marked", "marked"),
            ("warnings", "[warning]"),
            ("counters", "counters"),
            ("providers", "[provider]"),
        ],
    ),
    (
        "active",
        &[("ipv4", "string|null"), ("ipv6", "string|null")],
    ),
    (
        "overridden_by",
        &[("ipv4", "null|manual"), ("ipv6", "null|manual")],
    ),
    ("marked", &[("ipv4", "bool"), ("ipv6", "bool")]),
    (
        "manual",
        &[
            ("device", "string"),
            ("metric", "whole"),
            ("table", "whole"),
        ],
    ),
    (
        "warning",
        &[
            ("code", "string"),
            ("provider", "string|null"),
            ("text", "string"),
            ("cure", "string|null"),
            ("since_s", "whole"),
        ],
    ),
    (
        "provider",
        &[
            ("id", "string"),
            ("rank", "whole"),
            ("state", "string"),
            ("disabled", "bool"),
            ("paths", "[path]"),
        ],
    ),
    (
        "path",
        &[
            ("family", "string"),
            ("device", "string|null"),
            ("state", "string"),
            ("reason", "string|null"),
            ("since_s", "whole"),
            ("address", "string|null"),
            ("address_deprecated", "bool"),
            ("gateway", "string|null"),
            ("gateways", "whole"),
            ("resolvers", "[string]"),
            ("metric", "whole|null"),
            ("installed", "bool"),
            ("overridden_by", "whole|null"),
            ("held_back_by", "string|null"),
            ("takes_over_in_ms", "whole|null"),
            ("rounds", "rounds"),
            ("loss_percent", "number|null"),
            ("rtt_ms", "rtt"),
            ("checks", "[check]"),
        ],
    ),
    (
        "rounds",
        &[
            ("good", "whole"),
            ("failed", "whole"),
            ("streak", "integer"),
        ],
    ),
    (
        "rtt",
        &[
            ("last", "number|null"),
            ("avg", "number|null"),
            ("stddev", "number|null"),
            ("min", "number|null"),
            ("max", "number|null"),
        ],
    ),
    (
        "check",
        &[
            ("name", "string"),
            ("type", "string"),
            ("target", "string"),
            ("state", "string"),
            ("rtt_ms", "number|null"),
            ("loss_percent", "number|null"),
            ("sent", "whole"),
            ("received", "whole"),
            ("failing_s", "whole|null"),
        ],
    ),
];

fn conforms(value: &Value, kind: &str) -> bool {
    if let Some(inner) = kind
        .strip_prefix('[')
        .and_then(|kind| kind.strip_suffix(']'))
    {
        let list = value.as_array();
        return list.is_some_and(|list| list.iter().all(|item| conforms(item, inner)));
    }
    match kind {
        "string" => value.is_string(),
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "whole" => value.is_u64(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.as_f64().is_some_and(|number| number >= 0.0),
        "counters" => {
            let counters = value.as_object();
            counters.is_some_and(|counters| counters.values().all(Value::is_u64))
        }
        _ => {
            let (_, fields) = SCHEMA.iter().find(|(name, _)| *name == kind).unwrap();
            let object = value.as_object().unwrap();
            let known = fields.len() == object.len();
            known
                && fields.iter().all(|(name, kinds)| {
                    let field = object.get(*name);
                    field.is_some_and(|field| kinds.split('|').any(|kind| conforms(field, kind)))
                })
        }
    }
}

/// In every state, the status has exactly the documented fields.
#[test]
fn the_status_has_exactly_the_documented_fields() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab)
            .with("provider", "ghost", "device", "usb0")
            .with("provider", "off", "device", "usb1")
            .with("provider", "off", "enabled", "0")
            .with("check", "own", "type", "exec")
            .with("check", "own", "command", "test $PROVIDER = isp1")
            .with("check", "own", "target", "127.0.0.1");
        let daemon = Daemon::start(&lab.router, &settings);
        for provider in ["isp1", "isp2"] {
            daemon.wait_for(provider, "ipv4", "online");
            daemon.wait_for(provider, "ipv6", "online");
        }
        let seen = |state: &str| {
            let status = daemon.status();
            assert!(conforms(&status, "status"), "{status:#}");
            let providers = status["providers"].as_array().unwrap();
            let paths = providers
                .iter()
                .flat_map(|p| p["paths"].as_array().unwrap());
            let mut states = paths
                .chain(providers)
                .map(|thing| thing["state"].as_str().unwrap());
            assert!(states.any(|found| found == state), "no {state}: {status:#}");
            status
        };
        let status = seen("online");
        let ghost = &status["providers"][2]["paths"][0];
        assert_eq!(ghost["reason"], "no device");
        for unknown in ["address", "gateway", "metric", "loss_percent"] {
            assert!(ghost[unknown].is_null(), "{ghost}");
        }
        assert!(ghost["rtt_ms"]["avg"].is_null() && ghost["checks"][0]["rtt_ms"].is_null());
        assert_eq!(status["providers"][3]["state"], "disabled");
        assert_eq!(status["providers"][3]["paths"], Value::Array(Vec::new()));
        seen("waiting");
        lab.upstream_dies(2);
        daemon.wait_for("isp2", "ipv6", "offline");
        seen("offline");
        lab.upstream_returns(2);
        daemon.must(&["disable", "isp2"]);
        let status = seen("disabled");
        assert_eq!(status["providers"][1]["disabled"], true);
        daemon.must(&["enable", "isp2"]);
        daemon.must(&["use", "isp2"]);
        seen("pinned");
        seen("frozen");
        daemon.must(&["use", "ghost"]);
        let status = seen("pinned");
        assert_eq!(status["warnings"][0]["provider"], "ghost");
    });
}

/// A restart is an entry in the journal, between the entries before and after it.
#[test]
fn the_journal_has_restarts() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = online(&lab);
        assert!(daemon.must(&["log"]).contains("started"));
        assert!(daemon.terminate().success());
        daemon.launch();
        let journal = daemon.must(&["log"]);
        let place = |what: &str| journal.find(what).unwrap_or_else(|| panic!("{journal}"));
        assert!(place("probing → online") < place("stopped"), "{journal}");
        let again = &journal[place("stopped")..];
        assert!(again.contains("started"), "{journal}");
    });
}

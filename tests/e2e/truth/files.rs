//! Warnings of files: the configuration, the sticky file, and a pin or a gateway in them that is of no use.

use std::fs;

use super::super::lab::rights::in_lab;
use super::super::lab::{Family, Lab, Settings};
use super::super::leads;
use super::{Cure, Of, Row, Stage};

const WRONG: &str = "write the id of a provider into it, or delete it";

/// Pins a provider that does not exist.
fn pin_wrongly(stage: &mut Stage<'_>) -> Vec<String> {
    let file = stage.daemon.sticky_file();
    fs::write(&file, "isp7\n").unwrap();
    vec![file.display().to_string()]
}

/// With gateways in the configuration.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "config",
        of: Of::Daemon,
        what: "{0}: check 'spare' is used by no provider",
        change: "correct that line, then `failover reload`",
        make: |stage| {
            let mut settings = stage.settings.clone().ping("spare", Family::V4);
            for id in ["isp1", "isp2"] {
                for check in ["google", "google6"] {
                    settings = settings.list("provider", id, "check", check);
                }
            }
            stage.reload(&settings);
            let file = stage.daemon.file("failover.conf");
            let text = fs::read_to_string(&file).unwrap();
            let before = text
                .lines()
                .position(|line| line.contains("'spare'"))
                .unwrap();
            vec![format!("{}:{}", file.display(), before + 1)]
        },
        cure: Cure::Done(|stage| stage.restore()),
    },
    Row {
        name: "config-refused",
        of: Of::Daemon,
        what: "{0}: unknown option 'devise' of provider (did you mean 'device'?)",
        change: "correct it, then `failover check` and `failover reload`",
        make: |stage| {
            let bad = stage.settings.clone().provider("isp1", "devise", "x");
            stage.daemon.configure(&bad);
            assert!(!stage.daemon.command(&["reload"]).status.success());
            let file = stage.daemon.file("failover.conf");
            let text = fs::read_to_string(&file).unwrap();
            let before = text.lines().position(|line| line.contains("devise"));
            vec![format!("{}:{}", file.display(), before.unwrap() + 1)]
        },
        cure: Cure::Done(|stage| stage.restore()),
    },
    Row {
        name: "sticky-file",
        of: Of::Daemon,
        what: "{0} is not obeyed: there is no provider 'isp7'",
        change: WRONG,
        make: pin_wrongly,
        cure: Cure::Done(|stage| fs::remove_file(stage.daemon.sticky_file()).unwrap()),
    },
    Row {
        name: "pinned-down",
        of: Of::Provider("isp2"),
        what: "pinned, but without use in ipv4: no carrier",
        change: "`failover use auto` lets the others take over",
        make: |stage| {
            stage.lab.pull_cable(2);
            stage.must(&["use", "isp2"]);
            assert!(leads(stage.lab, 2), "{}", stage.daemon.log());
            Vec::new()
        },
        cure: Cure::Quoted(|stage| stage.lab.plug_cable(2)),
    },
    Row {
        name: "route-refused",
        of: Of::Provider("isp2"),
        what: "the kernel refuses `add default via 192.0.2.127 dev eth2 metric ",
        change: "its gateway must be another host in the network of eth2, not the broadcast address nor one of ours",
        make: |stage| {
            let settings = stage
                .settings
                .clone()
                .without("provider", "isp2", "gateway");
            stage.reload(&settings.list("provider", "isp2", "gateway", "192.0.2.127"));
            let route = [
                "ip",
                "route",
                "add",
                "default",
                "via",
                "192.0.2.127",
                "dev",
                "eth2",
                "table",
                "999",
            ];
            assert!(!stage.lab.router.output(&route).status.success());
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.restore()),
    },
    Row {
        name: "sticky-file",
        of: Of::Daemon,
        what: "{0} is not obeyed: there is no provider 'isp7' (did you mean 'isp1'?); there are: isp1, isp2",
        change: WRONG,
        make: pin_wrongly,
        cure: Cure::Done(|stage| {
            fs::write(stage.daemon.sticky_file(), "isp1\n").unwrap();
        }),
    },
];

#[test]
fn of_files() {
    in_lab(|| {
        let lab = Lab::new();
        Stage::new(&lab, Settings::fast(&lab)).play(ROWS);
    });
}

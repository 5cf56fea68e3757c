//! Reasons and warnings of interfaces of netifd.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::super::lab::rights::in_lab;
use super::super::lab::{Family, Lab, Settings};
use super::super::netifd::{all_is_up, down, prepared, set_interface, settings, up};
use super::{Cure, Of, Row, Stage};

fn gateways(stage: &Stage<'_>, number: usize) -> [std::net::IpAddr; 2] {
    Family::ALL.map(|family| stage.lab.provider(number).gateway_address(family))
}

/// A file beside the interfaces changes what `ubus` does.
fn fault(stage: &Stage<'_>, name: &str) {
    fs::write(stage.daemon.file("netifd").join(name), "").unwrap();
    stage.must(&["refresh"]);
}

fn mend(stage: &mut Stage<'_>, name: &str) {
    fs::remove_file(stage.daemon.file("netifd").join(name)).unwrap();
    stage.must(&["refresh"]);
}

/// Whether `ubus` can be run.
fn permit(stage: &Stage<'_>, mode: u32) {
    fs::set_permissions(stage.daemon.file("bin/ubus"), Permissions::from_mode(mode)).unwrap();
}

/// With a provider by two interfaces, and one by one.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "device taken by PROVIDER",
        of: Of::Path("isp2", Family::V4),
        what: "isp2 ipv4 is waiting since {T}: device taken by another provider.",
        change: "It is ready as soon as isp1 leaves it the device eth1: two cannot share one.",
        make: |stage| {
            set_interface(
                &stage.daemon,
                "wanb",
                &up("eth1", &gateways(stage, 1), true),
            );
            stage.must(&["refresh", "wanb"]);
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            set_interface(
                &stage.daemon,
                "wan",
                &up("eth2", &[gateways(stage, 2)[0]], true),
            );
            set_interface(
                &stage.daemon,
                "wan6",
                &up("eth2", &[gateways(stage, 2)[1]], true),
            );
            stage.must(&["refresh"]);
        }),
    },
    Row {
        name: "no device",
        of: Of::Path("isp2", Family::V4),
        what: "isp2 ipv4 is waiting since {T}: device gone.",
        change: "It is ready as soon as netifd tells its device.",
        make: |stage| {
            all_is_up(stage.lab, &stage.daemon);
            stage.must(&["refresh"]);
            stage.daemon.wait_for_all("online");
            set_interface(&stage.daemon, "wanb", &down("eth2"));
            stage.must(&["refresh", "wanb"]);
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            all_is_up(stage.lab, &stage.daemon);
            stage.must(&["refresh"]);
        }),
    },
    Row {
        name: "interface-unknown",
        of: Of::Provider("isp1"),
        what: "netifd knows no interface wan",
        change: "correct `option interface` (`ubus list 'network.interface.*'` lists all)",
        make: |stage| {
            all_is_up(stage.lab, &stage.daemon);
            fs::remove_file(stage.daemon.file("netifd/wan")).unwrap();
            stage.must(&["refresh"]);
            Vec::new()
        },
        cure: Cure::Done(|stage| {
            set_interface(
                &stage.daemon,
                "fibre",
                &up("eth1", &[gateways(stage, 1)[0]], true),
            );
            let settings = stage
                .settings
                .clone()
                .without("provider", "isp1", "interface");
            let settings = settings.list("provider", "isp1", "interface", "fibre");
            stage.reload(&settings.list("provider", "isp1", "interface", "wan6"));
        }),
    },
    Row {
        name: "no-netifd",
        of: Of::Provider("isp1"),
        what: "netifd does not tell of interface wan any more (",
        change: "`ubus call network.interface dump` must work: see whether netifd runs",
        make: |stage| {
            all_is_up(stage.lab, &stage.daemon);
            stage.restore();
            stage.daemon.wait_for_all("online");
            fault(stage, ".garbage");
            Vec::new()
        },
        cure: Cure::Done(|stage| mend(stage, ".garbage")),
    },
    Row {
        name: "no-netifd",
        of: Of::Provider("isp1"),
        what: "netifd does not tell of interface wan (",
        change: "`ubus call network.interface dump` must work: see whether netifd runs",
        make: |stage| {
            stage.daemon.terminate();
            fs::write(stage.daemon.file("netifd/.gone"), "").unwrap();
            stage.daemon.launch();
            Vec::new()
        },
        cure: Cure::Done(|stage| mend(stage, ".gone")),
    },
    Row {
        name: "no-netifd",
        of: Of::Provider("isp1"),
        what: "interface wan is asked of netifd by `ubus`, which cannot be run (",
        change: "where there is no netifd, name the device by `option device`",
        make: |stage| {
            stage.daemon.terminate();
            permit(stage, 0o644);
            stage.daemon.launch();
            Vec::new()
        },
        cure: Cure::Done(|stage| stage.reload(&Settings::fast(stage.lab))),
    },
];

#[test]
fn of_interfaces() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = settings(&lab).global("up", "2");
        let mut daemon = prepared(&lab, &settings);
        all_is_up(&lab, &daemon);
        daemon.launch();
        let mut stage = Stage {
            lab: &lab,
            daemon,
            settings,
        };
        stage.play(ROWS);
    });
}

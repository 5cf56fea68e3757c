//! What the first configuration on plain Linux meets: `masquerade '1'`, and no firewall of the user's.

use super::SOON;
use super::lab::rights::in_lab;
use super::lab::{Daemon, Lab, Settings, wait_until};

/// Whether `nft` is there or refuses, the LAN's user sees why nothing works.
#[test]
fn without_nft_the_warning_says_that_nothing_is_masqueraded() {
    in_lab(|| {
        let lab = Lab::new();
        let settings = Settings::fast(&lab);
        let mut daemon = Daemon::prepare(
            &lab.router,
            &settings.clone().provider("isp2", "masquerade", "1"),
        );
        daemon.install("nft", "#!/bin/sh\ncat > /dev/null\nexit 1\n");
        daemon.launch();
        let told = |daemon: &Daemon| {
            let warnings = daemon.status()["warnings"].to_string();
            warnings
                .contains("no-nft")
                .then(|| warnings.contains("nothing is masqueraded"))
        };
        assert!(
            wait_until(SOON, || told(&daemon) == Some(true)),
            "{}",
            daemon.log()
        );
        // Without that option there is nothing to masquerade, but still no table.
        daemon.configure(&settings.global("answers", "1"));
        daemon.must(&["reload"]);
        assert!(
            wait_until(SOON, || told(&daemon) == Some(false)),
            "{}",
            daemon.log()
        );
    });
}

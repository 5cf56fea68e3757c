//! The types of checks, against servers with good and bad behaviour.
//!
//! | module | what it shows |
//! |---|---|
//! | [`verdict`] | the verdict on a server's answer, and its cause in the journal |
//! | [`required`] | required checks, and checks with a long interval |
//! | [`bound`] | no packet of a check leaves by another device, or from another session's port |
//! | [`resolving`] | names are resolved through the path, and remembered |
//! | [`forged`] | answers that are not the server's |
//! | [`link`] | neighbours on the link |
//! | [`wire`] | the packets of checks, and their number |
//! | [`quality`] | thresholds of loss and latency |
//! | [`room`] | more checks at once than there is room for |

pub mod bound;
pub mod forged;
pub mod link;
pub mod quality;
pub mod required;
pub mod resolving;
pub mod room;
pub mod verdict;
pub mod wire;

use std::net::IpAddr;

use super::lab::servers::Server;
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, query};

/// A lab with one provider.
pub fn one_provider() -> Lab {
    Lab::builder().providers(1).build().carrying()
}

/// A lab with two.
pub fn two_providers() -> Lab {
    Lab::new().carrying()
}

/// Profile `fast` without any check.
pub fn bare(lab: &Lab) -> Settings {
    Settings::fast(lab)
        .global("up", "3")
        .without_section("check", "google")
        .without_section("check", "google6")
}

/// The same with this check added.
pub fn with_check(settings: Settings, name: &str, options: &[(&str, &str)]) -> Settings {
    options.iter().fold(settings, |settings, (option, value)| {
        settings.with("check", name, option, value)
    })
}

/// A single check in a family, made in each round. The timeout is long, because servers are slow on a busy machine.
pub fn single_check(lab: &Lab, family: Family, options: &[(&str, &str)]) -> Settings {
    let target = target(family).to_string();
    let usual = [("target", target.as_str()), ("interval", "100ms")];
    let settings = bare(lab).global("timeout", "1s");
    with_check(with_check(settings, "it", &usual), "it", options)
}

/// The address of most servers.
pub fn target(family: Family) -> IpAddr {
    super::lab::topology::target(family)
}

/// The address of other servers.
pub fn elsewhere(family: Family) -> IpAddr {
    query::other_target(family)
}

/// The address of all names in the servers' answers; it is not connected to.
pub fn answer(family: Family) -> IpAddr {
    match family {
        Family::V4 => [192, 0, 2, 77].into(),
        Family::V6 => [0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 7].into(),
    }
}

/// The record type of a family's addresses.
pub fn record(family: Family) -> &'static str {
    match family {
        Family::V4 => "A",
        Family::V6 => "AAAA",
    }
}

/// The journal's last cause of a path of the first provider going offline.
pub fn last_failure(daemon: &Daemon, family: Family) -> String {
    let journal = daemon.must(&["log"]);
    let family = family.to_string();
    let fits =
        |line: &&str| line.contains("isp1") && line.contains(&family) && line.contains("→ offline");
    let line = journal.lines().rfind(fits);
    line.unwrap_or_default().to_owned()
}

/// Waits until the first provider is offline, for one of these reasons.
pub fn offline_because(daemon: &Daemon, family: Family, reasons: &[&str]) {
    daemon.wait_for("isp1", family.name(), "offline");
    let line = last_failure(daemon, family);
    assert!(
        reasons.iter().any(|reason| line.ends_with(reason)),
        "not because of {reasons:?}: {line}\n{}",
        daemon.log()
    );
}

/// Each bad behaviour in turn, with its cause in the journal, and the good behaviour in between.
pub fn behaviours<M, R>(
    daemon: &Daemon,
    family: Family,
    server: &Server<M, R>,
    good: M,
    bad: &[(M, &str)],
) where
    M: Clone + Send + std::fmt::Debug + 'static,
    R: Clone + Send + 'static,
{
    daemon.wait_for("isp1", family.name(), "online");
    for (behaviour, reason) in bad {
        server.set(behaviour.clone());
        offline_because(daemon, family, &[reason]);
        server.set(good.clone());
        daemon.wait_for("isp1", family.name(), "online");
    }
}

/// Waits until a server has received so many more requests.
pub fn wait_for_requests<M, R>(daemon: &Daemon, server: &Server<M, R>, times: usize)
where
    M: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    let before = server.asked();
    let enough = wait_until(SOON, || server.asked() >= before + times);
    assert!(enough, "asked too seldom\n{}", daemon.log());
}

/// No path that was online has gone offline. A lab's links may take a moment before they transmit.
pub fn never_offline(daemon: &Daemon) {
    let journal = daemon.must(&["log"]);
    let fell = journal.contains("online → offline");
    assert!(!fell, "{journal}\n{}", daemon.log());
}

/// Waits until the first check of a path was answered so many more times.
pub fn wait_for_answers(daemon: &Daemon, family: Family, times: u64) {
    let answers = || {
        let status = daemon.status();
        let checks = &super::inspect::path(&status, "isp1", family.name())["checks"];
        checks[0]["received"].as_u64().unwrap_or_default()
    };
    let before = answers();
    let enough = wait_until(SOON, || answers() >= before + times);
    assert!(enough, "answered too seldom\n{}", daemon.log());
}

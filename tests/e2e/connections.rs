//! What happens to connections: those of users behind the router, inbound ones, and those of other programs.
//!
//! | module | what it shows |
//! |---|---|
//! | [`stay`] | a better line returns: connections stay; a duration, `follow` and `off` |
//! | [`death`] | a line dies: its connections are handed over, and only they |
//! | [`command`] | a pin, `disable`, a reload without the provider |
//! | [`inbound`] | port forwards, own services, routed IPv6 |
//! | [`prefixes`] | delegated IPv6 prefixes |
//! | [`others`] | marks, rules and connections of other programs |
//! | [`life`] | restarts, SIGKILL, stops, a flushed ruleset, no `nft` |
//! | [`many`] | a hundred thousand connections |
//! | [`random`] | random events |

mod command;
mod death;
mod inbound;
mod life;
mod many;
mod others;
mod prefixes;
mod random;
mod stay;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::lab::firewall::Nat;
use super::lab::flows::{Call, End, Services, Session, Transfer};
use super::lab::topology::{Provider, target};
use super::lab::{Daemon, Family, Lab, Settings, wait_until};
use super::{SOON, leads, online_with};

/// The bits of `mark_mask`, by default.
const OURS: u32 = 0xff00_0000;
/// A download asks each second whether its server lives.
const NEXT_PACKET: Duration = Duration::from_secs(3);
/// A datagram each 10 ms; see [`super::SLACK`].
const NEXT_TO_NOTHING: usize = 15;

/// A router with this NAT, and servers behind each provider.
fn household(nat: Nat) -> (Lab, Vec<Services>) {
    let lab = Lab::builder().household(nat).build().carrying();
    lab.lan_prefers(1);
    let services = Services::everywhere(&lab);
    (lab, services)
}

/// Connections stay, and each provider's prefix is known.
fn staying(lab: &Lab) -> Settings {
    let settings = Settings::fast(lab).global("connections", "stay");
    lab.providers.iter().fold(settings, |settings, provider| {
        let prefix = format!("{}/64", Provider::in_prefix(provider.number, 0));
        settings.list("provider", &provider.name, "prefix", &prefix)
    })
}

/// The first provider leads, and the table is in force.
fn begin<'lab>(lab: &'lab Lab, settings: &Settings) -> Daemon<'lab> {
    let daemon = online_with(lab, settings);
    assert!(leads(lab, 1), "{}", daemon.log());
    has_table(lab, &daemon);
    daemon
}

/// Our table, as `nft` prints it.
fn table(lab: &Lab) -> Option<String> {
    let output = lab
        .router
        .output(&["nft", "-a", "list", "table", "inet", "failover"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn has_table(lab: &Lab, daemon: &Daemon) {
    let there = wait_until(SOON, || table(lab).is_some());
    assert!(there, "no table\n{}", daemon.log());
}

/// The first provider is offline, and the second one leads.
fn first_dies(lab: &Lab, daemon: &Daemon) {
    lab.upstream_dies(1);
    assert!(leads(lab, 2), "{}", daemon.log());
}

fn first_returns(lab: &Lab, daemon: &Daemon) {
    lab.upstream_returns(1);
    assert!(leads(lab, 1), "{}", daemon.log());
}

/// Waits until a new connection of the LAN goes by this provider.
fn new_ones_go_by(lab: &Lab, family: Family, number: u8) -> bool {
    let by = || Session::open(&lab.lan, target(family)).map(|session| session.by);
    wait_until(SOON, || by() == Ok(number))
}

/// What one user does at the same time.
struct Traffic {
    family: Family,
    transfers: [Transfer; 2],
    session: Session,
    call: Call,
}

impl Traffic {
    /// In the LAN, all by this provider.
    fn start(lab: &Lab, family: Family, number: u8) -> Traffic {
        let to = target(family);
        let opened = |kind| panic_if_failed(kind, family);
        let traffic = Traffic {
            family,
            transfers: [
                opened(Transfer::download(&lab.lan, to)),
                opened(Transfer::upload(&lab.lan, to)),
            ],
            session: panic_if_failed(Session::open(&lab.lan, to), family),
            call: Call::start(&lab.lan, to),
        };
        let by = [
            traffic.transfers[0].by,
            traffic.transfers[1].by,
            traffic.session.by,
        ];
        assert_eq!(by, [number; 3], "{family}");
        assert!(traffic.call.goes_by(number, SOON), "{family}");
        assert_eq!(traffic.call.register(), Some(number), "{family}");
        traffic
    }

    /// Nothing is broken, and the call goes by this provider.
    fn goes_on_by(&mut self, number: u8, daemon: &Daemon) {
        let family = self.family;
        for transfer in &self.transfers {
            let (goes_on, ended) = (transfer.goes_on(SOON), transfer.ended());
            assert!(goes_on, "{family} {ended:?}\n{}", daemon.log());
        }
        assert_eq!(self.session.say(), Ok(()), "{family}\n{}", daemon.log());
        assert!(
            self.call.goes_by(number, SOON),
            "{family}\n{}",
            daemon.log()
        );
        assert!(self.call.rings(), "{family}\n{}", daemon.log());
    }

    /// What happens at a hand-over to this provider, which has just begun to lead: TCP gets a reset at its next packet, and
    /// the call goes on, with next to no loss.
    fn moves_to(mut self, number: u8, daemon: &Daemon) {
        let (family, moment) = (self.family, self.call.now());
        self.is_reset(daemon);
        let moves = self.call.goes_by(number, SOON);
        assert!(moves, "{family}\n{}", daemon.log());
        let lost = self.call.lost(moment);
        assert!(
            lost.iter().all(|lost| *lost <= NEXT_TO_NOTHING),
            "{family} {lost:?} lost\n{}",
            daemon.log()
        );
        // The next registration makes the phone ring again.
        assert_eq!(self.call.register(), Some(number), "{family}");
        assert!(self.call.rings(), "{family}\n{}", daemon.log());
    }
}

impl Traffic {
    /// All TCP is reset at its next packet.
    fn is_reset(&mut self, daemon: &Daemon) {
        let (family, since) = (self.family, Instant::now());
        assert_eq!(
            self.session.say(),
            Err(End::Reset),
            "{family}\n{}",
            daemon.log()
        );
        for transfer in &self.transfers {
            let end = transfer.end_within(NEXT_PACKET, since);
            let is_reset = matches!(end, Some((_, End::Reset)));
            assert!(is_reset, "{family} {end:?}\n{}", daemon.log());
        }
    }
}

fn panic_if_failed<T>(opened: Result<T, End>, family: Family) -> T {
    opened.unwrap_or_else(|end| super::lab::fail(&format!("not connected in {family}: {end:?}")))
}

/// A stranger's connection to the LAN host by a forwarded port of a provider's address.
fn forwarded(lab: &Lab, number: usize) -> Result<Session, End> {
    use super::lab::firewall::FORWARDED;
    use super::lab::flows::LINES;
    let provider = lab.provider(number);
    let to = (provider.own(Family::V4), FORWARDED + LINES).into();
    Session::open_at(&provider.server, to)
}

/// The services of the LAN host, which say 77.
fn at_home(lab: &Lab) -> Services {
    let mut addresses = vec!["198.51.100.2".parse().unwrap()];
    let of = |provider: &Provider| IpAddr::V6(Provider::in_prefix(provider.number, 2));
    addresses.extend(lab.providers.iter().map(of));
    Services::start(&lab.lan, &addresses, AT_HOME)
}

/// See [`at_home`].
const AT_HOME: u8 = 77;
/// The router's own services.
const ROUTER: u8 = 66;

//! The names of web servers: resolved through the path itself, by the configured resolver, and cached for the TTL.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::lab::capture::{Capture, index};
use super::super::lab::rights::in_lab;
use super::super::lab::servers::dns::{Behaviour as Dns, DnsServer, PORT};
use super::super::lab::servers::http::{Behaviour as Http, HttpServer};
use super::super::lab::{Daemon, Family, Lab, Settings};
use super::{
    elsewhere, never_offline, offline_because, one_provider, single_check, target,
    wait_for_requests,
};

const NAME: &str = "www.example.com";

/// A check of a page by the server's name; the resolver is at the second target.
fn of_name(lab: &Lab, family: Family, name: &str, interval: &str) -> Settings {
    single_check(
        lab,
        family,
        &[
            ("type", "http"),
            ("target", name),
            ("family", family.name()),
            ("resolver", &elsewhere(family).to_string()),
            ("interval", interval),
        ],
    )
}

fn resolver(lab: &Lab, family: Family, behaviour: Dns) -> DnsServer {
    let provider = lab.provider(1);
    DnsServer::start(provider, elsewhere(family), target(family), None, behaviour)
}

fn web_server(lab: &Lab, at: IpAddr) -> HttpServer {
    HttpServer::start(lab.provider(1), at, Http::NoContent)
}

fn through_the_path(family: Family) {
    let lab = super::two_providers();
    // The check goes through the second provider, which does not lead.
    let provider = lab.provider(2);
    let (at, by) = (target(family), elsewhere(family));
    let resolver = DnsServer::start(provider, by, at, None, Dns::ForgedThenRight(at));
    let server = HttpServer::start(provider, at, Http::NoContent);
    let settings = of_name(&lab, family, NAME, "100ms")
        .ping("ping", family)
        .list("provider", "isp1", "check", "ping")
        .list("provider", "isp2", "check", "it");
    let mut capture = Capture::start(&lab.router);
    let daemon = Daemon::start(&lab.router, &settings);
    daemon.wait_for_all("online");

    wait_for_requests(&daemon, &server, 10);
    assert_eq!(resolver.asked(), 1, "its address is remembered");
    let query = &resolver.requests()[0];
    assert_eq!(query.name, NAME);
    let request = &server.requests()[0];
    let own = provider.own(family);
    assert_eq!((query.from.ip(), request.from.ip()), (own, own));
    assert!(request.text.contains("\r\nHost: www.example.com\r\n"));
    // No other resolver was asked, in particular not the system's.
    let device = index(&lab.router, &provider.device);
    let queries = capture
        .packets()
        .iter()
        .filter(|packet| packet.outgoing && packet.to().is_some_and(|to| to.port() == PORT));
    let seen: Vec<_> = queries.map(|packet| (packet.device, packet.to())).collect();
    assert_eq!(seen, [(device, Some(SocketAddr::new(by, PORT)))]);
}

#[test]
fn a_name_is_resolved_through_the_path_in_ipv4() {
    in_lab(|| through_the_path(Family::V4));
}

#[test]
fn a_name_is_resolved_through_the_path_in_ipv6() {
    in_lab(|| through_the_path(Family::V6));
}

#[test]
fn an_address_is_cached_for_its_ttl() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let resolver = resolver(&lab, family, Dns::Right(target(family), 1));
        let server = web_server(&lab, target(family));
        let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
        daemon.wait_for_all("online");
        wait_for_requests(&daemon, &resolver, 2);
        let queries = resolver.requests();
        // One second each, less the time until an answer is read.
        let early = Duration::from_millis(900);
        assert!(queries.windows(2).all(|q| q[1].at - q[0].at > early));
        assert!(server.asked() > 2 * queries.len());
        never_offline(&daemon);
    });
}

/// If the address does not answer any more, the server may have moved.
fn moves(family: Family, leave: impl FnOnce(&Lab, &HttpServer)) {
    let lab = one_provider();
    let [from, to] = [target(family), elsewhere(family)];
    let resolver = resolver(&lab, family, Dns::Right(from, 3600));
    let (old, new) = (web_server(&lab, from), web_server(&lab, to));
    let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "1s"));
    daemon.wait_for_all("online");
    assert_eq!(new.asked(), 0);
    let before = resolver.asked();
    resolver.set(Dns::Right(to, 3600));
    leave(&lab, &old);
    wait_for_requests(&daemon, &new, 2);
    assert_eq!(resolver.asked(), before + 1);
    never_offline(&daemon);
}

#[test]
fn a_server_that_refuses_is_looked_for_again() {
    in_lab(|| moves(Family::V6, |_, old| old.set(Http::Refuses)));
}

#[test]
fn a_server_that_is_gone_is_looked_for_again() {
    in_lab(|| {
        moves(Family::V4, |lab, _| {
            let swallow = format!(
                "table inet swallow {{
                    chain arriving {{
                        type filter hook prerouting priority -300;
                        ip daddr {} tcp dport 80 drop
                    }}
                }}",
                target(Family::V4)
            );
            lab.provider(1).server.feed(&["nft", "-f", "-"], &swallow);
        });
    });
}

/// A portal that answers all queries with its own address: its answer is forgotten when the portal is gone.
fn portal(family: Family) {
    let lab = one_provider();
    let [right, portal] = [target(family), elsewhere(family)];
    let resolver = resolver(&lab, family, Dns::Right(portal, 3600));
    let (server, its_page) = (web_server(&lab, right), web_server(&lab, portal));
    its_page.set(Http::Redirect);
    let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
    daemon.wait_for("isp1", family.name(), "offline");
    wait_for_requests(&daemon, &its_page, 3);
    assert_eq!(server.asked(), 0);
    // The portal's web server stays, with its page.
    resolver.set(Dns::Right(right, 3600));
    daemon.wait_for_all("online");
    let (before, asked) = (resolver.asked(), server.asked());
    wait_for_requests(&daemon, &server, 10);
    assert_eq!(resolver.asked(), before, "now it is remembered");
    assert!(asked > 0);
}

#[test]
fn a_portals_answer_is_forgotten_in_ipv4() {
    in_lab(|| portal(Family::V4));
}

#[test]
fn a_portals_answer_is_forgotten_in_ipv6() {
    in_lab(|| portal(Family::V6));
}

/// The router's own web server has the page, but it is not on the Internet.
fn own_address(family: Family) {
    let lab = one_provider();
    let own = lab.provider(1).own(family);
    let resolver = resolver(&lab, family, Dns::Right(own, 3600));
    let lan = super::super::lab::topology::LAN_ROUTER[family as usize];
    let ours = [own, lan].map(|at| HttpServer::start_in(&lab.router, at, Http::NoContent));
    let _server = web_server(&lab, target(family));
    let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
    let reason = "name resolved to an address of this router (a captive portal?)";
    offline_because(&daemon, family, &[reason]);
    resolver.set(Dns::Right(target(family), 1));
    daemon.wait_for_all("online");
    resolver.set(Dns::Right(lan, 3600));
    offline_because(&daemon, family, &[reason]);
    assert!(ours.iter().all(|server| server.asked() == 0));
}

#[test]
fn our_own_address_is_no_server_in_ipv4() {
    in_lab(|| own_address(Family::V4));
}

#[test]
fn our_own_address_is_no_server_in_ipv6() {
    in_lab(|| own_address(Family::V6));
}

/// An address that cannot be connected to is not cached either.
fn invalid_address(family: Family, address: IpAddr) {
    let lab = one_provider();
    let resolver = resolver(&lab, family, Dns::Right(address, 3600));
    let _server = web_server(&lab, target(family));
    let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
    daemon.wait_for("isp1", family.name(), "offline");
    wait_for_requests(&daemon, &resolver, 2);
    resolver.set(Dns::Right(target(family), 3600));
    daemon.wait_for_all("online");
}

#[test]
fn an_invalid_address_is_not_cached_in_ipv4() {
    in_lab(|| invalid_address(Family::V4, [255, 255, 255, 255].into()));
}

#[test]
fn an_invalid_address_is_not_cached_in_ipv6() {
    in_lab(|| invalid_address(Family::V6, [0xff02, 0, 0, 0, 0, 0, 0, 1].into()));
}

/// After a reload with another name, the cached address of the same check is not used.
#[test]
fn a_reload_with_another_name_resolves_that() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let [from, to] = [target(family), elsewhere(family)];
        let resolver = resolver(&lab, family, Dns::Right(from, 3600));
        let (old, new) = (web_server(&lab, from), web_server(&lab, to));
        let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
        daemon.wait_for_all("online");
        wait_for_requests(&daemon, &old, 3);

        resolver.set(Dns::Right(to, 3600));
        daemon.configure(&of_name(&lab, family, "other.example.com", "100ms"));
        daemon.must(&["reload"]);
        wait_for_requests(&daemon, &new, 3);
        let queries = resolver.requests();
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        let changes = names.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "{names:?}");
        assert_eq!(names.last(), Some(&"other.example.com"));
    });
}

#[test]
fn a_name_that_cannot_be_resolved() {
    in_lab(|| {
        let (lab, family) = (one_provider(), Family::V4);
        let good = Dns::Right(target(family), 0);
        let resolver = resolver(&lab, family, good);
        let _server = web_server(&lab, target(family));
        let daemon = Daemon::start(&lab.router, &of_name(&lab, family, NAME, "100ms"));
        daemon.wait_for_all("online");
        for behaviour in [
            Dns::Silent,
            Dns::Gone,
            Dns::Rcode(3),
            Dns::Empty,
            Dns::CutShort(target(family)),
            Dns::WrongId(target(family)),
            Dns::FromElsewhere(target(family)),
            Dns::OfOther(target(family)),
            Dns::Right([127, 0, 0, 1].into(), 3600),
            Dns::Right([0, 0, 0, 0].into(), 3600),
            Dns::Right([224, 0, 0, 1].into(), 3600),
        ] {
            resolver.set(behaviour);
            offline_because(&daemon, family, &["name not resolved"]);
            resolver.set(good);
            daemon.wait_for_all("online");
        }
    });
}

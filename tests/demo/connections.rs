//! The second part: the router masquerades and tracks connections, which live through what happens to the uplinks.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::lab::firewall::FORWARDED;
use crate::lab::flows::{ALL, LINES, Services, Session, Transfer};
use crate::lab::topology::target;
use crate::lab::{Family, Flow, Lab, Settings, wait_until};
use crate::story::{Line, Story};
use crate::track::Track;

/// Timeout for the daemon's firewall table, and for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// The LAN host.
const HOST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));
/// What the LAN host's server tells of itself.
const HOST_NUMBER: u8 = 77;
/// What the kernel must have: the user's port forward needs the same as the daemon's table.
const TRIAL: &str = "add table inet lab_trial { chain c { type filter hook forward priority 0; ct state new ct mark 1; }; \
     chain n { type nat hook postrouting priority 0; masquerade; }; }; delete table inet lab_trial";

impl Story<'_> {
    /// The whole part; or what is missing for it.
    pub(crate) fn tell_of_connections(&mut self) {
        println!(
            "{}\n
The router gets `option masquerade '1'` for both providers, `failover reload`,
and from its user a port forward to the LAN host. The kernel tracks connections
now, and `failover` knows by which provider each of them left or came.\n",
            self.paint.bold("Connections live through it")
        );
        let ready = missing(self.lab).map_or(Ok(()), Err);
        if let Err(why) = ready.and_then(|()| self.masquerade()) {
            println!("  {}\n", self.paint.red(&format!("Left out: {why}")));
            return;
        }
        let _internet = Services::everywhere(self.lab);
        let _host = Services::start(&self.lab.lan, &[HOST], HOST_NUMBER);
        self.call();
        self.download();
        self.port_forward();
    }

    /// The daemon's table is in force afterwards.
    fn masquerade(&self) -> Result<(), String> {
        let settings = Settings::fast(self.lab)
            .provider("isp1", "masquerade", "1")
            .provider("isp2", "masquerade", "1");
        self.daemon.configure(&settings);
        self.daemon.must(&["reload"]);
        self.lab.forward_ports(&ALL);
        let list = ["nft", "list", "table", "inet", "failover"];
        let there = wait_until(PATIENCE, || self.lab.router.output(&list).status.success());
        let status = || self.daemon.must(&["status"]);
        there
            .then_some(())
            .ok_or_else(|| format!("the daemon's firewall table is not there:\n{}", status()))
    }

    /// A datagram each 5 ms and its answer: what a call is to routers.
    fn call(&mut self) {
        self.lines = Family::ALL.map(|family| self.call_in(family)).into();
        self.step(
            "A call, isp1's upstream dies",
            "the same call goes on by isp2",
            |lab, _| lab.upstream_dies(1),
        );
    }

    fn call_in(&self, family: Family) -> Line {
        let call = Flow::start_every(self.lab, target(family), Duration::from_millis(5));
        call.goes_by(1, PATIENCE);
        Line::new(family.to_string(), "", 2, call)
    }

    /// It began by isp2, and must not notice that isp1 returns.
    fn download(&mut self) {
        let downloads = Family::ALL.map(|family| self.download_in(family));
        let others = Family::ALL.map(|family| self.new_connections_in(family));
        self.lines = downloads.into_iter().chain(others).collect();
        self.step(
            "A download, isp1 heals",
            "the old one stays, new connections take isp1",
            |lab, _| lab.upstream_returns(1),
        );
    }

    fn download_in(&self, family: Family) -> Line {
        let download = Transfer::download(&self.lab.lan, target(family));
        let mut before = 0;
        let track = Track::start(&self.lab.lan, move || {
            let download = download.as_ref().ok()?;
            let pieces = download.pieces();
            let more = pieces > std::mem::replace(&mut before, pieces);
            more.then_some(download.by)
        });
        Line::new(format!("{family} old"), "… the download", 2, track)
    }

    fn new_connections_in(&self, family: Family) -> Line {
        let server = SocketAddr::from((target(family), LINES));
        let track = Track::start(&self.lab.lan, move || {
            let patience = Duration::from_millis(500);
            let mut stream = TcpStream::connect_timeout(&server, patience).ok()?;
            stream.set_read_timeout(Some(patience)).ok()?;
            let mut number = [0];
            stream.read_exact(&mut number).ok()?;
            Some(number[0])
        });
        Line::new(format!("{family} new"), "… new connections", 1, track)
    }

    /// A connection from outside by each provider, whichever leads.
    fn port_forward(&mut self) {
        self.lines = [1, 2].map(|number| self.inbound_by(number)).into();
        self.step(
            "A port forward, use isp2",
            "reached by both providers, whichever leads",
            |_, daemon| drop(daemon.must(&["use", "isp2"])),
        );
    }

    fn inbound_by(&self, number: u8) -> Line {
        let provider = self.lab.provider(number.into());
        let address = (provider.own(Family::V4), FORWARDED + LINES);
        let mut session = Session::open_at(&provider.server, address.into());
        let track = Track::start(&provider.server, move || {
            let session = session.as_mut().ok()?;
            let answer = session.say_within(Duration::from_millis(500));
            answer.ok().map(|()| number)
        });
        let by = if number == 1 {
            "… by isp1"
        } else {
            "… by isp2"
        };
        Line::new(format!("ipv4 by {number}"), by, number, track)
    }
}

/// What this machine lacks.
fn missing(lab: &Lab) -> Option<String> {
    if Command::new("nft").arg("-v").output().is_err() {
        return Some("it needs the program `nft`: install the package nftables.".to_owned());
    }
    let trial = lab.router.output(&["nft", TRIAL]);
    let complaint = String::from_utf8_lossy(&trial.stderr).into_owned();
    let line = complaint.lines().next().unwrap_or_default();
    (!trial.status.success()).then(|| {
        format!("this kernel cannot track connections or masquerade with nftables ({line}).")
    })
}

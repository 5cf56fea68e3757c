//! A daemon that is flooded by clients, stopped for a while, or idle: its resources, and what it still does.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use failover::limits::FRAME_MAX;
use failover::wire::control::{Reply, Request};
use failover::wire::frame;
use failover::wire::snapshot::Path;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind, recvfrom, sendto,
    socket,
};

use super::inspect::{Random, Usage, counter, path};
use super::lab::calls::Slowed;
use super::lab::rights::{in_lab, required};
use super::lab::topology::target;
use super::lab::{Daemon, Family, Flow, LIFETIME, Lab, Settings, wait_until};
use super::{SLACK, SOON, leads, online, online_with};

/// Clients that connect and send nothing, send garbage, or request everything and read nothing, until `stop`.
fn flood(socket: &FilePath, kind: usize, stop: &AtomicBool) {
    let mut silent = Vec::new();
    let mut random = Random(0xbad + kind as u64);
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(1));
        let Ok(mut stream) = UnixStream::connect(socket) else {
            continue;
        };
        stream
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        match kind {
            0 => {
                silent.push(stream);
                if silent.len() > 50 {
                    silent.remove(0);
                }
            }
            1 => {
                let garbage: Vec<u8> = (0..random.below(3000))
                    .map(|_| u8::try_from(random.below(256)).unwrap())
                    .collect();
                let _ = stream.write_all(&garbage);
                let _ = stream.read(&mut [0; 64]);
            }
            _ => {
                // A huge length, and then one byte at a time.
                let _ = stream.write_all(&[0xff, 0xff]);
                let _ = stream.write_all(&[1]);
                silent.push(stream);
                if silent.len() > 20 {
                    silent.clear();
                }
            }
        }
    }
}

#[test]
fn a_daemon_flooded_by_clients_swaps_in_time() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let flow = Flow::start(&lab, target(Family::V4));
        assert!(flow.goes_by(1, SOON));
        let (socket, stop) = (daemon.file("state/control.sock"), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for kind in 0..3 {
                let (socket, stop) = (&socket, &stop);
                scope.spawn(move || flood(socket, kind, stop));
            }
            std::thread::sleep(Duration::from_millis(500));
            let mut outages = Vec::new();
            for _ in 0..5 {
                let struck = flow.now();
                lab.pull_cable(1);
                let left = flow.goes_by(2, SOON);
                outages.push(flow.outage(struck));
                lab.plug_cable(1);
                let back = flow.goes_by(1, SOON);
                if !left || !back {
                    break;
                }
            }
            // Proper clients are still served.
            let asked = Instant::now();
            let answers = (0..20)
                .filter(|_| daemon.command(&["status"]).status.success())
                .count();
            let took = asked.elapsed();
            stop.store(true, Ordering::Relaxed);
            outages.sort_unstable();
            println!("{outages:?}; {answers} answers in {took:?}");
            assert_eq!(outages.len(), 5, "{}", daemon.log());
            // One in five may be slow because of a busy machine.
            assert!(
                outages[3] <= Duration::from_millis(20) + SLACK,
                "{outages:?}"
            );
            assert!(answers >= 15, "{answers} in {took:?}");
        });
        assert!(
            daemon.path_states().iter().all(|(_, _, s)| s == "online"),
            "{}",
            daemon.log()
        );
    });
}

/// Without a free descriptor it still swaps, and opens its sockets later.
#[test]
fn it_runs_out_of_descriptors() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let pid = daemon.pid().to_string();
        let limit = |descriptors: usize| {
            let limit = format!("--nofile={descriptors}:");
            lab.router.run(&["prlimit", "--pid", &pid, &limit]);
        };
        // All descriptors are in use: no other can be opened.
        limit(3);
        lab.pull_cable(1);
        assert!(leads(&lab, 2), "{}", daemon.log());
        lab.plug_cable(1);
        let told = || daemon.log().matches("no probes on eth1").count() == 2;
        assert!(wait_until(SOON, told), "{}", daemon.log());
        limit(512);
        assert!(leads(&lab, 1), "{}", daemon.log());
        daemon.wait_for_all("online");
    });
}

/// More events than the socket holds: until all of them are read, the kernel silently drops new ones.
#[test]
fn events_dropped_during_an_overrun_are_recovered() {
    in_lab(|| {
        let lab = Lab::new();
        for number in [1, 2] {
            let metric = u32::try_from(number).unwrap();
            lab.learn_default(number, Family::V4, "dhcp", 20 + metric);
            lab.learn_default(number, Family::V6, "ra", 2000 + metric);
        }
        let daemon = online_with(&lab, &Settings::learning(&lab).global("down", "20"));
        let Some(slowed) = Slowed::start(&daemon, "recvfrom", Duration::from_millis(1)) else {
            assert!(!required(), "no `strace`");
            eprintln!("SKIPPED: no `strace`");
            return;
        };
        daemon.signal(Signal::SIGSTOP);
        let flood = (0..6000).map(|n| {
            let host = n % 200 + 2;
            format!("route replace default via 198.51.100.{host} dev lan0 table 999")
        });
        lab.router.ip(&flood.collect::<Vec<_>>().join("\n"));
        daemon.signal(Signal::SIGCONT);
        // The daemon reads 256 messages in a row; there are more than a thousand.
        assert!(wait_until(SOON, || slowed.calls() > 600));
        let moved = lab.move_gateway(2).gateway_v4;
        lab.learn_default(2, Family::V4, "dhcp", 22);
        drop(slowed);
        let gateway = || path(&daemon.status(), "isp2", "ipv4")["gateway"].clone();
        let learned = || gateway() == moved.to_string();
        assert!(wait_until(SOON, learned), "{}\n{}", gateway(), daemon.log());
        assert!(counter(&daemon, "overruns") > 0);
        daemon.wait_for_all("online");
    });
}

/// A stopped process, a suspended machine: probes that were not sent do not count as unanswered, and are not sent later.
#[test]
fn a_pause_of_the_daemon_is_no_failure() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online(&lab);
        let mut random = Random(0x9a5e);
        for pause_ms in [5000, 700, 700, 700, 400, 400] {
            let before = counter(&daemon, "probes_sent");
            daemon.signal(Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(pause_ms));
            let since = Instant::now();
            daemon.signal(Signal::SIGCONT);
            let sent = counter(&daemon, "probes_sent") - before;
            // Four paths, ten times a second; and the probes sent before the pause.
            let fair = 8 + 4 * u64::try_from(since.elapsed().as_millis() / 100 + 1).unwrap();
            assert!(sent <= fair, "{sent} probes after {pause_ms} ms");
            std::thread::sleep(Duration::from_millis(500 + random.below(100)));
        }
        assert!(
            !daemon.whole_log().contains("→ offline"),
            "{}",
            daemon.log()
        );
        assert!(leads(&lab, 1));
    });
}

/// The targets behind one provider answer pings with a delay, as over a radio link: in place of the kernel.
fn answer_late(lab: &Lab, number: usize, delay: Duration, stop: &AtomicBool) {
    let server = &lab.provider(number).server;
    server.sysctl("ipv4/icmp_echo_ignore_all", 1);
    let IpAddr::V4(target) = target(Family::V4) else {
        return;
    };
    let socket = server.enter(|| {
        let kind = (AddressFamily::Inet, SockType::Raw);
        let flags = SockFlag::SOCK_NONBLOCK;
        let socket = socket(kind.0, kind.1, flags, SockProtocol::Icmp).unwrap();
        bind(
            socket.as_raw_fd(),
            &SockaddrIn::from(SocketAddrV4::new(target, 0)),
        )
        .unwrap();
        socket
    });
    let mut waiting = VecDeque::new();
    let mut buffer = [0; 256];
    let end = Instant::now() + LIFETIME;
    while !stop.load(Ordering::Relaxed) && Instant::now() < end {
        while let Ok((length, Some(from))) = recvfrom::<SockaddrIn>(socket.as_raw_fd(), &mut buffer)
        {
            let mut message = buffer[20..length].to_vec();
            if message[0] != 8 {
                continue;
            }
            // A reply differs from its request by the type, 0 instead of 8, and by the checksum (RFC 1624).
            let (sum, carry) = u16::from_be_bytes([message[2], message[3]]).overflowing_add(0x0800);
            message[0] = 0;
            message[2..4].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
            waiting.push_back((Instant::now() + delay, message, from));
        }
        while waiting
            .front()
            .is_some_and(|(at, _, _)| *at <= Instant::now())
        {
            let (_, message, to) = waiting.pop_front().unwrap();
            let _ = sendto(socket.as_raw_fd(), &message, &to, MsgFlags::empty());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Rounds overlap if answers take longer than the interval: answers that arrived during the pause were in time.
#[test]
fn a_pause_is_no_failure_on_a_slow_link_either() {
    in_lab(|| {
        let lab = Lab::new();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| answer_late(&lab, 1, Duration::from_millis(240), &stop));
            let daemon = online_with(&lab, &Settings::fast(&lab).global("down", "2"));
            let rtt = path(&daemon.status(), "isp1", "ipv4")["rtt_ms"]["last"].as_f64();
            let mut random = Random(0x9a5e);
            for _ in 0..5 {
                daemon.signal(Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(1000));
                daemon.signal(Signal::SIGCONT);
                std::thread::sleep(Duration::from_millis(500 + random.below(100)));
            }
            stop.store(true, Ordering::Relaxed);
            assert!(rtt > Some(200.0), "{rtt:?}");
            assert!(
                !daemon.whole_log().contains("→ offline"),
                "{}",
                daemon.log()
            );
        });
    });
}

/// In steady state, memory and descriptors do not grow.
#[test]
fn the_steady_state_grows_nothing() {
    in_lab(|| {
        let lab = Lab::new();
        let daemon = online_with(&lab, &Settings::fast(&lab).global("interval", "20ms"));
        std::thread::sleep(Duration::from_millis(1500));
        let (before, written) = (Usage::of(&daemon), daemon.log().len());
        let saved = || {
            daemon
                .file("state/state")
                .metadata()
                .unwrap()
                .modified()
                .unwrap()
        };
        let last_saved = saved();
        std::thread::sleep(Duration::from_secs(8));
        let after = Usage::of(&daemon);
        assert_eq!(after.descriptors, before.descriptors);
        assert!(
            after.memory_kb <= before.memory_kb + 8,
            "{before:?} {after:?}"
        );
        assert_eq!(saved(), last_saved, "nothing has happened");
        assert_eq!(daemon.log().len(), written, "{}", daemon.log());
        let status = daemon.status();
        assert_eq!(
            path(&status, "isp1", "ipv4")["loss_percent"].as_f64(),
            Some(0.0)
        );
        assert_eq!(status["counters"]["repairs"], 0);
        assert_eq!(status["counters"]["kernel_errors"], 0);
    });
}

/// Sixty-four providers without devices, with the largest number of checks: their status is more than a socket takes.
fn many_providers() -> String {
    let mut text = String::from("config globals 'globals'\n\toption profile 'fast'\n");
    for number in 1..=64 {
        text += &format!("config provider 'isp{number}'\n\toption device 'ghost{number}'\n");
    }
    for number in 1..=8 {
        for (family, target) in [
            ("four", format!("203.0.113.{number}")),
            (
                "six",
                format!("2001:db8:1111:2222:3333:4444:5555:666{number}"),
            ),
        ] {
            let name = format!("a_name_of_some_length_{family}_{number}");
            text += &format!(
                "config check '{name}'\n\toption type 'ping'\n\toption target '{target}'\n"
            );
        }
    }
    text
}

/// Requests the status, and reads nothing. The whole status is more than the socket holds.
fn asks_and_waits(daemon: &Daemon) -> UnixStream {
    let mut stream = UnixStream::connect(daemon.file("state/control.sock")).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut buffer = [0; FRAME_MAX];
    let length = frame::encode(&mut Request::Status, &mut buffer).unwrap();
    stream.write_all(&buffer[..length]).unwrap();
    // When the second request is answered, the daemon has read the first.
    daemon.must(&["status"]);
    stream
}

/// All remaining frames, and whether the last one was the end.
fn reads_on(mut stream: UnixStream) -> (Vec<Reply>, bool) {
    let (mut bytes, mut replies) = (Vec::new(), Vec::new());
    stream.read_to_end(&mut bytes).unwrap();
    let mut rest = &bytes[..];
    while let Some((reply, taken)) = frame::decode::<Reply>(rest).unwrap_or_default() {
        rest = &rest[taken..];
        replies.push(reply);
    }
    let whole = replies.pop_if(|reply| *reply == Reply::Done).is_some();
    (replies, whole)
}

/// A reload while a client is in the middle of its answer: no path is shown with another provider.
#[test]
fn a_slow_reader_gets_each_path_with_its_provider() {
    in_lab(|| {
        let lab = Lab::new();
        let mut daemon = Daemon::prepare(&lab.router, &Settings::fast(&lab));
        let files = ["state_dir", "sticky_file"]
            .into_iter()
            .zip([daemon.file("state"), daemon.sticky_file()]);
        let files = files.map(|(option, file)| format!("\toption {option} '{}'\n", file.display()));
        let globals = "config globals 'globals'\n";
        let crowd =
            many_providers().replace(globals, &(globals.to_owned() + &files.collect::<String>()));
        daemon.configure_raw(&crowd);
        daemon.launch();

        let slow = asks_and_waits(&daemon);
        std::fs::write(daemon.sticky_file(), "whoever").unwrap();
        let warned = || !daemon.status()["warnings"].as_array().unwrap().is_empty();
        assert!(wait_until(SOON, warned));
        let (replies, whole) = reads_on(slow);
        assert!(whole);
        let mut providers = Vec::new();
        for reply in replies {
            match reply {
                Reply::Provider(head) => providers.push((head.id.to_string(), Vec::new())),
                Reply::Path(path) => providers.last_mut().unwrap().1.push(path),
                Reply::Warning(_) => panic!("it was not there when warnings were told"),
                _ => {}
            }
        }
        assert_eq!(providers.len(), 64);
        for (number, (id, paths)) in (1..).zip(&providers) {
            assert_eq!(*id, format!("isp{number}"));
            let of = |path: &Path| (path.family, path.device.as_ref().unwrap().to_string());
            let device = format!("ghost{number}");
            let want = Family::ALL.map(|family| (family, device.clone()));
            assert_eq!(paths.iter().map(of).collect::<Vec<_>>(), want);
        }

        // The order of the providers changes: the partial answer is outdated, and the client asks again.
        let slow = asks_and_waits(&daemon);
        daemon.configure_raw(&crowd.replace("'isp1'\n", "'isp1'\n\toption rank '70'\n"));
        daemon.must(&["reload"]);
        let (_, whole) = reads_on(slow);
        assert!(!whole);
    });
}

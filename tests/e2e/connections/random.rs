//! Random events: no connection of a healthy line, and none of others, is ever touched.

use super::*;
use crate::inspect::Random;
use crate::lab::flows::ALL;
use crate::lab::rights::in_lab;
use crate::lab::topology::LAN_ROUTER;

/// A connection that must answer, or may have been handed over.
struct Open {
    session: Session,
    family: Family,
    handed_over: bool,
}

struct Street<'lab> {
    lab: &'lab Lab,
    daemon: Daemon<'lab>,
    dead: [bool; 2],
    users: Vec<Open>,
    /// by which provider a stranger came
    strangers: Vec<(usize, Session)>,
    others: Vec<Session>,
}

impl Street<'_> {
    /// The provider's connections are handed over, if another leads.
    fn leaves(&mut self, number: u8) {
        let of = |open: &&mut Open| open.session.by == number;
        for open in self.users.iter_mut().filter(of) {
            open.handed_over = true;
        }
    }

    fn event(&mut self, random: &mut Random) -> String {
        let number = 1 + usize::try_from(random.below(2)).unwrap();
        let other = 3 - number;
        let name = format!("isp{number}");
        match random.below(7) {
            0 if !self.dead[other - 1] && !self.dead[number - 1] => {
                self.dead[number - 1] = true;
                self.lab.upstream_dies(number);
                self.leaves(u8::try_from(number).unwrap());
                for family in Family::ALL {
                    self.daemon.wait_for(&name, family.name(), "offline");
                }
                assert!(leads(self.lab, other));
                format!("{name} dies")
            }
            1 if self.dead[number - 1] => {
                self.dead[number - 1] = false;
                self.lab.upstream_returns(number);
                self.daemon.wait_for_all("online");
                format!("{name} returns")
            }
            2 if self.dead == [false; 2] => {
                self.daemon.must(&["use", &name]);
                self.leaves(u8::try_from(other).unwrap());
                assert!(leads(self.lab, number));
                self.daemon.must(&["use", "auto"]);
                self.daemon.wait_for_all("online");
                format!("a pin on {name}, and off")
            }
            3 => {
                self.daemon.kill9();
                self.daemon.launch();
                "SIGKILL".to_owned()
            }
            4 => {
                assert!(self.daemon.terminate().success());
                self.daemon.launch();
                "stop and start".to_owned()
            }
            5 => {
                self.daemon.must(&["reload"]);
                "reload".to_owned()
            }
            _ => {
                for family in Family::ALL {
                    if let Ok(session) = Session::open(&self.lab.lan, target(family)) {
                        self.users.push(Open {
                            session,
                            family,
                            handed_over: false,
                        });
                    }
                }
                if !self.dead[number - 1] {
                    let session = forwarded(self.lab, number).expect("it is answered");
                    self.strangers.push((number, session));
                }
                "new connections".to_owned()
            }
        }
    }

    /// After each event.
    fn check(&mut self, event: &str) {
        let log = self.daemon.log();
        self.users.retain(|open| !open.handed_over);
        for open in &mut self.users {
            let by = open.session.by;
            assert_eq!(
                open.session.say(),
                Ok(()),
                "{event}: {} by isp{by}\n{log}",
                open.family
            );
        }
        for (number, session) in &mut self.strangers {
            if !self.dead[*number - 1] {
                assert_eq!(session.say(), Ok(()), "{event}: inbound by {number}\n{log}");
            }
        }
        for session in &mut self.others {
            assert_eq!(session.say(), Ok(()), "{event}: of others\n{log}");
        }
    }
}

#[test]
fn no_connection_of_a_healthy_line_is_touched() {
    in_lab(|| {
        let (lab, _services) = household(Nat::Snat);
        lab.forward_ports(&ALL);
        let _home = (
            at_home(&lab),
            Services::start(&lab.router, &LAN_ROUTER, ROUTER),
        );
        let daemon = begin(&lab, &staying(&lab).global("on_stop", "keep"));
        let others = LAN_ROUTER.map(|own| Session::open(&lab.lan, own).unwrap());
        let mut street = Street {
            lab: &lab,
            daemon,
            dead: [false; 2],
            users: Vec::new(),
            strangers: Vec::new(),
            others: others.into(),
        };
        let mut random = Random(0x5eed_c0de);
        for number in 0..40 {
            let event = street.event(&mut random);
            println!("{number}: {event}");
            street.check(&event);
        }
    });
}

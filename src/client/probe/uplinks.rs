//! The uplinks of the probed provider, found as the daemon finds them.

use super::{Errand, OneWay, complain, look};
use crate::client::cli::Exit;
use crate::config::{Check, Config, Provider, RtTable};
use crate::linux::netlink::Requests;
use crate::linux::process::ubus::{Interfaces, told_of};
use crate::option::nearest;
use crate::routing::mirror::{EachNamed, Kinds, Mirror, Named};
use crate::types::{Duration, Family, PathId};

/// Timeout for netifd's answer, with time to see the end of `ubus`.
const PATIENCE: Duration = Duration::from_secs(6);

/// The probed provider, its uplinks, and the picture of the kernel's state that they come from.
pub(super) struct ProbedProvider<'a> {
    pub(super) config: &'a Config,
    pub(super) provider: &'a Provider,
    pub(super) mirror: Box<Mirror>,
    pub(super) ways: Vec<OneWay>,
    /// see [`Requests::own_targets`]
    own_targets: u32,
}

/// Reduces a configuration to what is to be probed: one provider, and all its checks or one.
pub(super) fn choose(config: &mut Config, errand: &Errand<'_>) -> Result<(), String> {
    let mut chosen = None;
    if let Some(name) = errand.check {
        let place = config.checks.iter().position(|check| check.name == name);
        chosen = Some(place.ok_or_else(|| no_check(config, name))?);
    }
    let mut providers = config.providers.iter();
    let Some(place) = providers.position(|provider| provider.id == errand.provider) else {
        return Err(match config.usable(errand.provider) {
            Err(unusable) => unusable.to_string(),
            Ok(_) => String::new(), // there is none
        });
    };
    config.providers.swap(0, place);
    config.providers.truncate(1);
    for provider in &mut config.providers {
        // A provider that is not in use can be probed as well, and one without a table of its own.
        provider.enabled = true;
        if provider.rt_table == RtTable::None {
            provider.rt_table = RtTable::Auto;
        }
        if let Some(place) = chosen {
            provider.checks = 1 << place;
        }
    }
    Ok(())
}

fn no_check(config: &Config, name: &str) -> String {
    let mut names = Vec::new();
    for check in &config.checks {
        names.push(check.name.as_str());
    }
    let mut text = format!("there is no check '{name}'");
    if let Some(meant) = nearest(name, &mut names.iter().copied()) {
        text += &format!(" (did you mean {meant}?)");
    }
    text + "; there are: " + &names.join(", ")
}

impl<'a> ProbedProvider<'a> {
    pub(super) fn look(
        config: &'a Config,
        requests: &mut Requests,
    ) -> Result<ProbedProvider<'a>, String> {
        let provider = config.providers.first().ok_or("there is no provider")?;
        let interfaces = ask_netifd(config);
        // The probed devices have room before all others.
        let named: &EachNamed<'_> = &|name| {
            name(Named::Table(config.globals.table));
            for &family in &Family::ALL {
                let told = told_of(&interfaces, provider, family);
                name(Named::Device(told.device));
                let _ = told.delegated.map(|prefix| name(Named::Prefix(prefix)));
                let own = provider.address[family];
                let _ = own.map(|own| name(Named::Address(own)));
            }
        };
        let (mut mirror, dumped) = look(requests, named, Kinds::ALL);
        dumped.map_err(|fault| format!("the kernel's routes cannot be read: {fault}"))?;
        for (name, _) in interfaces.failures() {
            let text = format_args!(
                "netifd tells nothing of it: see `ubus call network.interface.{name} status`"
            );
            complain(Exit::Ok, &text);
        }
        let mut ways = Vec::new();
        for &family in &Family::ALL {
            if config.path_checks(provider, family).next().is_some() {
                let told = told_of(&interfaces, provider, family);
                let kinds = &mut Kinds::default();
                let uplink = requests.uplink(config, provider, family, told, &mut mirror, kinds);
                let slot = provider.slot;
                let id = PathId { slot, family };
                ways.push(OneWay { id, uplink });
            }
        }
        Ok(ProbedProvider {
            config,
            provider,
            mirror,
            ways,
            own_targets: requests.own_targets(config),
        })
    }

    /// Whether a check would ask this machine itself.
    pub(super) fn is_own_target(&self, check: &Check) -> bool {
        self.own_targets & self.config.bit_of(check) != 0
    }
}

/// What netifd says of the interfaces that are named.
fn ask_netifd(config: &Config) -> Box<Interfaces> {
    let mut interfaces = Box::new(Interfaces::new());
    interfaces.follow(config);
    interfaces.look(PATIENCE, false);
    interfaces
}

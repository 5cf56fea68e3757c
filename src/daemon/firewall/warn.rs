//! The warnings about connections: each says what does not work, and what to install or to set.

use super::Firewall;
use crate::daemon::warnings::Warnings;
use crate::linux::process::nft::Failure;
use crate::linux::sysctl;
use crate::types::Family;

const WITHOUT: &str =
    "connections do not stay with their provider, and inbound ones are not answered by theirs";
const UNTRANSLATED: &str = "nothing is masqueraded, connections do not stay with their provider, and inbound ones are not \
     answered by theirs";
const INSTALL: &str = "install nftables (OpenWrt: the packages nftables, kmod-nft-fib and kmod-nft-nat), then `failover reload`";
const TRY: &str = "see what `nft list tables` does, then `failover reload`";

impl Firewall<'_> {
    /// Warns of what keeps connections from being kept or handed over.
    pub(in crate::daemon) fn warn(&self, warnings: &mut Warnings) {
        let masquerades = self.plan.members.iter().any(|member| member.masquerade);
        let without = if masquerades { UNTRANSLATED } else { WITHOUT };
        if masquerades && !sysctl::forwards(Family::V4) {
            let what =
                format_args!("masquerade is without effect: this machine does not forward IPv4");
            let cure = format_args!("`sysctl -w net.ipv4.ip_forward=1`, and in /etc/sysctl.d/");
            warnings.add("no-forwarding", None, what, cure);
        }
        let failed = match &self.failure {
            None => None,
            Some(Failure::Missing) => Some(("there is no program `nft`", "", INSTALL)),
            Some(Failure::Refused(why)) => Some((
                "`nft` cannot load table inet failover: ",
                why.as_str(),
                INSTALL,
            )),
            Some(_) => Some(("`nft` cannot be run, or takes too long", "", TRY)),
        };
        if let Some((what, why, cure)) = failed {
            let what = format_args!("{without}: {what}{why}");
            warnings.add("no-nft", None, what, format_args!("{cure}"));
        }
        if !(self.is_in_force(Family::V4) || self.is_in_force(Family::V6)) {
            return;
        }
        if self.lacks_deletion {
            let what = format_args!(
                "connections of a failed provider are not ended: the kernel cannot delete their conntrack entries by mark"
            );
            let cure =
                format_args!("install kmod-nf-conntrack-netlink, or load nf_conntrack_netlink");
            warnings.add("no-ctnetlink", None, what, cure);
        }
    }
}

//! What the rules and routes of other programs mean beside ours.

use super::layout::{everywhere, pref};
use super::objects::{Route, Rule, RuleVerdict, Selector};
use crate::types::{
    Family, IPV6_USUAL, Metric, PROTOCOL, RTPROT_DHCP, RTPROT_RA, TABLE_DEFAULT, TABLE_LOCAL,
    TABLE_MAIN,
};

/// The rules of others that our `goto`, at this preference, jumps over, though they do something else than what is done
/// where it leads, or before it.
pub fn jumped_over(rules: &[Rule], family: Family, goto: u32) -> impl Iterator<Item = &Rule> {
    let between = move |rule: &Rule| goto < rule.pref && rule.pref < pref::ANCHOR;
    let known = |rule: &Rule| match rule.verdict {
        RuleVerdict::Lookup(table) => matches!(table, TABLE_LOCAL | TABLE_MAIN | TABLE_DEFAULT),
        RuleVerdict::LookupSpecific(table) => table == TABLE_MAIN,
        _ => false,
    };
    rules.iter().filter(move |rule| {
        let is_done = matches!(rule.selector, Selector::All) && known(rule);
        rule.is_foreign(family) && between(rule) && !is_done
    })
}

/// Whether a former run has taken its `goto` away, and has left the rest of its rules.
pub fn is_goto_absent(rules: &[Rule], family: Family) -> bool {
    let mut ours = rules
        .iter()
        .filter(|rule| rule.family == family && rule.protocol == PROTOCOL);
    let has_anchor = ours.clone().any(|rule| rule.pref == pref::ANCHOR);
    has_anchor && !ours.any(|rule| matches!(rule.verdict, RuleVerdict::Goto(_)))
}

/// The default route in `main` by another device beside which a DHCP client or a script may be unable to add one by this
/// device: it has the metric of a route without one, or one from a DHCP client's configuration. The kernel has one route of a
/// metric ("File exists"), and replaces it when asked to. Those of router advertisements do not count: a client can add its own beside them.
pub fn rival(routes: &[Route], family: Family, device: u32) -> Option<&Route> {
    let plain = match family {
        Family::V4 => Metric(0),
        Family::V6 => IPV6_USUAL,
    };
    let by_another = |route: &&Route| {
        (route.table, route.destination) == (TABLE_MAIN, everywhere(family))
            && route.kind.leads()
            && route.device != device
            && route.from.is_none()
            && match route.protocol {
                PROTOCOL | RTPROT_RA => false,
                protocol => protocol == RTPROT_DHCP || route.metric == plain,
            }
    };
    let rivals = routes.iter().filter(by_another);
    rivals.min_by_key(|route| route.metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::layout::fixture::{foreign_default, kernel_rules};
    use crate::routing::objects::RouteKind;
    use crate::types::PROTOCOL;

    #[test]
    fn a_rival_has_the_metric_that_a_client_would_use() {
        let (v4, v6) = (Family::V4, Family::V6);
        for (family, device, metric, protocol, is_one) in [
            (v4, 2, 0, 3, true),
            (v4, 2, 0, 16, true),
            (v4, 2, 1024, 16, true),
            (v4, 2, 100, 3, false),
            (v4, 1, 0, 3, false),
            (v4, 2, 0, PROTOCOL, false),
            (v6, 2, 1024, 3, true),
            (v6, 2, 1024, 9, false),
            (v6, 2, 1, 3, false),
        ] {
            let route = Route {
                device,
                protocol,
                ..foreign_default(family, TABLE_MAIN, metric)
            };
            let refuses = Route {
                kind: RouteKind::Other,
                ..route
            };
            let elsewhere = Route { table: 7, ..route };
            let routes = [refuses, elsewhere, route];
            let found = rival(&routes, family, 1);
            assert_eq!(found, is_one.then_some(&route), "{route:?}");
        }
        let of = |metric| Route {
            protocol: 16,
            device: 2,
            ..foreign_default(v4, TABLE_MAIN, metric)
        };
        let routes = [of(7), of(5), of(6)];
        let best = rival(&routes, v4, 1);
        assert_eq!(best.map(|route| route.metric), Some(Metric(5)));
    }

    #[test]
    fn what_is_done_elsewhere_is_not_missed() {
        let mut rules = kernel_rules();
        let over = |rules: &[Rule], goto| -> Vec<u32> {
            let over = jumped_over(rules, Family::V4, goto);
            over.map(|rule| rule.pref).collect()
        };
        assert!(over(&rules, 19000).is_empty());
        let foreign = |pref, protocol, verdict| Rule {
            family: Family::V4,
            pref,
            protocol,
            selector: Selector::All,
            verdict,
        };
        let lookup = RuleVerdict::Lookup;
        rules.extend([
            foreign(19000, 3, lookup(100)),
            foreign(30000, 3, lookup(100)),
            foreign(32764, 3, RuleVerdict::LookupSpecific(TABLE_MAIN)),
            foreign(32765, 3, lookup(TABLE_LOCAL)),
            foreign(32767, 3, RuleVerdict::Unreachable),
            foreign(32799, 3, lookup(100)),
            foreign(32799, PROTOCOL, lookup(100)),
            foreign(32800, 3, lookup(100)),
        ]);
        assert_eq!(over(&rules, 19000), [30000, 32767, 32799]);
        assert_eq!(over(&rules, 32765), [32767, 32799]);
        rules[7].selector = Selector::Foreign;
        assert_eq!(over(&rules, 19000), [30000, 32764, 32767, 32799]);
        rules[7].family = Family::V6;
        assert_eq!(over(&rules, 19000), [30000, 32767, 32799]);
    }
}

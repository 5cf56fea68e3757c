//! The fields of the snapshot's parts, in their order on the control socket.

use super::{
    Check, CheckState, Counters, Header, History, ManualRoute, Path, ProviderHead, ProviderState,
    Reason, Rtt, Terms,
};
use crate::types::{
    Duration, Duty, Family, LastResort, Lead, Metric, Name, Preempt, State, Verdict,
};
use crate::wire::codec::{Codec, Message};
use crate::wire::journal;

impl Message for Header {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.text(&mut self.version);
        codec.long(&mut self.uptime_s);
        codec.optional_text(&mut self.pinned);
        codec.optional_long(&mut self.pinned_ms);
        codec.number(&mut self.table);
        codec.number(&mut self.mark_mask);
        codec.flag(&mut self.connections_marked.ipv4);
        codec.flag(&mut self.connections_marked.ipv6);
        for lead in [&mut self.active.ipv4, &mut self.active.ipv6] {
            pass_lead(codec, lead);
        }
        let [by, fallback] = [&mut self.overridden_by, &mut self.fallback];
        pass_route(codec, &mut by.ipv4);
        pass_route(codec, &mut by.ipv6);
        pass_route(codec, &mut fallback.ipv4);
        pass_route(codec, &mut fallback.ipv6);
        for route in &mut self.error_routes {
            codec.optional(route, |codec, route| {
                codec.number(&mut route.metric.0);
                codec.flag(&mut route.obeyed);
            });
        }
        let Counters {
            swaps,
            probes_sent,
            probes_answered,
            replies_rejected,
            icmp_errors,
            repairs,
            kernel_errors,
            overruns,
            undecodable,
            overflows,
            reloads,
        } = &mut self.counters;
        for counter in [
            swaps,
            probes_sent,
            probes_answered,
            replies_rejected,
            icmp_errors,
            repairs,
            kernel_errors,
            overruns,
            undecodable,
            overflows,
            reloads,
        ] {
            codec.number(counter);
        }
        for swaps in &mut self.swaps {
            codec.number(swaps);
        }
        pass_preempt(codec, &mut self.preempt);
        let resorts = [LastResort::First, LastResort::Keep, LastResort::Unreachable];
        codec.choice(&mut self.last_resort, &resorts);
    }
}

fn pass_lead(codec: &mut Codec<'_>, lead: &mut Lead<Name>) {
    let mut tag = match lead {
        Lead::Unknown => 0,
        Lead::NoRoute => 1,
        Lead::Refused => 2,
        Lead::By(_) => 3,
    };
    codec.byte(&mut tag);
    if codec.reads() {
        *lead = match tag {
            0 => Lead::Unknown,
            1 => Lead::NoRoute,
            2 => Lead::Refused,
            3 => Lead::By(Name::new()),
            _ => return codec.fail(),
        };
    }
    if let Lead::By(name) = lead {
        codec.text(name);
    }
}

/// `preempt` as its delay in microseconds: 0 is `yes`, all ones is `no`.
fn pass_preempt(codec: &mut Codec<'_>, preempt: &mut Preempt) {
    let mut micros = match preempt {
        Preempt::Yes => 0,
        Preempt::No => u64::MAX,
        Preempt::After(wait) => wait.total_micros(),
    };
    codec.long(&mut micros);
    if codec.reads() {
        *preempt = match micros {
            0 => Preempt::Yes,
            u64::MAX => Preempt::No,
            _ => Preempt::After(Duration::from_micros(micros)),
        };
    }
}

const STATES: [ProviderState; 7] = [
    ProviderState::Pinned,
    ProviderState::Disabled,
    ProviderState::Is(State::Online),
    ProviderState::Is(State::Probing),
    ProviderState::Is(State::Offline),
    ProviderState::Is(State::Frozen),
    ProviderState::Is(State::Waiting),
];

impl Message for ProviderHead {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.text(&mut self.id);
        codec.byte(&mut self.slot.0);
        codec.number(&mut self.rank);
        codec.choice(&mut self.state, &STATES);
        codec.flag(&mut self.disabled);
        codec.optional_long(&mut self.disabled_ms);
        codec.flag(&mut self.enabled);
    }
}

fn pass_metric(codec: &mut Codec<'_>, metric: &mut Option<Metric>) {
    codec.optional(metric, |codec, Metric(metric)| codec.number(metric));
}

fn pass_route(codec: &mut Codec<'_>, route: &mut Option<ManualRoute>) {
    codec.optional(route, |codec, route| {
        codec.text(&mut route.device);
        codec.number(&mut route.metric);
        codec.number(&mut route.table);
    });
}

const VERDICTS: [Verdict; 4] = [
    Verdict::Fresh,
    Verdict::Returning,
    Verdict::Online,
    Verdict::Offline,
];

impl Message for Path {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.choice(&mut self.family, &Family::ALL);
        codec.optional_text(&mut self.device);
        codec.choice(&mut self.state, &State::ALL);
        self.reason.pass(codec);
        codec.long(&mut self.since_ms);
        codec.address(&mut self.address);
        codec.address(&mut self.gateway);
        codec.byte(&mut self.gateways);
        codec.list(&mut self.resolvers, Codec::address);
        pass_metric(codec, &mut self.metric);
        pass_metric(codec, &mut self.overridden_by);
        codec.flag(&mut self.installed);
        codec.flag(&mut self.address_deprecated);
        codec.optional_text(&mut self.held_back_by);
        codec.optional_long(&mut self.takes_over_in_ms);
        codec.number(&mut self.rounds.good);
        codec.number(&mut self.rounds.failed);
        codec.signed(&mut self.rounds.streak);
        let Rtt {
            last,
            avg,
            stddev,
            min,
            max,
        } = &mut self.rtt_ms;
        for decimal in [&mut self.loss_percent, last, avg, stddev, min, max] {
            codec.optional_decimal(decimal);
        }
        codec.list(&mut self.checks, |codec, check| check.pass(codec));
        codec.optional(&mut self.cause, journal::pass_cause);
        codec.long(&mut self.cause_ms);
        codec.choice(&mut self.verdict, &VERDICTS);
        codec.optional(&mut self.better, |codec, (name, is_online)| {
            codec.text(name);
            codec.flag(is_online);
        });
        pass_route(codec, &mut self.rival);
        let Terms {
            up,
            down,
            window,
            max_failed,
            quorum,
        } = &mut self.terms;
        for number in [up, down, window, max_failed, quorum] {
            codec.byte(number);
        }
        for level in &mut self.levels {
            codec.optional(level, |codec, level| {
                codec.optional_number(&mut level.value);
                codec.number(&mut level.most);
                codec.number(&mut level.recover);
                codec.flag(&mut level.is_poor);
            });
        }
        codec.long(&mut self.outage_ms);
    }
}

impl Message for History {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.list(&mut self.0, Codec::number);
    }
}

impl Message for Reason {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.optional(&mut self.waiting, journal::pass_waiting);
        codec.choice(&mut self.duty, &[Duty::Checked, Duty::Pinned, Duty::Frozen]);
        codec.flag(&mut self.unchecked);
        codec.optional_text(&mut self.other);
        pass_metric(codec, &mut self.refused);
        codec.optional_text(&mut self.dropped);
    }
}

impl Message for Check {
    fn pass(&mut self, codec: &mut Codec<'_>) {
        codec.text(&mut self.name);
        codec.text(&mut self.kind);
        codec.text(&mut self.target);
        let states = [CheckState::Pending, CheckState::Ok, CheckState::Lost];
        codec.choice(&mut self.state, &states);
        codec.optional_decimal(&mut self.rtt_ms);
        codec.optional_decimal(&mut self.loss_percent);
        codec.number(&mut self.sent);
        codec.number(&mut self.received);
        codec.number(&mut self.ok);
        codec.number(&mut self.lost);
        codec.optional_number(&mut self.failing_s);
        codec.flag(&mut self.required);
        journal::pass_fault(codec, &mut self.fault);
        codec.long(&mut self.asked_ms);
        codec.optional_long(&mut self.answered_ms);
        codec.optional_long(&mut self.again_in_ms);
    }
}

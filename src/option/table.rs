//! The table of all options: names, forms of values, defaults, meanings.
//!
//! The program uses the names only. Forms, defaults and meanings exist only in builds of the tests. The tests compare them
//! with the code, with the tables in `docs/` (from which the manual is made), and with the comments of both shipped
//! configurations: see `config::described`. So these texts do not increase the size of the program.

#[cfg(test)]
pub(crate) use described::{Described, Form, Preset};

/// Makes from the table a list of names per group of options, and in builds of the tests their descriptions.
macro_rules! options {
    ($($list:ident { $($name:literal: $forms:expr, $preset:expr, $meaning:literal;)* })*) => {
        $(const $list: &[&str] = &[$($name),*];)*

        /// Every option, in the order of the documentation; the first column is the group.
        #[cfg(test)]
        pub(crate) static DESCRIBED: &[Described] = {
            use described::Form::*;
            use described::Preset::*;
            use described::*;
            &[$($(Described {
                group: stringify!($list),
                name: $name,
                forms: $forms,
                preset: $preset,
                meaning: $meaning,
            },)*)*]
        };
    };
}

options! {
    GLOBALS {
        "enabled": BOOLEAN, Is("1"), "with `0`, the daemon does not run";
        "start_metric": &[Positive], Is("100"),
            "the metric of the best default route; the others follow, one higher each";
        "table": &[Positive, Text("a name", "main")], Is("176"),
            "the swap table, by number or name: it holds the default routes";
        "rule_pref": &[Number(1, 31365)], Is("17600"),
            "the preference of the first of our rules that lead a certain way; the last of these is 1399 higher";
        "catch_all": &[Number(1401, 32765)], Is("32765"),
            "the preference of the rule that leads to the providers' order, at least `rule_pref` + 1400: what other programs put before it goes first";
        "yield": &[Word("auto"), Word("1"), Word("0")], Is("auto"),
            "whether a default route of others in `main`, with a metric below `start_metric` and by a device that is no provider's, prevails over ours: `1` each, `0` none, `auto` all but those that a management port may have";
        "sticky_file": PATH, Is("/etc/failover/sticky.provider"), "holds the id of the pinned provider";
        "last_resort": &[Word("first"), Word("keep"), Word("unreachable")], Is("first"),
            "what happens when no provider is healthy: the `first` in rank that has a gateway leads, `keep` the current one, or `unreachable`: refuse traffic at once";
        "preempt": &[Word("yes"), Word("no"), Span("0s", "24h")], Is("yes"),
            "when a better provider recovers: return to it at once (`yes`), never (`no`), or once it has been online for a duration";
        "on_stop": &[Word("restore"), Word("keep")], Is("restore"),
            "what a clean stop leaves: `restore` removes our routes, rules and firewall table, `keep` leaves them";
        "answers": BOOLEAN, Is("1"), "inbound connections are answered by the provider they came by";
        "dns_route": BOOLEAN, Is("1"), "a provider's own resolvers are asked through it while its path is usable";
        "ipv6_foreign": &[Word("masquerade"), Word("off")], Is("masquerade"),
            "what happens to packets of the LAN that leave by a provider, but have an IPv6 address from another one's prefix: `masquerade`, or `off`: nothing";
        "mark_mask": &[Text("a mask", "0x3fc0")], Is("0xff000000"),
            "the bits of firewall marks that are ours: two or more, without a gap";
        "state_dir": PATH, Is("/var/run/failover"), "the control socket, the lock and the saved state";
        "control_group": &[Text("a group", "monitor"), Text("its number", "1000")], Nothing,
            "a group, by name or number, whose members may ask for `status`, `explain` and `log`, and nothing else";
        "hooks_dir": PATH, Is("/etc/failover/hooks.d"), "its executables are run on transitions";
        "syslog_level": &[Word("error"), Word("warn"), Word("info"), Word("debug")], Is("info"),
            "what is logged: messages of this level and above";
    }
    PROFILE {
        "profile": &[Word("normal"), Word("fast"), Word("metered")], Is("normal"), "sets the timing options";
    }
    PROVIDER {
        "enabled": BOOLEAN, Is("1"), "with `0` the provider is not used: no probes, no routes";
        "device": &[Text("a device", "eth1")], Required, "the kernel's device";
        "device6": &[Text("a device", "eth2")], AsTold("`device`"), "the device for IPv6, if it differs";
        "interface": &[Text("a list of interfaces", "wan wan6")], Nothing,
            "logical interfaces of OpenWrt's netifd, instead of a `device`";
        "address": &[Text("a list of addresses", "192.0.2.10/24 2001:db8::10")], AsTold("learned"), "its own address";
        "gateway": &[Text("a list of addresses", "192.0.2.1 fe80::1")], AsTold("learned"), "the next router";
        "network": &[Text("a list of networks", "192.0.2.0/24 2001:db8::/64")], AsTold("as in `main`"),
            "the connected network, where its hosts are on the link though `main` has no such route";
        "rt_table": &[Word("auto"), Word("none"), Positive, Text("a name", "isp1")], Is("auto"),
            "its policy table: a number or name; `auto`: 17601 and those that follow; `none`: no table";
        "mark": &[Text("a mark", "0x10"), Text("a mark and a mask", "0x10/0xff")], Nothing,
            "a firewall mark: marked traffic leaves by this provider while its path is usable";
        "prefix": &[Text("a list of IPv6 prefixes", "2001:db8:1::/56 2001:db8:2::/60")], AsTold("learned"),
            "the prefixes that it delegates to the LAN";
        "masquerade": BOOLEAN, Is("0"),
            "with `1`, IPv4 that is not the router's own is masqueraded when it leaves by this provider";
        "dns": &[Text("a list of addresses", "192.0.2.53 2001:db8::53")], AsTold("netifd's"), "its resolvers";
        "dns_route": BOOLEAN, AsTold("globals' option"), "its resolvers are asked through it while its path is usable";
        "rank": &[Number(1, 65535)], AsTold("its position"), "its place in the order of preference; the lowest is best";
        "check": &[Word("all"), Text("a list of names", "extra0 extra1")], Is("all"),
            "the names of the checks that are made through it";
    }
    TIMING {
        "interval": &[Span("10ms", "24h")], PerProfile("1s", "100ms", "30s"), "between rounds";
        "timeout": &[Span("1ms", "63s")], PerProfile("1s", "300ms", "3s"),
            "a probe without an answer after this time is lost";
        "down": &[Number(1, 64)], PerProfile("3", "3", "3"), "consecutive failed rounds to go offline";
        "up": &[Number(1, 64)], PerProfile("3", "10", "2"), "consecutive good rounds to come online";
        "window": &[Number(1, 64)], PerProfile("50", "50", "50"), "rounds remembered";
        "max_failed": &[Number(0, 64)], AsTold("window"), "more failed rounds than this in the window: offline";
        "quorum": &[Number(1, 8), Word("all")], PerProfile("1", "1", "1"), "checks that must answer in a round";
        "connections": &[Word("stay"), Word("follow"), Span("1s", "24h"), Word("off")], PerProfile("stay", "stay", "follow"),
            "what a provider's connections do when another leads while it is still usable: `stay` until they end, stay for a duration at most, or `follow`: they are handed over at once";
    }
    QUALITY {
        "max_loss": &[Word("none"), Percent(2, 99)], Is("none"), "a higher percentage of lost probes: offline";
        "recover_loss": &[Word("none"), Percent(0, 99)], AsTold("three quarters of `max_loss`"),
            "at or below this: online again";
        "max_latency": &[Word("none"), Span("0.001ms", "1h")], Is("none"), "a longer average round trip: offline";
        "recover_latency": &[Word("none"), Span("0ms", "1h")], AsTold("three quarters of `max_latency`"),
            "at or below this: online again";
        "max_jitter": &[Word("none"), Span("0.001ms", "1h")], Is("none"),
            "a larger standard deviation of the round trips: offline";
        "recover_jitter": &[Word("none"), Span("0ms", "1h")], AsTold("three quarters of `max_jitter`"),
            "at or below this: online again";
    }
    CHECK {
        "type": &[Word("ping"), Word("tcp"), Word("dns"), Word("http"), Word("arp"), Word("ndp"), Word("exec")],
            Required, "the type of the check";
        "target": &[Text("an address", "192.0.2.1")], Required, "what it probes";
        "interval": &[Span("10ms", "24h")], AsTold("by type"), "time between probes";
        "required": BOOLEAN, Is("0"),
            "with `1` it must answer in every round, whatever the `quorum`; it also counts for the quorum";
        "family": &[Word("ipv4"), Word("ipv6")], AsTold("by the target"),
            "of an `exec` or `http` check whose target is not an address; without it: `ipv4`";
    }
    PING {
        "size": &[Number(32, 1472)], Is("32"), "bytes of payload";
        "ttl": &[Number(1, 255)], AsTold("the system's"), "time to live, or hop limit";
        "dscp": &[Number(0, 63)], Is("0"), "code point of differentiated services";
    }
    TCP {
        "port": &[Number(1, 65535)], Required, "the port to connect to";
        "accept_refused": BOOLEAN, Is("0"), "with `1`, a refused connection is a good answer too: the host is there";
    }
    DNS {
        "query": &[Text("a name", "www.example.com")], Required, "the name to ask for";
        "record": &[Word("A"), Word("AAAA"), Word("NS")], Is("A"), "the type of the record to ask for";
        "expect": &[Text("an address", "192.0.2.80")], Nothing, "an address that must be in the answer";
        "rcode": &[Number(0, 15)], Is("0"), "the RCODE that the answer must have";
        "port": &[Number(1, 65535)], Is("53"), "the server's port";
    }
    HTTP {
        "path": &[Text("a path", "/index.html")], Is("/"), "the page to ask for";
        "expect_status": &[Number(100, 599)], Is("204"), "the status of a good answer";
        "expect_body": &[Text("a text", "success")], Nothing, "a text that the page must contain";
        "host": &[Text("a name", "www.example.com")], AsTold("the target"), "the request's `Host` header";
        "port": &[Number(1, 65535)], Is("80"), "the server's port";
        "resolver": &[Text("an address", "192.0.2.53")], Is("9.9.9.9"),
            "the address of the DNS server that resolves a target that is a name; in IPv6 `2620:fe::fe`";
    }
    EXEC {
        "command": &[Text("a command", "true")], AsTold("the target"), "what `/bin/sh -c` runs";
    }
}

/// A kind of section and the options that it may have.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// the groups of its options
    pub(crate) groups: &'static [&'static [&'static str]],
}

impl Kind {
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.groups.iter().flat_map(|group| group.iter().copied())
    }

    /// The option whose name fits.
    pub(crate) fn find(&self, fits: &dyn Fn(&str) -> bool) -> Option<&'static str> {
        for group in self.groups {
            for name in *group {
                if fits(name) {
                    return Some(name);
                }
            }
        }
        None
    }
}

/// The kinds of sections that there are.
pub(crate) static KINDS: [Kind; 3] = [
    Kind {
        name: "globals",
        groups: &[GLOBALS, PROFILE, TIMING, QUALITY],
    },
    Kind {
        name: "provider",
        groups: &[PROVIDER, PROFILE, TIMING, QUALITY],
    },
    Kind {
        name: "check",
        groups: &[CHECK, PING, TCP, DNS, HTTP, EXEC],
    },
];

/// A type of check, and the options that not all types have.
pub(crate) struct CheckType {
    pub(crate) name: &'static str,
    pub(crate) options: &'static [&'static str],
}

/// Every type of check.
pub(crate) static CHECK_TYPES: [CheckType; 7] = [
    CheckType {
        name: "ping",
        options: PING,
    },
    CheckType {
        name: "tcp",
        options: TCP,
    },
    CheckType {
        name: "dns",
        options: DNS,
    },
    CheckType {
        name: "http",
        options: HTTP,
    },
    CheckType {
        name: "arp",
        options: &[],
    },
    CheckType {
        name: "ndp",
        options: &[],
    },
    CheckType {
        name: "exec",
        options: EXEC,
    },
];

/// The description of options.
#[cfg(test)]
mod described {
    use core::fmt;

    /// An option.
    #[derive(Debug)]
    pub(crate) struct Described {
        /// the group of options that it belongs to
        pub(crate) group: &'static str,
        pub(crate) name: &'static str,
        /// what its value may be: one of these
        pub(crate) forms: &'static [Form],
        pub(crate) preset: Preset,
        /// its meaning in one line, as it begins in `docs/`; typed text is between backticks
        pub(crate) meaning: &'static str,
    }

    /// A form that a value may have.
    #[derive(Debug)]
    pub(crate) enum Form {
        /// `1` or `0`, or one of their names
        Boolean,
        /// a whole number from 1 on
        Positive,
        /// a whole number between these
        Number(u32, u32),
        /// a whole percentage between these
        Percent(u32, u32),
        /// a duration between these
        Span(&'static str, &'static str),
        /// this word
        Word(&'static str),
        /// other text: what it is, and an example
        Text(&'static str, &'static str),
    }

    /// The value if the option is not set.
    #[derive(Debug)]
    pub(crate) enum Preset {
        /// this value
        Is(&'static str),
        /// these, by profile: normal, fast, metered
        PerProfile(&'static str, &'static str, &'static str),
        /// a value that depends on something else
        AsTold(&'static str),
        /// none
        Nothing,
        /// a section without it is refused
        Required,
    }

    pub(crate) const BOOLEAN: &[Form] = &[Form::Boolean];
    pub(crate) const PATH: &[Form] = &[Form::Text("a path", "/tmp/somewhere")];

    /// As a cell of a table in `docs/`.
    impl fmt::Display for Form {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Form::Boolean => f.write_str("boolean"),
                Form::Positive => f.write_str("a number"),
                Form::Number(least, most) => write!(f, "{least} to {most}"),
                Form::Percent(least, most) => write!(f, "{least} to {most}%"),
                Form::Span(least, most) => write!(f, "{least} to {most}"),
                Form::Word(word) => write!(f, "`{word}`"),
                Form::Text(what, _) => f.write_str(what),
            }
        }
    }

    /// As a cell of a table in `docs/`.
    impl fmt::Display for Preset {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Preset::Is(value) => write!(f, "`{value}`"),
                Preset::PerProfile(normal, fast, metered) => {
                    write!(f, "{normal} | {fast} | {metered}")
                }
                Preset::AsTold(told) => f.write_str(told),
                Preset::Nothing => f.write_str("none"),
                Preset::Required => f.write_str("required"),
            }
        }
    }
}

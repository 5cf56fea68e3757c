//! Likely mistakes, such as the syntax of other programs, and the messages that tell the correct form.

use super::{BASE, Case, assert_result, assert_said, good, load_whole};

#[test]
fn a_likely_mistake_is_reported_with_the_correct_form() {
    for (text, expected) in LINES {
        assert_said(&format!("{BASE}{text}"), expected);
    }
}

#[test]
fn an_unclosed_quote_is_the_only_error_at_its_opening_line() {
    for (text, expected) in QUOTES {
        assert_said(text, expected);
    }
    // A value may have several lines.
    let script = "config check 'b'\n option type 'exec'\n option command 'test\n -e options'\n";
    let config = good(&format!("{BASE}{script}"));
    assert_eq!(config.checks.len(), 2);
}

#[test]
fn a_single_provider_is_warned_of() {
    for (text, expected) in ALONE {
        let (result, _, said) = load_whole(text.as_bytes());
        assert_result(text, result, &said, expected);
    }
}

/// Lines after [`BASE`].
#[rustfmt::skip]
const LINES: &[Case] = &[
("\
config globals
	option interval 100
	option timeout '500'
	option max_latency '150'
	option recover_latency 10
	option max_jitter 9
	option preempt 300
	option interval '99'
", &[
"13: warning: interval '99' replaces the value in line 7",
"8: warning: timeout '500' is 500 seconds: write '500ms' if it is milliseconds, else '500s'",
"9: warning: max_latency '150' is 150 seconds: write '150ms' if it is milliseconds, else '150s'",
"10: warning: recover_latency '10' is 10 seconds: write '10ms' if it is milliseconds, else '10s'",
]),
("\
config check b
	option type ping
	option target 198.51.100.2
	option interval 100
config provider isp1
	option interval '120s'
	option timeout '0100'
", &[
"9: warning: interval '100' is 100 seconds: write '100ms' if it is milliseconds, else '100s'",
"12: warning: timeout '0100' is 0100 seconds: write '0100ms' if it is milliseconds, else '0100s'",
]),
("\
config provider isp2
	device = eth2
	gateway=192.0.2.1
	rank: 7
	option mark = 0x100
	option network=192.0.2.0/24
	list address ='192.0.2.2'
	colour = red
	check = web
", &[
"7: unknown command 'device': write option device 'eth2'",
"8: unknown command 'gateway=192.0.2.1': write option gateway '192.0.2.1'",
"9: unknown command 'rank:': write option rank '7'",
"10: expected no '=': write option mark '0x100'",
"11: expected no '=': write option network '192.0.2.0/24'",
"13: unknown command 'colour': expected config, option or list",
"14: unknown command 'check': write option check 'web'",
"12: address '=192.0.2.2': expected no '=': write option address '192.0.2.2'",
]),
("\
provider 'isp2'
	device 'eth2'
check
config provider = isp3
", &[
"6: unknown command 'provider': write config provider 'isp2'",
"7: unknown command 'device': write option device 'eth2'",
"8: unknown command 'check': write config check 'VALUE'",
"9: expected no '=': write config provider 'isp3'",
]),
("\
config provider isp2
	option device “eth2”
	list check ‘web’
	option “rank” 7
	option gateway “192.0.2.1 2001:db8::1”
config provider ‘isp3’
	option device 'eth3'
config provider isp4
	option device 'eth4' # “the fourth”
	option device6 ’eth6‘
	list colour red
", &[
"9: typographic quotes are no quotes here: write straight ones, as in option device 'eth1'",
"10: typographic quotes are no quotes here: write straight ones, as in option device 'eth1'",
"11: typographic quotes are no quotes here: write straight ones, as in option device 'eth1'",
"7: device: typographic quotes are no quotes here: write option device 'eth2'",
"8: check: typographic quotes are no quotes here: write option check 'web'",
"15: device6: typographic quotes are no quotes here: write option device6 'eth6'",
"16: unknown option 'colour' of provider",
]),
("\
config provider isp2;
	option device 'eth2';
	option rank 7;
	option gateway '192.0.2.1' ;
	option network '192.0.2.0/24'; # of isp2
", &[
"7: a line ends without ';': leave it out",
"9: a line ends without ';': leave it out",
]),
("\
config provider isp2
	option device 'eth2;'
config provider isp3
	option device 'eth3@if5'
", &[
"7: device 'eth2;': expected a device's name, without the ';' at its end",
"9: device 'eth3@if5': of what `ip link` shows, expected only what stands before the '@'",
]),
("\
config check two
	option type ping
	option target '198.51.100.2,198.51.100.3'
config check three
	option type ping
	option target 198.51.100.3
config provider isp2
	option device eth2
	option check 'web,three'
	list gateway '192.0.2.1, 2001:db8::1,'
config check four
	option type http
	option target '198.51.100.3,198.51.100.4'
", &[
"14: check 'web,three': expected no commas: write option check 'web three', or list check for each",
"15: gateway '192.0.2.1, 2001:db8::1,': expected no commas: write option gateway '192.0.2.1 2001:db8::1', or list gateway for each",
"8: target '198.51.100.2,198.51.100.3': expected one address: write a check for each",
"18: target '198.51.100.3,198.51.100.4': expected one server's name or address: write a check for each",
]),
("\
config check b
	option type ping
	option target https://example.com
config check c
	option type http
	option target https://example.com/
config check d
	option type tcp
	option port 443
	option target tcp://198.51.100.2:443
config check e
	option type dns
	option query example.com
	option target 'http://198.51.100.2'
", &[
"8: target 'https://example.com': expected an address, not a URL; a page is for type http, with its server as target, and option path",
"11: target 'https://example.com/': there is no https: expected a server's name or address; for https, type exec with a command as curl",
"15: target 'tcp://198.51.100.2:443': expected an address, not a URL; a page is for type http, with its server as target, and option path",
"19: target 'http://198.51.100.2': expected an address, not a URL; a page is for type http, with its server as target, and option path",
]),
("\
config provider isp1
	option gateway '192.0.2.1 fe80::1'
config provider isp2
	option device eth2
	list address 192.0.2.2
	list address 2001:db8::2/64
config provider isp3
	option enabled 0
	option device eth3
	option gateway fe80::3
", &[
"7: warning: gateway 'fe80::1' is without effect: there is no ipv6 check, so ipv6 is left alone; add one with an ipv6 target",
"11: warning: address '2001:db8::2' is without effect: there is no ipv6 check, so ipv6 is left alone; add one with an ipv6 target",
]),
("\
config provider isp1
	option gateway '192.0.2.1
fe80::1'
	option rank '2'
", &[
"7: gateway '192.0.2.1': the value goes on in the next line: is its quote not closed?",
]),
];

/// Whole files.
#[rustfmt::skip]
const QUOTES: &[Case] = &[
("\
config provider 'isp1'
	option device 'eth1
	option gateway '192.0.2.1'
config provider 'isp2'
	option device 'eth2'
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
", &[
"2: the quote ' is never closed: a value stands between two of them",
]),
("\
config provider 'isp1'
	option device eth1\"

config check \"web\"
	option type 'ping'
	optoin target '198.51.100.1'
", &[
"2: the quote \" is never closed: a value stands between two of them",
]),
("\
config provider 'isp1'
	option colour 'red'
	option device 'eth1'
config provider 'isp2
	option device 'eth2'
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
", &[
"4: the quote ' is never closed: a value stands between two of them",
"2: unknown option 'colour' of provider",
]),
("\
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
config provider 'isp1'
	option device 'eth1
", &[
"5: the quote ' is never closed: a value stands between two of them",
]),
("\
config check 'web'
	option type 'ping'
	option target ‘198.51.100.1'
config provider 'isp1'
	option device 'eth1'
", &[
"3: typographic quotes are no quotes here: write straight ones, as in option device 'eth1'",
]),
];

/// Whole files.
#[rustfmt::skip]
const ALONE: &[Case] = &[
("\
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
config provider 'isp1'
	option device 'eth1'
config provider 'isp1'
	option device 'eth2'
", &[
"6: warning: section 'isp1' begins in line 4 already, and this is added to it: another provider needs another name",
"7: warning: device 'eth2' replaces the value in line 5",
"1: warning: only one provider is enabled: there is nothing to fail over to",
]),
("\
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
config provider 'isp1'
	option device 'eth1'
config provider 'isp2'
	option device 'eth2'
config check 'web'
	option size '64'
config provider 'isp1'
config provider 'isp1'
", &[
"8: warning: section 'web' begins in line 1 already, and this is added to it: another check needs another name",
"10: warning: section 'isp1' begins in line 4 already, and this is added to it: another provider needs another name",
"11: warning: section 'isp1' begins in line 4 already, and this is added to it: another provider needs another name",
]),
("\
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
config provider 'isp1'
	option device 'eth1'
config provider 'isp2'
	option device 'eth2'
	option enabled '0'
", &[
"1: warning: only one provider is enabled: there is nothing to fail over to",
]),
("\
config globals
	option enabled '0'
config check 'web'
	option type 'ping'
	option target '198.51.100.1'
config provider 'isp1'
	option device 'eth1'
", &[
]),
];

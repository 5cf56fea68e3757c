//! Bad and unusual configurations, and their messages, in order.

use super::Case;

/// Errors in lines after [`BASE`].
#[rustfmt::skip]
pub(crate) const REFUSED: &[Case] = &[
("\
config provider isp1
	option interface wan
", &[
"7: device and interface exclude each other: expected one of them",
]),
("\
config provider isp2
", &[
"6: provider 'isp2' has neither device nor interface: expected one of them",
]),
("\
config provider isp2
	option device6 eth2
", &[
"7: device6 'eth2': expected option device too, for IPv4",
]),
("\
config provider isp2
	option device eth1
", &[
"7: device 'eth1' is provider 'isp1's already: expected another",
]),
("\
config provider isp2
	option device eth2
	option device6 eth1
", &[
"8: device6 'eth1' is provider 'isp1's already: expected another",
]),
("\
config provider isp1
	list gateway 10.10.1
	list gateway 192.0.2.300
	list gateway fe80::1%eth1
	list gateway 192.0.2.1/24
	list gateway 0.0.0.0
	list gateway router
", &[
"7: gateway '10.10.1': expected an IPv4 or IPv6 address",
"8: gateway '192.0.2.300': expected an IPv4 or IPv6 address",
"9: gateway 'fe80::1%eth1': expected an address without %device",
"10: gateway '192.0.2.1/24': expected an address without a prefix length",
"11: gateway '0.0.0.0': the unspecified address belongs to no host",
"12: gateway 'router': expected an IPv4 or IPv6 address",
]),
("\
config provider isp1
	option gateway '192.0.2.1 192.0.2.2'
	list address 2001:db8::1
	list address 2001:db8::2/64
", &[
"9: address '2001:db8::2/64': expected one a family at most",
"7: gateway '192.0.2.2': expected one a family at most",
"8: warning: address '2001:db8::1' is without effect: there is no ipv6 check, so ipv6 is left alone; add one with an ipv6 target",
]),
("\
config provider isp1
	list check web
	list check wbe
	list check other
", &[
"8: check 'wbe': no check has this name (did you mean 'web'?)",
"9: check 'other': no check has this name",
]),
("\
config provider isp1
	option rank 2
config provider isp2
	option device eth2
	option rank 2
", &[
"10: rank '2' is provider 'isp1's already: expected another",
]),
("\
config provider isp1
	option window 5
	option up 6
	option down 7
	option max_failed 8
", &[
"9: down '7' is above the window of 5 rounds: expected at most 5",
"8: up '6' is above the window of 5 rounds: expected at most 5",
"10: max_failed '8' is above the window of 5 rounds: expected at most 5",
]),
("\
config globals
	option window 65
	option up 60
	option interval 9ms
", &[
"9: interval '9ms': expected 10ms to 24h",
"7: window '65': expected a whole number from 1 to 64",
]),
("\
config globals
	option window 10
	option up 11
config provider isp2
	option device eth2
", &[
"8: up '11' is above the window of 10 rounds: expected at most 10",
]),
("\
config provider isp1
	option interval 25h
", &[
"7: interval '25h': expected 10ms to 24h",
]),
("\
config provider isp1
	option interval 10ms
", &[
"7: timeout '1s' is over 63 intervals of 10ms: expected at most 630ms",
]),
("\
config provider isp1
	option timeout 0
", &[
"7: timeout '0': expected 1ms to 63 intervals",
]),
("\
config provider isp1
	option timeout 64s
", &[
"7: timeout '64s' is over 63 intervals of 1s: expected at most 63s",
]),
("\
config provider isp1
	option timeout 64
	option profile fats
", &[
"8: profile 'fats': expected normal, fast or metered (did you mean 'fast'?)",
]),
("\
config provider isp1
	option quorum 2
", &[
"7: quorum '2' is above the number of ipv4 checks, 1: expected at most that, or all",
]),
("\
config globals
	option quorum 2
config provider isp2
	option device eth2
", &[
"7: quorum '2' is above the number of ipv4 checks, 1: expected at most that, or all",
]),
("\
config globals
	option quorum 0
	option start_metric 4294967295
	option table 253
	option rule_pref 31866
", &[
"9: table '253': tables 0, 253 (default) and 255 (local) are the kernel's: expected another",
"10: rule_pref '31866': expected a whole number from 1 to 31365",
"7: quorum '0': expected all, or a whole number from 1 to 8",
"8: start_metric '4294967295': expected at most 4294967294, for the others follow it",
]),
("\
config globals
	option rule_pref 20000
	option catch_all 21399
", &[
"8: catch_all '21399': expected a whole number from 21400 to 32765",
]),
("\
config globals
	option table 0
	option start_metric 0
", &[
"8: start_metric '0': expected a whole number from 1 to 4294967295",
"7: table '0': tables 0, 253 (default) and 255 (local) are the kernel's: expected another",
]),
("\
config globals
	option table zero
	option rule_pref 0
	option start_metric 4294967295
	option catch_all 32766
config provider isp2
	option device eth2
", &[
"7: table 'zero': tables 0, 253 (default) and 255 (local) are the kernel's: expected another",
"8: rule_pref '0': expected a whole number from 1 to 31365",
"10: catch_all '32766': expected a whole number from 19000 to 32765",
"9: start_metric '4294967295': expected at most 4294967293, for the others follow it",
]),
("\
config provider isp1
	option rt_table 254
config provider isp2
	option device eth2
	option rt_table 176
config provider isp3
	option device eth3
	option rt_table isp
config provider isp4
	option device eth4
	option rt_table 201
config provider isp5
	option device eth5
	option rt_table 17601
config provider isp6
	option device eth6
	option rt_table nosuch
", &[
"7: rt_table '254': table 254 (main) is shared by all programs: expected another, auto or none",
"10: rt_table '176': that is the swap table (globals' table): expected another, auto or none",
"16: rt_table '201' is provider 'isp3's already: expected another",
"19: rt_table '17601': tables 17601 to 17664 are for rt_table auto: expected another",
"22: rt_table 'nosuch': expected a routing table's number, or its name as in rt_tables",
]),
("\
config provider isp1
	option mark 0x100/0xff
config provider isp2
	option device eth2
	option mark 0x100/0xff00
config provider isp3
	option device eth3
	option mark 256/65280
config provider isp4
	option device eth4
	option mark 0x100
config provider isp5
	option device eth5
	option mark 0x1/0
", &[
"7: mark '0x100/0xff': the mark has bits outside its mask",
"13: mark '0x100/0xff00' is provider 'isp2's already: expected another",
"16: warning: mark '0x100/0xffffff' overlaps provider 'isp2's",
"16: warning: mark '0x100/0xffffff' overlaps provider 'isp3's",
"19: mark '0x1/0': a mask of 0 would match every packet",
]),
("\
config globals
	option mark_mask 0xff0
	option connections 0
config provider isp1
	option mark 0x100
config provider isp2
	option device eth2
	option mark 0x1/0xffffffff
	option connections off
config provider isp3
	option device eth3
	option mark 0x1000000/0xff000000
	option connections 25h
config provider isp4
	option device eth4
	option mark 0x1000
	option connections fellow
", &[
"8: connections '0': expected 1s to 24h",
"10: mark '0x100': has bits that are failover's own (mark_mask in globals, 0xff000000 by default): expected others, or another mark_mask",
"13: mark '0x1/0xffffffff': has bits that are failover's own (mark_mask in globals, 0xff000000 by default): expected others, or another mark_mask",
"14: connections 'off': off is for all providers, in globals: expected stay, follow or a duration, as 10m",
"18: connections '25h': expected 1s to 24h",
"22: connections 'fellow': expected stay, follow or a duration, as 10m",
]),
("\
config globals
	option mark_mask 0x3000000
config provider isp2
	option device eth2
", &[
"7: mark_mask has room for 1 providers, of 2: expected 3 bits or more, as 0xff000000",
]),
("\
config globals
	option mark_mask 0x5
	option answers 2
	option ipv6_foreign mask
config provider isp1
	option mark 0x5
	option masquerade perhaps
", &[
"7: mark_mask '0x5': expected two bits or more without a gap, as 0xff000000",
"8: answers '2': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"9: ipv6_foreign 'mask': expected masquerade or off",
"12: masquerade 'perhaps': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
]),
("\
config globals
	option dns_route both
config provider isp1
	list dns 192.0.2.53
	list dns 192.0.2.53/32
	list dns 192.0.2.53
	list dns fe80::1
	list dns 127.0.0.1
	list dns dns.example.net
	list dns '192.0.2.54,192.0.2.55'
	option dns_route maybe
", &[
"15: dns '192.0.2.54,192.0.2.55': expected no commas: write option dns '192.0.2.54 192.0.2.55', or list dns for each",
"7: dns_route 'both': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"16: dns_route 'maybe': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"10: dns '192.0.2.53/32': expected an address without a prefix length",
"12: dns 'fe80::1': a link-local address leads by no route: expected another",
"13: dns '127.0.0.1': a loopback address never leaves this machine",
"14: dns 'dns.example.net': expected an IPv4 or IPv6 address",
]),
("\
config check web6
	option type ping
	option target 2001:db8::1
config provider isp1
	list prefix 192.0.2.0/24
	list prefix 2001:db8:1::/56
	list prefix 2001:db8:1::7/56
	list prefix fe80::/64
	list prefix 2001:db8:2::
	list prefix '2001:db8:3::/56,2001:db8:4::/56'
", &[
"15: prefix '2001:db8:3::/56,2001:db8:4::/56': expected no commas: write option prefix '2001:db8:3::/56 2001:db8:4::/56', or list prefix for each",
"10: prefix '192.0.2.0/24': expected an IPv6 prefix of the LAN's addresses, as 2001:db8:1::/56",
"12: prefix '2001:db8:1::7/56': is given twice",
"13: prefix 'fe80::/64': expected an IPv6 prefix of the LAN's addresses, as 2001:db8:1::/56",
"14: prefix '2001:db8:2::': expected an IPv6 prefix of the LAN's addresses, as 2001:db8:1::/56",
]),
("\
config provider auto
	option device eth2
", &[
"6: provider 'auto': the name is reserved, expected another",
]),
("\
config provider
	option device eth2
	option gatway 1
", &[
"8: unknown option 'gatway' of provider (did you mean 'gateway'?)",
"6: a provider without a name: expected as in config provider 'name'",
]),
("\
config provider aaaaaaaaaabbbbbbbbbbccccccccccdd
	option device eth2
", &[
"6: provider 'aaaaaaaaaabbbbbbbbbbccccccccccdd': expected a name of at most 31 bytes",
]),
("\
config check all
	option type ping
	option target 198.51.100.2
", &[
"6: check 'all': the name is reserved, expected another",
]),
("\
config check
	option type pingg
	option target 198.51.100.2
", &[
"6: a check without a name: expected as in config check 'name'",
"7: type 'pingg': expected ping, tcp, dns, http, arp, ndp or exec (did you mean 'ping'?)",
]),
("\
config check b
	option target 198.51.100.2
", &[
"6: check 'b' has no type: expected option type ping, or another",
]),
("\
config check b
	option type ping
", &[
"6: check 'b' has no target: expected option target with the address to ping",
]),
("\
config check b
	option type ping
	option target example.org
	option family ipv4
	option command true
", &[
"10: option command is for checks of type exec, not ping",
"8: target 'example.org': this check needs an IPv4 or IPv6 address, not a name",
]),
("\
config check b
	option type ping
	option target 198.51.100.1
	option family ipv6
	option interval 5ms
", &[
"10: interval '5ms': expected 10ms to 24h",
"9: family 'ipv6': the target is an address of the other family",
]),
("\
config check b
	option type exec
", &[
"6: check 'b' has no command: expected option command with what to run",
]),
("\
config check b
	option type exec
	option target 198.51.100.1
", &[
"6: check 'b' has no command: expected option command with what to run",
]),
("\
config check b
	option type exec
	option target /usr/bin/true
	option family inet
", &[
"9: family 'inet': expected ipv4 or ipv6",
]),
("\
config chekc b
	option type exec
config provider isp1
	option check b
", &[
"6: unknown section type 'chekc': expected globals, provider or check (did you mean 'check'?)",
]),
("\
config provider isp1
	list interval 5
	option enabled maybe
	option rank -1
	option colour red
	option start_metric 5
	option intervall 5
", &[
"10: unknown option 'colour' of provider",
"11: option 'start_metric' belongs in a section of type globals, not provider",
"12: unknown option 'intervall' of provider (did you mean 'interval'?)",
"8: enabled 'maybe': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"9: rank '-1': expected a whole number from 1 to 65535",
"7: interval is a list: expected one value, as option interval '5'",
]),
("\
config globals a
config globals b
	option preempt 0
", &[
"7: a second globals section, besides the one in line 6: expected one at most",
]),
("\
config globals
	option preempt never
	option last_resort frist
	option on_stop stop
	option syslog_level warning
	option sticky_file sticky
	option state_dir var/run
	option control_group 'all of them'
", &[
"11: sticky_file 'sticky': expected an absolute path, beginning with '/'",
"12: state_dir 'var/run': expected an absolute path, beginning with '/'",
"13: control_group 'all of them': expected a group's name, or its number",
"8: last_resort 'frist': expected first, keep or unreachable (did you mean 'first'?)",
"7: preempt 'never': expected yes, no, or a duration, as 30s",
"9: on_stop 'stop': expected restore or keep",
"10: syslog_level 'warning': expected error, warn, info or debug",
]),
("\
config globals
	option sticky_file /etc/
	option state_dir '/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
", &[
"7: sticky_file '/etc/': expected a file's path, not a directory's",
"8: state_dir '/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...': a path may have at most 90 bytes",
]),
("\
config provider isp1
	option device 'eth0/1'
", &[
"7: warning: device 'eth0/1' replaces the value in line 2",
"7: device 'eth0/1': expected a device's name, without blanks, '/' and ':'",
]),
("\
config provider isp1
	option device 'a-name-over-64-bytes-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
", &[
"7: warning: device 'a-name-over-64-bytes-xxxxxxxxxxxxxxxxxxx...' replaces the value in line 2",
"7: device 'a-name-over-64-bytes-xxxxxxxxxxxxxxxxxxx...': a device's name has at most 15 bytes, or 64 as an alternative name: `ip link` shows a shorter one",
]),
("\
config provider isp1
	option device 'eth1 eth2'
", &[
"7: warning: device 'eth1 eth2' replaces the value in line 2",
"7: device 'eth1 eth2': expected a device's name, without blanks, '/' and ':'",
]),
("\
config provider isp1
	option address 192.0.2.2
	option gateway 192.0.2.2
", &[
"8: gateway '192.0.2.2' is the provider's own address: expected the next router's",
]),
("\
config provider isp1
	option address 192.0.2.0/24
	option gateway 192.0.2.255
", &[
"7: address '192.0.2.0' in 192.0.2.0/24: that is the network's own address, not a host's",
"8: gateway '192.0.2.255' in 192.0.2.0/24: that is the network's broadcast address",
]),
("\
config provider isp1
	option address 192.0.2.2
	option network 198.51.100.0
", &[
"8: network '198.51.100.0': expected a network, as 192.0.2.0/24 or 2001:db8:1::/64",
]),
("\
config provider isp2
	option interface 'wan wan wan6'
config provider isp3
	list interface wan6
	list interface a b
", &[
"10: 'b' is one word too many: put a value with blanks in quotes",
"7: interface 'wan': is given twice",
"9: interface 'wan6' is provider 'isp2's already: expected another",
]),
("\
config provider isp1
	list gateway ''
", &[
"7: gateway is empty",
]),
("\
config check isp1
	option type ping
	option target 198.51.100.2
", &[
"6: section 'isp1' is of type 'provider' in line 1 already",
]),
("\
config provider isp1
	option profile fast
	option timeout 7s
", &[
"8: timeout '7s' is over 63 intervals of 100ms: expected at most 6300ms",
]),
("\
config globals
	option timeout 64s
config provider isp1
	option interval 500ms
", &[
"9: timeout '64s' is over 63 intervals of 500ms: expected at most 31500ms",
]),
("\
config check b
	option type exec
	option command '   '
", &[
"8: command '   ': expected what to run",
]),
("\
config check b
	option type exec
	option target 127.0.0.1
	option command true
	option family ipv6
", &[
"10: family 'ipv6': the target is an address of the other family",
]),
("\
config check b
	option type tcp
	option target example.com
config check c
	option type tcp
	option target 198.51.100.2
	option port 70000
	option accept_refused maybe
config check d
	option type htpp
	option port 0
", &[
"6: check 'b' has no port: expected option port with the one to connect to, as 443",
"8: target 'example.com': this check needs an IPv4 or IPv6 address, not a name",
"12: port '70000': expected a whole number from 1 to 65535",
"13: accept_refused 'maybe': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"15: type 'htpp': expected ping, tcp, dns, http, arp, ndp or exec (did you mean 'http'?)",
]),
("\
config check b
	option type dns
	option target 198.51.100.2
config check c
	option type dns
	option target 198.51.100.2
	option query 'exa mple.com'
	option record MX
	option rcode 16
config check d
	option type dns
	option target 198.51.100.2
	option query example.com
	option record AAAA
	option expect 192.0.2.1
", &[
"6: check 'b' has no query: expected option query with the name to ask for, as example.com",
"12: query 'exa mple.com': expected a name of letters, digits and hyphens, as example.com",
"13: record 'MX': expected A, AAAA or NS",
"14: rcode '16': expected a whole number from 0 to 15",
"20: expect '192.0.2.1': the answer that is asked for has no such address",
]),
("\
config check b
	option type http
	option target http://example.com/
config check c
	option type http
	option target example.com
	option path generate_204
	option expect_status 42
	option expect_body ''
	option resolver 2001:db8::1
config check d
	option type http
	option target example.com
	option family ipv6
	option resolver dns.example.com
	option host 'exa mple'
config check e
	option type http
config check f
	option type http
	option target example.com:8080
config check g
	option type tcp
	option target 198.51.100.2:80
	option port 80
", &[
"8: target 'http://example.com/': expected a server's name or address, without http://; the rest goes into option path",
"12: path 'generate_204': expected a path of at most 100 bytes, beginning with '/', without blanks",
"13: expect_status '42': expected a whole number from 100 to 599",
"15: resolver '2001:db8::1': it is not of the check's family, ipv4; option family sets that",
"21: host 'exa mple': expected a name of letters, digits and hyphens, as example.com",
"20: resolver 'dns.example.com': expected an IPv4 or IPv6 address",
"22: check 'e' has no target: expected option target with the web server's address or name",
"26: target 'example.com:8080': expected a server's name or address alone; the port goes into option port",
"29: target '198.51.100.2:80': expected the address alone; the port goes into option port",
]),
("\
config check b
	option type arp
	option target 2001:db8::1
config check c
	option type ndp
	option family ipv4
config check d
	option type arp
	option port 80
	option query example.com
	option ttl 5
config check e
	option type ping
	option target 198.51.100.2
	option size 31
	option ttl 0
	option dscp 64
	option required perhaps
", &[
"8: target '2001:db8::1': arp is for ipv4; ndp is its like for ipv6",
"11: family 'ipv4': ndp is for ipv6; arp is its like for ipv4",
"16: option ttl is for checks of type ping, not arp",
"14: option port is for checks of type tcp, dns, http, not arp",
"15: option query is for checks of type dns, not arp",
"23: required 'perhaps': expected 1 or 0 (or yes no, on off, true false, enabled disabled)",
"20: size '31': expected a whole number from 32 to 1472",
"21: ttl '0': expected a whole number from 1 to 255",
"22: dscp '64': expected a whole number from 0 to 63",
]),
("\
config globals
	option max_jitter 20ms
	option recover_jitter 30ms
	option recover_latency 100ms
config provider isp2
	option device eth2
	option window 10
	option max_loss 5
config provider isp3
	option device eth3
	option max_loss 20%
	option recover_loss 30
	option max_latency fast
config provider isp4
	option device eth4
	option max_loss 100
	option max_jitter none
", &[
"9: recover_latency without max_latency: expected option max_latency with what fails a provider",
"8: recover_jitter '30ms' is above max_jitter 20ms: expected at most that",
"13: max_loss '5%': a window of 10 rounds cannot show that: expected at least 10%, or a window of 20",
"18: max_latency 'fast': expected a duration, as 5, 0.3, 300ms, 5s, 2m or 1h",
"17: recover_loss '30%' is above max_loss 20%: expected at most that",
"21: max_loss '100': expected a whole percentage from 1 to 99, or none",
]),
("\
config check b
	list type ping
	option target 198.51.100.2
", &[
"7: type is a list: expected one value, as option type 'ping'",
]),
("\
config check b
	option type ping
	option target '198.51.100.2 198.51.100.3'
", &[
"8: target '198.51.100.2 198.51.100.3': expected one address: write a check for each",
]),
("\
config provider isp2
	option interface wan
	option device6 eth2
", &[
"7: device and interface exclude each other: expected one of them",
]),
("\
config provider isp1
	option mark none
	option rt_table none
	option quorum most
	option interval 1d
", &[
"10: interval '1d': expected a duration, as 5, 0.3, 300ms, 5s, 2m or 1h",
"9: quorum 'most': expected all, or a whole number from 1 to 8",
]),
("\
config provider isp1
	list network 192.0.2.0/24
	list network 192.0.2.0/0
	list network 2001:db8::/129
	list address 127.0.0.1
	list address 224.0.0.1/4
", &[
"10: address '127.0.0.1': a loopback address never leaves this machine",
"11: address '224.0.0.1/4': a multicast address is no single host's",
"8: network '192.0.2.0/0': expected a prefix length from 1 to 32",
"9: network '2001:db8::/129': expected a prefix length from 1 to 128",
]),
("\
config provider isp1
	list interface wan1
	list interface wan2
	list interface wan3
	list interface wan4
	list interface wan5
", &[
"11: interface 'wan5': expected at most 4",
"7: device and interface exclude each other: expected one of them",
]),
("\
config provider isp1 x
", &[
"6: 'x' is one word too many: put a value with blanks in quotes",
]),
("\
config 'pro vider' x
", &[
"6: section type 'pro vider': expected printable ASCII without blanks",
]),
("\
	option
config
list
", &[
"6: the option's name is missing",
"7: the section's type is missing",
"8: the option's name is missing",
]),
("\
option device eth1
", &[
"6: option 'device' belongs in a section of type provider, not check",
]),
];

/// Unusual settings in lines after [`BASE`], which are used.
#[rustfmt::skip]
pub(crate) const WARNED: &[Case] = &[
("\
config globals
	option table main
	option start_metric 1020
config provider isp1
	option rank 5
config provider isp2
	option device eth2
config provider isp3
	option device eth3
config provider isp4
	option device eth4
config provider isp5
	option device eth5
config check web6
	option type ping
	option target 2001:db8::1
", &[
"8: warning: start_metric '1020': metric 1024 in table main is what IPv6 routes without a metric have",
]),
("\
config globals
	option connections 10m
	option answers 1
config provider isp1
	option rt_table none
config provider isp2
	option device eth2
	option rt_table none
	option connections stay
config provider isp3
	option device eth3
	option rt_table none
	option connections follow
config provider isp4
	option device eth4
	option rt_table none
	option connections stay
	option enabled 0
config provider isp5
	option device eth5
	option rt_table none
	option profile metered
", &[
"7: warning: connections is without effect on provider 'isp1', which has rt_table 'none': they follow",
"8: warning: answers is without effect on provider 'isp1', which has rt_table 'none': the provider that leads answers",
"14: warning: connections is without effect on provider 'isp2', which has rt_table 'none': they follow",
"8: warning: answers is without effect on provider 'isp2', which has rt_table 'none': the provider that leads answers",
"8: warning: answers is without effect on provider 'isp3', which has rt_table 'none': the provider that leads answers",
"8: warning: answers is without effect on provider 'isp5', which has rt_table 'none': the provider that leads answers",
]),
("\
config globals
	option connections off
	option answers 0
config provider isp1
	option rt_table none
	option connections stay
", &[]),
("\
config check web6
	option type ping
	option target 2001:db8::1
config provider isp1
	option prefix '2001:db8:1::/56 2001:db8:2::/56'
config provider isp2
	option device eth2
	option prefix 2001:db8:1::/56
config provider isp3
	option device eth3
	option prefix 2001:db8:2:7::/64
	option mark 0x1000/0xf000
config provider isp4
	option device eth4
	option prefix 2001:db8:1::/56
	option enabled 0
", &[
"13: warning: prefix '2001:db8:1::/56' overlaps provider 'isp1's",
"16: warning: prefix '2001:db8:2:7::/64' overlaps provider 'isp1's",
]),
("\
config provider isp1
	option dns '192.0.2.53 192.0.2.54 2001:db8::53'
config provider isp2
	option device eth2
	option dns '192.0.2.55 192.0.2.54 198.51.100.1'
config provider isp3
	option device eth3
	option dns_route 0
	option dns 192.0.2.56
config provider isp4
	option device eth4
	option rt_table none
	option dns 192.0.2.57
config provider isp5
	option device eth5
	option dns_route 0
config provider isp6
	option device eth6
	option enabled 0
	option dns 192.0.2.53
", &[
"10: warning: dns '192.0.2.54' is provider 'isp1's, too: it is asked through the provider that leads",
"14: warning: dns of provider 'isp3' is not routed, with dns_route '0': its resolvers are asked through the provider that leads",
"18: warning: dns of provider 'isp4' is not routed, with rt_table 'none': its resolvers are asked through the provider that leads",
]),
("\
config provider isp1
	option prefix 2001:db8:1::/56
", &[
"7: warning: prefix '2001:db8:1::' is without effect: there is no ipv6 check, so ipv6 is left alone; add one with an ipv6 target",
]),
("\
config globals
	option rule_pref 31365
", &[]),
("\
config globals
	option rule_pref 31366
	option catch_all 32765
", &[
"7: warning: rule_pref '31366': 31365 is used, the highest; write that",
]),
("\
config globals
	option catch_all 18999
	option rule_pref 17599
", &[
"8: warning: rule_pref '17599' no longer puts the providers' order before the rules of other programs: option catch_all does; without need for another, delete it (default '17600')",
]),
("\
config provider isp1
	option address 192.0.2.2/24
	option gateway 198.51.100.1
", &[
"8: warning: gateway '198.51.100.1' is outside the network 192.0.2.0/24",
]),
("\
config provider isp1
	option gateway 192.0.2.1
	option gateway 2001:db8::1
", &[
"8: warning: gateway '2001:db8::1' replaces the value in line 7: use list gateway for several",
"8: warning: gateway '2001:db8::1' is without effect: there is no ipv6 check, so ipv6 is left alone; add one with an ipv6 target",
]),
("\
config check b
	option type ping
	option target 198.51.100.2
config provider isp1
	option check web
", &[
"6: warning: check 'b' is used by no provider",
]),
("\
config provider isp1
	list check web
	list check web
", &[
"8: warning: check 'web' is given twice",
]),
];

/// Whole files.
#[rustfmt::skip]
pub(crate) const FILES: &[Case] = &[
("", &[
"1: no check: expected at least one, as config check 'google' with type ping and target 8.8.8.8",
"1: no provider: expected at least one, as config provider 'isp1' with option device 'eth1'",
]),
("\
config provider isp1
	option device eth1
", &[
"1: no check: expected at least one, as config check 'google' with type ping and target 8.8.8.8",
]),
("\
config check a
	option type ping
	option target 198.51.100.1
", &[
"1: no provider: expected at least one, as config provider 'isp1' with option device 'eth1'",
]),
("\
config globals
	option enabled 0
", &[
"1: warning: no check: expected at least one, as config check 'google' with type ping and target 8.8.8.8",
"1: warning: no provider: expected at least one, as config provider 'isp1' with option device 'eth1'",
]),
("\
config provider isp1
	option device eth1
	option enabled 0
config check a
	option type ping
	option target 198.51.100.1
", &[
"1: no provider is enabled: expected at least one",
]),
("\
\u{feff}config provider isp1
	option device eth1
config check a
	option type ping
	option target 198.51.100.1
", &[
"1: a byte order mark: save the file without one",
]),
("\
confg provider isp1
	option device eth1
config check a
	option type ping
	option target 198.51.100.1
", &[
"1: unknown command 'confg': expected config, option or list",
]),
("\
config provider isp1
	option device eth1
	option gateway '192.0.2.1
config check a
	option type ping
	option target 198.51.100.1
", &[
"3: the quote ' is never closed: a value stands between two of them",
]),
("\
config provider isp1
	optoin device eth1
config check a
	option type ping
	option target 198.51.100.1
", &[
"2: unknown command 'optoin': expected config, option or list",
]),
("\
config interface wan
	option enabled 1
	list track_ip 198.51.100.1
", &[
"1: unknown section type 'interface': expected globals, provider or check",
]),
];

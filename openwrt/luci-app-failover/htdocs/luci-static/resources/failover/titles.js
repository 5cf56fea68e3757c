'use strict';
'require baseclass';

/* The titles of the options, and the words of their values. */

const PROFILES = [ [ 'normal', _('Normal') ], [ 'fast', _('Notice within a second') ], [ 'metered', _('Paid by volume') ] ];

return baseclass.extend({
	profiles: PROFILES,

	word: function(value) {
		const known = PROFILES.concat([ [ '1', _('Yes') ], [ '0', _('No') ] ]).find(([ word ]) => word == value);
		return known ? known[1] : value;
	},

	options: {
		accept_refused: _('Accept a refusal'),
		address: _('Address'),
		answers: _('Answers by the same line'),
		catch_all: _('Main rule'),
		check: _('Checks'),
		command: _('Command'),
		connections: _('Connections'),
		control_group: _('Group that may look'),
		device: _('Device'),
		device6: _('Device for IPv6'),
		dns: _('DNS servers'),
		dns_route: _('DNS servers by their line'),
		down: _('Offline after'),
		dscp: 'DSCP',
		enabled: _('Enabled'),
		expect: _('Expected address'),
		expect_body: _('Expected text'),
		expect_status: _('Expected status'),
		family: _('Family'),
		gateway: _('Gateways'),
		hooks_dir: _('Hooks folder'),
		host: _('Host'),
		interface: _('Interfaces'),
		interval: _('Interval'),
		ipv6_foreign: _('Foreign IPv6 prefixes'),
		last_resort: _('When nothing works'),
		mark: _('Firewall mark'),
		mark_mask: _('Bits of marks'),
		masquerade: _('Masquerade IPv4'),
		max_failed: _('Failed rounds at most'),
		max_jitter: _('Jitter at most'),
		max_latency: _('Latency at most'),
		max_loss: _('Loss at most'),
		network: _('Network'),
		on_stop: _('When the daemon stops'),
		path: _('Page'),
		port: _('Port'),
		preempt: _('Return to a better line'),
		prefix: _('IPv6 prefixes'),
		profile: _('Profile'),
		query: _('Name to ask for'),
		quorum: _('Quorum'),
		rank: _('Rank'),
		rcode: 'RCODE',
		record: _('Record'),
		recover_jitter: _('Jitter to recover'),
		recover_latency: _('Latency to recover'),
		recover_loss: _('Loss to recover'),
		required: _('Required'),
		resolver: _('DNS server'),
		rt_table: _('Routing table'),
		rule_pref: _('First rule'),
		size: _('Size'),
		start_metric: _('First metric'),
		state_dir: _('State folder'),
		sticky_file: _('File of the pinned line'),
		syslog_level: _('Log level'),
		table: _('Swap table'),
		target: _('Target'),
		timeout: _('Timeout'),
		ttl: 'TTL',
		type: _('Type'),
		up: _('Online after'),
		window: _('Window'),
		yield: _('Routes of others')
	}
});

'use strict';
'require baseclass';

/* The titles of the usual options, and the words of their values. The others are called as in the file. */

const PROFILES = [ [ 'normal', _('Normal') ], [ 'fast', _('Notice within a second') ], [ 'metered', _('Paid by volume') ] ];

return baseclass.extend({
	profiles: PROFILES,

	word: function(value) {
		const known = PROFILES.concat([ [ '1', _('Yes') ], [ '0', _('No') ] ]).find(([ word ]) => word == value);
		return known ? known[1] : value;
	},

	options: {
		check: _('Checks'),
		connections: _('Connections'),
		device: _('Device'),
		down: _('Offline after'),
		enabled: _('Enabled'),
		gateway: _('Gateways'),
		interface: _('Interfaces'),
		last_resort: _('When nothing works'),
		max_jitter: _('Jitter at most'),
		max_latency: _('Latency at most'),
		max_loss: _('Loss at most'),
		on_stop: _('When the daemon stops'),
		preempt: _('Return to a better line'),
		profile: _('Profile'),
		target: _('Target'),
		type: _('Type'),
		up: _('Online after')
	}
});

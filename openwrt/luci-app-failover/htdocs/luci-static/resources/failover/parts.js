'use strict';
'require baseclass';
'require rpc';

/* What the pages of failover share: the calls, the words, the parts of a page. All text of the daemon becomes text nodes. */

const SVG = 'http://www.w3.org/2000/svg';
const ROUNDS_MAX = 64, ROUNDS_MIN = 16;

/* The daemon's states, as words, and the colour of each. */
const STATES = {
	online: [ _('Online'), 'good' ],
	offline: [ _('Offline'), 'bad' ],
	probing: [ _('Checking'), 'busy' ],
	waiting: [ _('No uplink'), 'bad' ],
	frozen: [ _('Not checked'), 'idle' ],
	pinned: [ _('Pinned'), 'busy' ],
	disabled: [ _('Disabled'), 'idle' ]
};

const FAMILIES = { ipv4: 'IPv4', ipv6: 'IPv6' };

document.head.appendChild(E('link', {
	'rel': 'stylesheet',
	'type': 'text/css',
	'href': L.resource('view/failover/failover.css')
}));

function number(value, digits) {
	return value.toLocaleString(undefined, { maximumFractionDigits: digits });
}

function shape(name, attributes) {
	const node = document.createElementNS(SVG, name);
	for (const key in attributes)
		node.setAttribute(key, attributes[key]);
	return node;
}

function key(node) {
	return node.nodeType == 1 ? node.getAttribute('data-key') : null;
}

/* Whether one node can be changed into the other. */
function akin(old, fresh) {
	return old.nodeType == fresh.nodeType && old.nodeName == fresh.nodeName && key(old) == key(fresh);
}

function patchAttributes(old, fresh) {
	for (const { name } of Array.from(old.attributes))
		if (!fresh.hasAttribute(name) && name != 'open')
			old.removeAttribute(name);
	for (const { name, value } of Array.from(fresh.attributes))
		if (old.getAttribute(name) != value)
			old.setAttribute(name, value);
}

return baseclass.extend({
	families: FAMILIES,

	/* They answer with an object, or with a number: the error of ubus. */
	callStatus: rpc.declare({ object: 'failover', method: 'status' }),
	callConnections: rpc.declare({ object: 'failover', method: 'connections' }),
	callCheck: rpc.declare({ object: 'failover', method: 'check' }),
	callUse: rpc.declare({ object: 'failover', method: 'use', params: [ 'provider' ] }),
	callDisable: rpc.declare({ object: 'failover', method: 'disable', params: [ 'provider' ] }),
	callEnable: rpc.declare({ object: 'failover', method: 'enable', params: [ 'provider' ] }),
	callProbe: rpc.declare({ object: 'failover', method: 'probe', params: [ 'provider', 'check' ], nobatch: true }),

	/* The paths of a family, with their providers. */
	paths: function(status, family) {
		return status.providers.reduce((found, provider) => {
			const path = provider.paths.find((path) => path.family == family);
			return path ? found.concat([ { provider, path } ]) : found;
		}, []);
	},

	/* Whether no line has an uplink in a family, though there is one in another: then it may be that none is sold. */
	absent: function(status, family) {
		const lacks = (family) => this.paths(status, family).every(({ path }) =>
			path.state == 'waiting' && /^(no (device|carrier|address|gateway)|down)$/.test(path.reason));
		return lacks(family) && Object.keys(FAMILIES).some((other) => !lacks(other)) ? _('None of your lines has %s.').format(FAMILIES[family]) : '';
	},

	/* Whether a value is that of a switch that is off. */
	off: function(value) {
		return /^(0|off|no|false|disabled)$/.test(value);
	},

	/* A state as a word on its colour, or on grey. */
	badge: function(state, calm) {
		const [ word, colour ] = STATES[state] || [ state, 'idle' ];
		return E('span', { 'class': 'fo-badge fo-' + (calm ? 'idle' : colour) }, [ word ]);
	},

	colour: function(state) {
		return 'fo-' + (STATES[state] || [ state, 'idle' ])[1];
	},

	word: function(state) {
		return (STATES[state] || [ state ])[0];
	},

	pinned: function(status) {
		return _('%s is pinned: the daemon does not choose, and checks no line.').format(status.pinned);
	},

	/* A time span in its two largest units. */
	span: function(seconds) {
		const units = [ [ 86400, _('%d d') ], [ 3600, _('%d h') ], [ 60, _('%d min') ], [ 1, _('%d s') ] ];
		let first = units.findIndex(([ size ]) => seconds >= size);
		if (first < 0)
			first = units.length - 1;
		return units.slice(first, first + 2).map(([ size, unit ], i) => {
			const count = Math.floor((i ? seconds % units[first][0] : seconds) / size);
			return count || !i ? unit.format(count) : null;
		}).filter((part) => part != null).join(' ');
	},

	/* A moment of the journal, which is told in UTC, as the browser's user reads it. */
	moment: function(iso) {
		const date = new Date(iso);
		if (isNaN(date))
			return iso;
		const time = date.toLocaleTimeString();
		return date.toDateString() == new Date().toDateString() ? time : date.toLocaleDateString() + ' ' + time;
	},

	/* A sentence of the daemon, with its times of day, which are UTC, as the browser's user reads them. */
	sentence: function(text) {
		return text
			.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, (iso) => this.moment(iso))
			.replace(/(^|[\s(])(\d\d):(\d\d):(\d\d)(?=[,.;:)]?(\s|$))/g, (whole, before, h, m, s) =>
				before + new Date(Date.UTC(new Date().getUTCFullYear(), new Date().getUTCMonth(), new Date().getUTCDate(), h, m, s))
					.toLocaleTimeString());
	},

	ms: function(value) {
		return value == null ? '–' : _('%s ms').format(number(value, value < 10 ? 2 : 1));
	},

	percent: function(value) {
		return value == null ? '–' : number(value, 1) + ' %';
	},

	/* The rounds of a path, oldest first, the newest at the right edge: a line of round-trip times, a mark for each lost one. */
	sparkline: function(history) {
		const rounds = (history || []).slice(-ROUNDS_MAX);
		const times = rounds.filter((ms) => ms != null);
		// A steady line stands in the middle.
		const mean = times.reduce((sum, ms) => sum + ms, 0) / (times.length || 1);
		const most = Math.max.apply(null, times.concat([ 2 * mean, 1e-3 ])) * 1.05;
		const lost = rounds.length - times.length, slots = Math.max(rounds.length, ROUNDS_MIN);
		const svg = shape('svg', {
			'class': 'fo-spark', 'viewBox': '0 0 %d 40'.format(4 * slots), 'preserveAspectRatio': 'none', 'role': 'img'
		});
		svg.setAttribute('aria-label', !rounds.length ? _('No round yet')
			: !times.length ? _('Round trips of the last %d rounds: all lost').format(rounds.length)
			: _('Round trips of the last %d rounds: %s to %s, %d lost').format(rounds.length,
				this.ms(Math.min.apply(null, times)), this.ms(Math.max.apply(null, times)), lost));

		let line = '', area = '', begun = null;
		rounds.forEach((ms, i) => {
			const x = (slots - rounds.length + i) * 4 + 2;
			if (ms == null) {
				svg.appendChild(shape('rect', { 'class': 'fo-lost', 'x': x - 1.5, 'y': 0, 'width': 3, 'height': 40 }));
			} else {
				const y = (38 - 34 * ms / most).toFixed(1);
				line += (begun == null ? 'M' : 'L') + x + ' ' + y;
				area += begun == null ? 'M' + x + ' 40L' + x + ' ' + y : 'L' + x + ' ' + y;
				begun = x;
			}
			if (begun != null && (ms == null || i == rounds.length - 1)) {
				line += 'h.1';
				area += 'L' + begun + ' 40Z';
				begun = null;
			}
		});
		svg.insertBefore(shape('path', { 'class': 'fo-line', 'd': line, 'fill': 'none' }), svg.firstChild);
		svg.insertBefore(shape('path', { 'class': 'fo-area', 'd': area }), svg.firstChild);
		return svg;
	},

	/* Why there is no status: what is wrong, and what to do. */
	trouble: function(answer) {
		switch (answer) {
		case 5: // no data: the program found no daemon
			return [ _('The failover daemon is not running'),
				_('Is it set up under Network → Failover? Start it under System → Startup, or by: /etc/init.d/failover start.') + ' ' + _('Status → System Log says why.') ];
		case 4: // not found
			return [ _('This router does not offer the failover service'),
				_('Install the package failover, then run: /etc/init.d/rpcd reload') ];
		case 6:
			return [ _('You may not see this'), _('Ask for access to luci-app-failover.') ];
		default:
			return [ _('The failover daemon does not answer'),
				_('Status → System Log says why.') ];
		}
	},

	/* A message that stands out: 'bad', 'warn' or 'idle'. */
	alert: function(colour, title, parts) {
		return E('div', { 'class': 'alert-message fo-alert fo-edge-' + colour, 'role': colour == 'bad' ? 'alert' : 'status' },
			[ E('h3', {}, [ title ]) ].concat(parts));
	},

	/* Changes a node into another in place, so that the focus, a selection and what is unfolded stay. Nodes with a
	   data-key keep it. */
	patch: function(old, fresh) {
		if (!akin(old, fresh)) {
			old.parentNode.replaceChild(fresh, old);
			return fresh;
		}
		if (old.nodeType != 1) {
			if (old.nodeValue != fresh.nodeValue)
				old.nodeValue = fresh.nodeValue;
			return old;
		}
		// What it does has not ended yet.
		if (old.nodeName == 'BUTTON' && old.disabled)
			return old;
		patchAttributes(old, fresh);

		let at = old.firstChild;
		for (const child of Array.from(fresh.childNodes)) {
			let match = at;
			while (match && !akin(match, child))
				match = match.nextSibling;
			if (match && !key(child) && match != at)
				match = null;
			if (!match) {
				old.insertBefore(child, at);
				continue;
			}
			if (match != at)
				old.insertBefore(match, at);
			this.patch(match, child);
			at = match.nextSibling;
		}
		while (at) {
			const next = at.nextSibling;
			old.removeChild(at);
			at = next;
		}
		// An option that is gone may have been the selected one.
		return old;
	}
});

'use strict';
'require view';
'require poll';
'require uci';
'require ui';
'require failover.parts as parts';

/* Status → Failover. One call every two seconds tells everything; nothing is asked while the page is hidden. */

const SECONDS = 2;
const JOURNAL_SHORT = 15;

/* What is wrong, without the cure that ends it. */
function what(warning) {
	const { text, cure } = warning;
	const end = cure && text.endsWith(cure) ? text.slice(0, -cure.length) : text;
	return end.replace(/; (cure: )?$/, '');
}

function explained(provider, family) {
	return (provider.explained || []).find((said) => said.family == family) || { why: '', change: '' };
}

function term(name, value) {
	return value == null ? [] : [ E('div', { 'data-key': name }, [ E('dt', {}, [ name ]), E('dd', {}, [ value ]) ]) ];
}

return view.extend({
	/* all that the page shows, apart from what the daemon tells */
	status: null,
	answer: null,
	problems: null,
	asked: {},
	connections: null,
	filter: '',
	whole: false,

	load: function() {
		return this.ask();
	},

	/* Keeps the last status while the router is not reached. */
	ask: function() {
		return parts.callStatus().then((answer) => {
			this.lost = false;
			this.answer = answer;
			const had = this.status;
			this.status = L.isObject(answer) && Array.isArray(answer.providers) ? answer : null;
			if (had && !this.status)
				this.problems = null;
			return this.status ? null : this.look();
		}, (error) => {
			this.lost = error.message || String(error);
		});
	},

	/* Looks once at the configuration: it may be the reason that there is no daemon, or not fit the firewall. */
	look: function() {
		if (this.problems != null)
			return Promise.resolve();
		this.problems = [];
		// Who may not read it has no sections.
		return Promise.all([ L.resolveDefault(parts.callCheck()), this.status ? null : L.resolveDefault(uci.load('failover')) ]).then(([ check ]) => {
			this.problems = (check && check.problems) || [];
			this.staged = check && check.staged;
			this.off = uci.sections('failover', 'globals').some((section) => parts.off(section.enabled));
		});
	},

	render: function() {
		this.root = this.page();
		this.look().then(() => this.show());
		poll.add(() => document.hidden ? null : this.refresh(), SECONDS);
		document.addEventListener('visibilitychange', () => document.hidden ? null : this.refresh());
		return this.root;
	},

	refresh: function() {
		return this.ask().then(() => this.show());
	},

	show: function() {
		this.root = parts.patch(this.root, this.page());
	},

	page: function() {
		const { status } = this;
		const head = [ E('h2', {}, [ _('Failover') ]) ];
		if (this.lost)
			head.push(parts.alert('warn', _('No contact with the router'),
				[ E('p', {}, [ status ? _('This is what was known last.') : this.lost ]) ]));
		if (!status && !this.lost)
			return E('div', { 'class': 'fo-page' }, head.concat([ this.trouble() ]));
		if (!status)
			return E('div', { 'class': 'fo-page' }, head);
		if (!status.providers.length)
			return E('div', { 'class': 'fo-page' }, head.concat([
				this.warnings(status), parts.alert('warn', _('Failover is not set up yet'), this.toConfig()) ]));
		return E('div', { 'class': 'fo-page' }, head.concat([
			this.warnings(status), this.traffic(status), this.lines(status), this.journal(status)
		]));
	},

	trouble: function() {
		const [ title, cure ] = parts.trouble(this.answer);
		const of = (pattern) => (this.problems || []).filter((line) => pattern.test(line));
		const none = of(/: warning: no provider: /).length && !of(/^(?!.*warning: )/).length;
		const problems = none ? [] : of(/./);
		const idle = this.answer == 5 && (none ? _('Failover is not set up yet') : this.off ? _('Failover is switched off') : null);
		return parts.alert(idle ? 'idle' : 'bad', idle || title, (idle ? this.toConfig() : [ E('p', {}, [ cure ]) ]).concat(problems.length ? [
			E('p', {}, [ this.staged ? _('The unsaved changes have problems:') : '' ]), this.list(problems)
		] : []));
	},

	toConfig: function() {
		return [ E('a', { 'href': L.url('admin/network/failover') }, [ _('Network → Failover') ]) ];
	},

	list: function(lines) {
		return E('ul', { 'class': 'fo-problems' }, lines.map((line) => E('li', {}, [ line ])));
	},

	/* A refused configuration first, line by line; then that nothing works; then each warning with its cure. */
	warnings: function(status) {
		const refused = status.warnings.filter((warning) => warning.code == 'config-refused');
		// Of the firewall: they have no line.
		const found = (this.problems || []).filter((line) => /^warning: /.test(line)).map((line) => {
			const [ text, cure ] = line.slice(9).split(/ To [^:]+: (?=uci )/);
			return { text, cure };
		});
		const others = status.warnings.filter((warning) => warning.code != 'config-refused').concat(found);
		const alerts = [];
		if (refused.length) {
			const cures = refused.map((warning) => warning.cure).filter((cure, i, all) => cure && all.indexOf(cure) == i);
			alerts.push(parts.alert('bad', _('The configuration is refused'), [
				E('p', {}, [ _('The daemon runs on with the former one. Correct these lines:') ]),
				this.list(refused.reduce((lines, warning) => lines.concat(what(warning).split('\n')), []))
			].concat(cures.map((cure) => E('p', {}, [ E('code', {}, [ cure ]) ])))));
		}
		for (const family in parts.families) {
			const all = parts.paths(status, family), absent = parts.absent(status, family);
			if (all.length && absent)
				alerts.push(parts.alert('idle', absent, [ E('p', {}, [ _('If your providers give none, delete its checks under Network → Failover.') ]) ]));
			else if (all.length && !all.some(({ path }) => path.state == 'online' || path.state == 'probing' || path.state == 'frozen')
				&& !(status.overridden_by && status.overridden_by[family]))
				alerts.push(parts.alert('bad', _('No line works in %s').format(parts.families[family]), [ E('p', {}, [
					_('Look at the modem, its cable and its power; each line says below what it lacks.') ]) ]));
		}
		return E('div', { 'data-key': 'warnings' }, alerts.concat(others.map((warning) =>
			parts.alert('warn', warning.provider ? '%s: %s'.format(warning.provider, what(warning)) : what(warning), [
				warning.cure ? E('p', {}, [ _('What to do:'), ' ', E('code', {}, [ warning.cure ]) ]) : '',
				warning.since_s != null ? E('p', { 'class': 'fo-muted' }, [ _('for %s').format(parts.span(warning.since_s)) ]) : ''
			]))));
	},

	traffic: function(status) {
		const boxes = Object.keys(parts.families).filter((family) => parts.paths(status, family).length)
			.map((family) => this.family(status, family));
		const head = [ E('h3', {}, [ _('Traffic') ]) ];
		if (status.pinned)
			head.push(E('p', { 'class': 'fo-pinned' }, [
				parts.badge('pinned'), ' ', parts.pinned(status), ' ',
				L.hasViewPermission() ? this.button('auto', '', _('Let the daemon choose'), 'cbi-button-action', () => this.use('auto')) : ''
			]));
		return E('div', { 'class': 'cbi-section', 'data-key': 'traffic' },
			head.concat([ E('div', { 'class': 'fo-grid' }, boxes) ]));
	},

	/* Who carries a family, and why. */
	family: function(status, family) {
		const leader = status.active[family];
		const all = parts.paths(status, family);
		const of = all.find(({ provider }) => provider.id == leader) || all[0];
		const other = (status.overridden_by && status.overridden_by[family]) || (!leader && status.fallback && status.fallback[family]);
		const carrier = other ? other.device || _('another route') : leader || _('nothing');
		const colour = parts.absent(status, family) ? 'fo-idle' : leader && !other && of.path.state != 'offline' ? 'fo-good' : 'fo-bad';
		return E('div', { 'class': 'fo-card fo-family', 'data-key': 'family-' + family }, [
			E('div', { 'class': 'fo-head' }, [
				E('span', { 'class': 'fo-name' }, [ parts.families[family] ]),
				E('span', { 'class': 'fo-arrow', 'aria-hidden': 'true' }, [ '→' ]),
				E('strong', { 'class': 'fo-carrier' }, [ carrier ]),
				E('span', { 'class': 'fo-dot ' + colour, 'aria-hidden': 'true' }, [])
			]),
			E('p', { 'class': 'fo-why' }, [ parts.sentence(explained(of.provider, family).why) ])
		]);
	},

	lines: function(status) {
		const counted = this.connections;
		const head = E('div', { 'class': 'fo-head' }, [
			E('h3', {}, [ _('Lines') ]),
			E('span', { 'class': 'fo-right' }, [
				this.button('count', '', _('Count connections'), 'cbi-button-neutral', () => this.count())
			])
		]);
		return E('div', { 'class': 'cbi-section', 'data-key': 'lines' }, [
			head,
			E('div', { 'class': 'fo-grid' }, status.providers.map((provider) => this.card(status, provider, counted)))
		]);
	},

	card: function(status, provider, counted) {
		const { id } = provider;
		const carries = Object.keys(parts.families).filter((family) => status.active[family] == id);
		const head = [
			E('h4', { 'class': 'fo-name', 'id': 'fo-' + id }, [ id ]),
			parts.badge(provider.state)
		].concat(carries.map((family) => E('span', { 'class': 'fo-badge fo-carries' },
			[ _('carries %s').format(parts.families[family]) ])));
		head.push(E('span', { 'class': 'fo-right fo-muted', 'title': _('Its place in the order of preference; the lowest is best.') }, [ '#' + provider.rank ]));
		return E('article', { 'class': 'fo-card fo-edge-' + parts.colour(provider.state).slice(3), 'data-key': 'line-' + id, 'aria-labelledby': 'fo-' + id },
			[ E('div', { 'class': 'fo-head' }, head) ]
				.concat(provider.paths.map((path) => this.path(provider, path)))
				.concat([
					counted && counted[id] ? E('p', { 'data-key': 'connections' }, [
						_('Connections at %s: %d in IPv4, %d in IPv6').format(this.countedAt, counted[id].ipv4, counted[id].ipv6) ]) : '',
					this.answers(id),
					this.buttons(status, provider)
				]));
	},

	path: function(provider, path) {
		const family = parts.families[path.family];
		const { rtt_ms, checks } = path;
		const answered = checks.filter((check) => check.state == 'ok').length;
		const details = [].concat(
			term(_('Device'), path.device),
			term(_('Address'), path.address_deprecated ? _('%s (deprecated)').format(path.address) : path.address),
			term(_('Gateway'), path.gateway));
		return E('div', { 'class': 'fo-path', 'data-key': path.family }, [
			E('div', { 'class': 'fo-head' }, [
				E('strong', {}, [ family ]),
				E('span', { 'class': 'fo-dot ' + (parts.absent(this.status, path.family) ? 'fo-idle' : parts.colour(path.state)), 'aria-hidden': 'true' }, []),
				E('span', { 'class': 'fo-state', 'title': _('since %s').format(parts.moment(Date.now() - 1000 * path.since_s)) }, [
					E('strong', {}, [ parts.word(path.state) ]), ' ',
					_('for %s').format(parts.span(path.since_s))
				]),
				E('span', { 'class': 'fo-right' }, [
					E('span', { 'title': _('Round trip: mean of the window') }, [ parts.ms(rtt_ms.avg) ]), ' · ',
					E('span', {}, [ _('loss %s').format(parts.percent(path.loss_percent)) ])
				])
			]),
			path.reason ? E('p', { 'class': 'fo-reason' }, [ path.reason ]) : '',
			parts.sparkline(path.history),
			E('dl', { 'class': 'fo-facts' }, details),
			E('details', { 'data-key': 'more' }, [
				E('summary', {}, [ !checks.length ? _('No check')
					: checks.every((check) => check.state == 'pending') ? _('Checks') + ', ' + _('not asked now')
					: _('%d of %d checks answered').format(answered, checks.length) ]),
				checks.length ? this.checks(checks) : '',
				E('p', { 'class': 'fo-why' }, [ parts.sentence(explained(provider, path.family).why) ]),
				E('p', { 'class': 'fo-why' }, [ parts.sentence(explained(provider, path.family).change) ])
			])
		]);
	},

	checks: function(checks) {
		const words = { ok: _('answered'), lost: _('lost'), pending: _('not asked now') };
		const titles = [ _('Checks'), _('Target'), _('Last answer'), _('Loss') ];
		return E('table', { 'class': 'table fo-checks' }, [
			E('tr', { 'class': 'tr table-titles' }, titles.map((title) => E('th', { 'class': 'th', 'scope': 'col' }, [ title ])))
		].concat(checks.map((check) => E('tr', { 'class': 'tr', 'data-key': check.name }, [
			[ check.name ],
			[ '%s %s'.format(check.type, check.target) ],
			[
				E('span', { 'class': 'fo-dot fo-' + ({ ok: 'good', lost: 'bad' }[check.state] || 'idle'), 'aria-hidden': 'true' }, []), ' ',
				words[check.state] || check.state,
				check.state == 'ok' ? ', ' + parts.ms(check.rtt_ms) : '',
				check.failing_s != null ? ' ' + _('for %s').format(parts.span(check.failing_s)) : ''
			],
			[ parts.percent(check.loss_percent) ]
		].map((cell, i) => E('td', { 'class': 'td left', 'data-title': titles[i] }, cell))))));
	},

	/* The buttons of a line. Who may only see has none. */
	buttons: function(status, provider) {
		const { id, state, disabled } = provider;
		if (!L.hasViewPermission())
			return E('div', { 'class': 'fo-buttons', 'data-key': 'buttons' }, []);
		const buttons = [];
		if (status.pinned == id)
			buttons.push(this.button('auto', id, _('Let the daemon choose'), 'cbi-button-action', () => this.use('auto')));
		else if (state != 'disabled')
			buttons.push(this.button('use', id, _('Use'), 'cbi-button-action', () => this.use(id)));
		if (disabled)
			buttons.push(this.button('enable', id, _('Enable'), 'cbi-button-positive', () => this.act(parts.callEnable(id))));
		else if (state != 'disabled')
			buttons.push(this.button('disable', id, _('Disable'), 'cbi-button-negative', () => this.disable(id)));
		buttons.push(this.button('probe', id, _('Check now'), 'cbi-button-neutral', () => this.probe(provider)));
		return E('div', { 'class': 'fo-buttons', 'data-key': 'buttons' }, buttons);
	},

	/* A button is in work until what it does has ended. Its key names the action and the line, so its handler stays right. */
	button: function(action, id, text, style, run) {
		const key = action + '-' + id;
		return E('button', {
			'class': 'btn cbi-button ' + style, 'type': 'button', 'data-key': key,
			'title': action == 'disable' ? _('Take this line out of use, for maintenance, until it is enabled again or the daemon restarts') : null,
			'aria-label': id ? '%s: %s'.format(id, text) : null,
			'click': ui.createHandlerFn(this, () => Promise.resolve(run()).finally(() => window.setTimeout(() => this.focus(key), 0)))
		}, [ text ]);
	},

	/* LuCI takes the focus from a button in work: who uses the keyboard gets it back. */
	focus: function(key) {
		const button = Array.from(this.root.querySelectorAll('button')).find((button) => button.dataset.key == key);
		if (button && document.activeElement == document.body)
			button.focus();
	},

	/* Does it, and shows what came of it. */
	act: function(call) {
		return call.then((answer) => {
			if (!L.isObject(answer)) {
				const [ title, cure ] = answer == 2 ? [ _('That did not work'), _('Status → System Log says why.') ] : parts.trouble(answer);
				ui.addNotification([ title ], E('p', {}, [ cure ]), 'warning');
			}
			return this.refresh();
		}, (error) => {
			ui.addNotification([ _('That did not work') ], E('p', {}, [ error.message || String(error) ]), 'danger');
		});
	},

	/* Asks first, where traffic may stop, now or later. */
	sure: function(text, run) {
		return new Promise((done) => {
			const button = (style, title, act) => E('button', { 'class': 'btn ' + style, 'type': 'button', 'click': () => {
				ui.hideModal();
				done(act());
			} }, [ title ]);
			const cancel = button('', _('Cancel'), () => null);
			ui.showModal([ _('Are you sure?') ], [
				E('p', {}, [ text ]),
				E('div', { 'class': 'right' }, [ cancel, ' ', button('cbi-button cbi-button-negative', _('Do it'), run) ])
			]);
			cancel.focus();
		});
	},

	use: function(id) {
		const provider = this.status.providers.find((provider) => provider.id == id);
		const run = () => this.act(parts.callUse(id));
		if (!provider)
			return run();
		const text = _('All traffic leaves by %s, even if it fails: no line is checked meanwhile. To prefer it for good, drag it to the top under Network → Failover.').format(id);
		const works = provider.state == 'online' || provider.state == 'frozen';
		return this.sure(works ? text : _('%s does not work now.').format(id) + ' ' + text, run);
	},

	disable: function(id) {
		const works = (provider) => provider.state == 'online' || provider.state == 'pinned' || provider.state == 'frozen';
		const others = this.status.providers.some((provider) => provider.id != id && works(provider));
		const run = () => this.act(parts.callDisable(id));
		return others ? run() : this.sure(_('No other line works now. Without %s, traffic may stop.').format(id), run);
	},

	count: function() {
		return parts.callConnections().then((answer) => {
			this.connections = {};
			this.countedAt = parts.moment(Date.now());
			if (L.isObject(answer) && Array.isArray(answer.providers))
				for (const { id, connections } of answer.providers)
					this.connections[id] = connections;
			this.show();
		});
	},

	/* Asks each check by a call of its own, one after the other: each answer is shown when it comes. */
	probe: function(provider) {
		const { id } = provider;
		const names = provider.paths.reduce((names, path) => names.concat(path.checks.map((check) => check.name)), []);
		const asked = names.filter((name, i) => names.indexOf(name) == i).map((name) => ({ name, lines: null }));
		this.asked[id] = asked;
		this.show();
		return asked.reduce((before, check) => before.then(() => parts.callProbe(id, check.name)).then((answer) => {
			const told = L.isObject(answer);
			check.good = told && answer.good;
			check.lines = told ? answer.lines : [ _('Status → System Log says why.') ];
		}, (error) => {
			check.lines = [ error.message || String(error) ];
		}).then(() => this.show()), Promise.resolve());
	},

	answers: function(id) {
		const asked = this.asked[id];
		return E('div', { 'class': 'fo-answers', 'data-key': 'answers', 'role': 'status' }, !asked ? [] : !asked.length
			? [ E('p', {}, [ _('No check') ]) ]
			: asked.map((check) => E('div', { 'data-key': check.name }, [
				E('span', { 'class': 'fo-dot fo-' + (check.lines == null ? 'busy' : check.good ? 'good' : 'bad'), 'aria-hidden': 'true' }, []), ' ',
				E('strong', {}, [ check.name ]), ' ',
				check.lines == null ? E('em', {}, [ _('asking …') ]) : E('span', { 'class': 'fo-lines' }, [ check.lines.join('\n') ])
			])));
	},

	/* Newest first. */
	journal: function(status) {
		const all = status.journal || [];
		const { filter } = this;
		const found = all.filter((entry) => !filter || entry.provider == filter || (filter == '-' && !entry.provider));
		const shown = this.whole ? found : found.slice(0, JOURNAL_SHORT);
		const titles = [ _('Time'), _('Line'), _('Event'), _('Why') ];
		const option = (value, text) => E('option', { 'value': value, 'data-key': 'option-' + value, 'selected': value == filter ? '' : null }, [ text ]);
		const rows = shown.map((entry) => E('tr', { 'class': 'tr', 'data-key': [ entry.time, entry.provider, entry.family, entry.kind, entry.cause ].join() }, [
			[ E('span', { 'title': entry.time }, [ parts.moment(entry.time) ]) ],
			[ [ entry.provider || '–', parts.families[entry.family] ].filter((word) => word).join(' ') ],
			[ entry.kind ],
			[ entry.cause ]
		].map((cell) => E('td', { 'class': 'td left' }, cell))));
		if (!rows.length)
			rows.push(E('tr', { 'class': 'tr placeholder', 'data-key': 'none' }, [
				E('td', { 'class': 'td', 'colspan': titles.length }, [ E('em', {}, [ _('nothing') ]) ])
			]));
		return E('div', { 'class': 'cbi-section', 'data-key': 'journal' }, [
			E('div', { 'class': 'fo-head' }, [
				E('h3', {}, [ _('Journal') ]),
				E('label', { 'class': 'fo-right' }, [
					_('Show'), ' ',
					E('select', { 'class': 'cbi-input-select', 'change': (ev) => this.choose(ev.target.value) }, [
						option('', _('everything'))
					].concat(status.providers.map(({ id }) => option(id, id)), [ option('-', _('only what concerns no line')) ]))
				])
			]),
			E('table', { 'class': 'table fo-journal' }, [
				E('tr', { 'class': 'tr table-titles', 'data-key': 'titles' }, titles.map((title) => E('th', { 'class': 'th', 'scope': 'col' }, [ title ])))
			].concat(rows)),
			found.length > JOURNAL_SHORT ? E('button', {
				'class': 'btn cbi-button cbi-button-neutral', 'type': 'button', 'data-key': 'whole',
				'click': () => {
					this.whole = !this.whole;
					this.show();
				}
			}, [ this.whole ? _('Show less') : _('Show all %d entries').format(found.length) ]) : ''
		]);
	},

	choose: function(filter) {
		this.filter = filter;
		this.show();
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});

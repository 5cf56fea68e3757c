'use strict';
'require view';
'require form';
'require uci';
'require ui';
'require poll';
'require failover.parts as parts';
'require failover.options as table';
'require failover.titles as titles';
'require failover.wizard as wizard';
'require tools.widgets as widgets';

/* Network → Failover: every option of the daemon, from its own table; its own opinion of what is staged at each field; and
   what is in force. */

const SECONDS = 3;

/* What comes first; the other options of globals and providers are advanced. */
const GENERAL = {
	globals: [ 'enabled', 'profile', 'last_resort', 'preempt', 'on_stop' ],
	provider: [ 'interface', 'profile', 'enabled' ]
};
const CHECK_TYPES = { PING: 'ping', TCP: 'tcp', DNS: 'dns', HTTP: 'http', EXEC: 'exec' };
const DEVICES = [ 'device', 'device6' ];

function globals() {
	const [ section ] = uci.sections('failover', 'globals');
	return section ? section['.name'] : uci.add('failover', 'globals', 'globals');
}

/* What a section is called, which may have no name of its own. */
function named(id) {
	return /^cfg[0-9a-f]{6}$/.test(id) ? (uci.get('failover', id) || { '.type': id })['.type'] : id;
}

/* The value that holds for a section without the option. */
function inherited(group, option, section) {
	const own = section && section != globals() ? uci.get('failover', section, 'profile') : null;
	const common = group == 'PROFILE' || group == 'TIMING' || group == 'QUALITY' || option.name == 'dns_route';
	let told = common && section != globals() ? uci.get('failover', globals(), option.name) : null;
	// LuCI takes some placeholders for HTML.
	if (!/^[\w.%]+$/.test(told))
		told = null;
	if (!Array.isArray(option.preset))
		return told || option.preset;
	const place = (profile) => [ 'normal', 'fast', 'metered' ].indexOf(profile);
	if (place(own) >= 0)
		return option.preset[place(own)];
	return told || option.preset[Math.max(0, place(uci.get('failover', globals(), 'profile')))];
}

/* What it means, its name in the file, and what may be typed. */
function described(option) {
	const told = [ option.name ].concat(option.type == 'choice' ? [] : option.values || [], option.range ? option.range.join('–') : []);
	const more = option.name == 'check' ? ' ' + _('Empty: all checks. As soon as one is chosen, only those are made.') : '';
	return option.help + more + ' (' + told.join(', ') + ')';
}

function widget(option) {
	if (option.name == 'interface')
		return widgets.NetworkSelect;
	if (DEVICES.includes(option.name))
		return widgets.DeviceSelect;
	switch (option.type) {
	case 'bool': return option.preset == '0' || option.preset == '1' ? form.Flag : form.ListValue;
	case 'choice': return form.ListValue;
	case 'list': return form.DynamicList;
	default: return form.Value;
	}
}

function words(field, option) {
	if (option.name == 'profile')
		titles.profiles.forEach(([ word, title ]) => field.value(word, title));
	else if (option.type == 'bool')
		[ [ '1', _('Yes') ], [ '0', _('No') ] ].forEach(([ word, title ]) => field.value(word, title));
	else if (option.type == 'choice' || option.type == 'duration' && option.values && option.values.length > 1)
		option.values.forEach((word) => field.value(word));
}

/* LuCI would drop the interfaces that the network configuration does not have. */
function keepMissing(field) {
	const kind = widgets.NetworkSelect.prototype;
	field.renderWidget = function(id, place, value) {
		const had = this.networks.map((one) => one.getName());
		this.networks = this.networks.concat(L.toArray(value).filter((name) => !had.includes(name))
			.map((name) => ({ getName: () => name, isVirtual: () => false, missing: had.length })));
		return kind.renderWidget.apply(this, [ id, place, value ]);
	};
	field.renderIfaceBadge = function(one) {
		return 'missing' in one ? E('span', { 'class': 'ifacebadge' }, [ one.getName(), ' ', E('em', {}, [ one.missing ? _('missing') : '' ]) ])
			: kind.renderIfaceBadge.apply(this, [ one ]);
	};
}

/* Tells the default of a field for a section. */
function fill(field, section) {
	if (!field.row)
		return;
	const preset = inherited(field.group, field.row, section);
	if (preset == null)
		return;
	field.placeholder = field.row.type == 'choice' || field.row.type == 'bool' ? _('%s (default)').format(titles.word(preset)) : preset;
}

return view.extend({
	load: function() {
		return Promise.all([ uci.load('failover'), parts.callStatus(), parts.callCheck() ]);
	},

	render: function([ , status, checked ]) {
		this.status = status;
		this.take(checked);
		this.top = E('div', {}, [ this.inForce() ]);
		this.order = this.byRank();
		const map = this.map = new form.Map('failover');
		// LuCI calls these when something was staged: a line was removed, what is in a dialog was saved.
		map.reset = () => this.check().then(() => form.Map.prototype.reset.apply(map));
		map.save = (before, silent) => form.Map.prototype.save.apply(map, [ before, silent ]).then(() => map.reset());
		this.addProviders(map);
		this.addChecks(map);
		this.addGlobals(map);
		poll.add(() => document.hidden ? Promise.resolve() : this.refresh(), SECONDS);
		return Promise.all([ wizard.render(this), map.render() ]).then((nodes) =>
			E('div', { 'class': 'fo-page' }, [ E('h2', {}, [ _('Failover') ]), this.top ].concat(nodes)));
	},

	/* --- the options */

	addGlobals: function(map) {
		const section = map.section(form.NamedSection, globals(), 'globals', _('For all lines'));
		section.tab('general', _('General'));
		section.tab('timing', _('Timing'));
		section.tab('quality', _('Quality'), _('How bad a line may be, over the window. Without a value it is not judged.'));
		section.tab('advanced', _('Advanced'));
		for (const group of [ 'GLOBALS', 'PROFILE', 'TIMING', 'QUALITY' ])
			for (const option of table[group])
				fill(this.add(section, this.tab(group, option, GENERAL.globals), group, option), globals());
	},

	addProviders: function(map) {
		const section = this.grid(map, 'provider', _('Lines'),
			_('The first one that works carries the traffic. To change the order, drag a line by its handle, or use its arrows.'));
		section.sortable = true;
		section.renderRowActions = function(id) {
			const cell = form.GridSection.prototype.renderRowActions.apply(this, [ id ]);
			const arrows = wizard.arrows(id, (other, after) => uci.move('failover', id, other.getAttribute('data-sid'), after));
			arrows.forEach((button) => button.disabled = this.map.readonly);
			cell.lastElementChild.prepend(...arrows);
			return cell;
		};
		section.tab('general', _('General'));
		section.tab('timing', _('Timing'), _('Without a value, that of all lines holds.'));
		section.tab('quality', _('Quality'), _('Without a value, that of all lines holds.'));
		section.tab('advanced', _('Advanced'));
		this.column(section, '_uplink', _('Uplink'), (id) => {
			const profile = uci.get('failover', id, 'profile');
			return [].concat(uci.get('failover', id, 'interface') || uci.get('failover', id, 'device') || '–').join(' ') +
				(profile ? ' (' + titles.word(profile) + ')' : '');
		});
		this.column(section, '_state', _('State'), (id) => this.stateCell(id));
		for (const group of [ 'PROVIDER', 'PROFILE', 'TIMING', 'QUALITY' ])
			for (const option of table[group])
				this.add(section, this.tab(group, option, GENERAL.provider), group, option);
	},

	addChecks: function(map) {
		const section = this.grid(map, 'check', _('Checks'), _('What is asked through each line, to know whether it works.'));
		section.tab('general', _('General'));
		section.tab('advanced', _('Advanced'));
		this.column(section, '_type', _('Type'), (id) => uci.get('failover', id, 'type') || '–');
		this.column(section, '_target', _('Target'), (id) =>
			[ uci.get('failover', id, 'target') || uci.get('failover', id, 'command') || '–' ].concat(this.told(id)));
		for (const option of table.CHECK) {
			const field = this.add(section, option.name == 'family' ? 'advanced' : 'general', 'CHECK', option);
			if (option.name == 'type')
				field.optional = false, field.rmempty = false;
		}
		// One field each, though several types have an option of that name.
		const fields = {};
		for (const group in CHECK_TYPES)
			for (const option of table[group]) {
				const field = fields[option.name] = fields[option.name] || this.add(section, 'general', group, option);
				field.depends('type', CHECK_TYPES[group]);
				field.presets = (field.presets || []).concat(option.preset ? CHECK_TYPES[group] + ': ' + option.preset : []);
			}
	},

	tab: function(group, option, general) {
		if (group == 'TIMING' || group == 'QUALITY')
			return group.toLowerCase();
		return general.includes(option.name) ? 'general' : 'advanced';
	},

	grid: function(map, type, title, text) {
		const section = map.section(form.GridSection, type, title, text);
		section.addremove = true;
		section.anonymous = false;
		section.nodescriptions = true;
		section.modaltitle = (id) => title + ': ' + id;
		section.addModalOptions = function(dialog, id) {
			for (const field of dialog.children) {
				fill(field, id);
				// Those of now, not those of when the page was made.
				if (field.row && field.row.name == 'check')
					[ 'all' ].concat(uci.sections('failover', 'check').map((check) => check['.name'])).forEach((name) => field.value(name));
				if (field.presets && field.presets.length > 1)
					field.placeholder = field.presets.join(', ');
			}
		};
		return section;
	},

	/* A column that only tells. */
	column: function(section, name, title, tell) {
		const column = section.option(form.DummyValue, name, title);
		column.modalonly = false;
		// A text would be taken for HTML.
		column.textvalue = (id) => E('div', {}, [].concat(tell(id)));
	},

	add: function(section, tab, group, option) {
		const page = this, kind = widget(option);
		const field = section.taboption(tab, kind, option.name, titles.options[option.name], described(option));
		field.group = group;
		field.row = option;
		field.modalonly = true;
		if (kind == form.Flag || kind == form.ListValue)
			// LuCI would drop what is not among the words.
			field.load = function(id) {
				const value = uci.get('failover', id, option.name);
				const word = value && option.type == 'bool' ? (parts.off(value) ? '0' : '1') : value;
				if (word && this.keylist && !this.keylist.includes(word))
					this.value(word);
				return word;
			};
		if (kind == widgets.NetworkSelect)
			keepMissing(field);
		if (kind == form.Flag) {
			field.default = option.preset;
		} else {
			field.optional = true;
			field.multiple = option.type == 'list';
			words(field, option);
			fill(field, null);
			if (option.type == 'number' && !option.values)
				field.datatype = 'range(%s)'.format(option.range.join(','));
		}
		// With what the daemon says of it.
		field.render = function(place, id, inTable) {
			return kind.prototype.render.apply(this, [ place, id, inTable ]).then((node) => {
				if (!inTable)
					page.told(id, option.name).forEach((told) => node.lastChild.appendChild(told));
				return node;
			});
		};
		return field;
	},

	/* --- the order */

	/* Puts the sections in the order of their ranks, and returns it. */
	byRank: function() {
		const sections = uci.sections('failover', 'provider');
		const names = sections.map((section) => section['.name']);
		if (!sections.some((section) => section.rank))
			return names;
		const rank = (name) => Number(uci.get('failover', name, 'rank')) || names.indexOf(name) + 1;
		const sorted = names.slice().sort((a, b) => rank(a) - rank(b));
		if (sorted.join() != names.join())
			sorted.forEach((name) => uci.move('failover', name, null));
		return sorted;
	},

	/* Where lines have a rank, a new order changes it. */
	rank: function() {
		const sections = uci.sections('failover', 'provider');
		const names = sections.map((section) => section['.name']);
		const moved = names.filter((name) => this.order.includes(name)).join() != this.order.filter((name) => names.includes(name)).join();
		if (moved && sections.some((section) => section.rank))
			names.forEach((name, i) => uci.set('failover', name, 'rank', String(i + 1)));
		this.order = names;
	},

	/* --- what the daemon says */

	take: function(checked) {
		const answered = L.isObject(checked), places = answered && checked.places || [];
		this.unchecked = !answered;
		this.staged = answered && checked.staged;
		this.refused = answered && !checked.valid;
		this.problems = (answered && checked.problems || []).map((line, i) => {
			const [ section, option ] = (places[i] || '.').split('.');
			const warning = /(^|: )warning: /.test(line);
			return { section, option, warning, line, text: line.replace(/^\/\S*?:\d+: /, '').replace(/^warning: /, '') };
		});
	},

	check: function() {
		return L.resolveDefault(parts.callCheck(), null).then((checked) => {
			this.take(checked);
			parts.patch(this.top, E('div', {}, [ this.inForce() ]));
		});
	},

	/* The problems of a section, or of one of its options, as nodes. */
	told: function(section, option) {
		return this.problems.filter((one) => one.section == section && (option == null || one.option == option)).map((one) =>
			E('div', { 'class': 'fo-problem ' + (one.warning ? 'fo-edge-warn' : 'fo-edge-bad'), 'role': 'note' }, [ one.text ]));
	},

	/* --- what is in force */

	refresh: function() {
		return L.resolveDefault(parts.callStatus(), null).then((status) => {
			this.status = status;
			parts.patch(this.top, E('div', {}, [ this.inForce() ]));
			document.querySelectorAll('.fo-state').forEach((cell) => parts.patch(cell, this.stateCell(cell.getAttribute('data-key'))));
		});
	},

	stateCell: function(id) {
		const found = L.isObject(this.status) ? this.status.providers.find((provider) => provider.id == id) : null;
		const disabled = found ? found.state == 'disabled' : parts.off(uci.get('failover', id, 'enabled'));
		const state = disabled ? [ parts.badge('disabled') ] : found ? found.paths.map((path) =>
			E('span', {}, [ parts.families[path.family] + ' ', parts.badge(path.state, parts.absent(this.status, path.family)), ' ' ])) : [ E('em', {}, [ _('not in force') ]) ];
		return E('div', { 'class': 'fo-state', 'data-key': id }, state.concat(this.told(id)));
	},

	/* Whether what the page shows is what the daemon does. */
	inForce: function() {
		const pinned = L.isObject(this.status) && this.status.pinned;
		const lines = (pinned ? [ E('div', {}, [ parts.pinned(this.status) ]) ] : []).concat(this.problems.length ? [ E('ul', { 'class': 'fo-problems' }, this.problems.map((one) =>
			E('li', {}, [ this.staged ? [ named(one.section), one.option ].filter((part) => part).concat(one.text).join(' · ') : one.line ]))) ] : []);
		if (this.refused && this.staged)
			lines.push(E('div', {}, [ _('To drop the changes: Unsaved Changes → Revert.') ]));
		if (this.refused)
			return parts.alert('bad', this.staged ? _('The daemon would refuse this configuration: it is saved, but not applied')
				: _('The configuration is refused'), lines);
		if (this.staged)
			return parts.alert('warn', _('Saved, but not in force yet'),
				[ E('div', {}, [ _('The daemon accepts it. “Save & Apply” puts it in force.') ]) ].concat(lines));
		return this.daemon(lines);
	},

	daemon: function(lines) {
		const configured = uci.sections('failover', 'provider').filter((section) => !parts.off(section.enabled)).map((section) => section['.name']);
		if (!configured.length)
			return parts.alert('idle', _('Failover is not set up yet'), []);
		if (parts.off(uci.get('failover', globals(), 'enabled')))
			return parts.alert('idle', _('Failover is switched off'), [ E('div', {}, [ _('Tick “Enabled” below, under General.') ]) ]);
		if (!L.isObject(this.status)) {
			const [ title, cure ] = parts.trouble(this.status);
			return parts.alert('bad', title, [ E('div', {}, [ cure ]) ].concat(lines));
		}
		// But those that the configuration disables.
		const there = this.status.providers.filter((provider) => provider.state != 'disabled' || provider.disabled).map((provider) => provider.id);
		const missing = configured.filter((name) => !there.includes(name)).concat(there.filter((name) => !configured.includes(name)));
		if (missing.length)
			return parts.alert('warn', _('Not in force yet: %s').format(missing.join(', ')), lines);
		const carried = Object.keys(parts.families).map((family) =>
			parts.families[family] + ' → ' + (this.status.active[family] || '–')).join(', ');
		return parts.alert(this.status.pinned ? 'warn' : 'good', _('This configuration is in force'), [ E('div', {}, [ carried ]) ].concat(lines));
	},

	/* --- the buttons */

	handleSave: function() {
		return this.map.save(() => this.rank());
	},

	handleSaveApply: function(ev, mode) {
		return this.handleSave().then(() => {
			if (!this.refused)
				return ui.changes.apply(mode == '0');
			this.top.scrollIntoView();
		});
	},

	handleReset: function() {
		return this.map.reset();
	}
});

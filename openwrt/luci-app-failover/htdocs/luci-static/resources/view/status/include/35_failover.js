'use strict';
'require baseclass';
'require failover.parts as parts';

/* The tile on Status → Overview: a line per family, a badge per line. */
return baseclass.extend({
	title: _('Failover'),

	load: function() {
		return document.hidden ? Promise.resolve(this.last) : L.resolveDefault(parts.callStatus(), 6).then((answer) => {
			this.last = answer;
			return answer;
		});
	},

	render: function(status) {
		if (!L.isObject(status) || !Array.isArray(status.providers)) {
			const [ title, cure ] = parts.trouble(status);
			// Who may not see it has no tile.
			return status == 6 ? null : E('div', { 'class': 'fo-tile' }, [ E('p', {}, [ E('strong', {}, [ title ]), '. ', cure ]) ]);
		}
		const rows = Object.keys(parts.families).filter((family) => parts.paths(status, family).length).map((family) => {
			const leader = status.active[family];
			const path = parts.paths(status, family).find(({ provider }) => provider.id == leader);
			const other = status.overridden_by && status.overridden_by[family];
			const absent = parts.absent(status, family);
			return absent ? E('div', {}, [ absent ]) : E('div', {}, [
				E('strong', {}, [ parts.families[family] ]), ' ',
				other ? _('leaves by %s, by a route of another program').format(other.device || '?')
					: !path ? _('is carried by no line')
					: path.path.state == 'online' || path.path.state == 'probing' ? _('leaves by %s').format(leader)
					: _('leaves by %s, which does not work').format(leader)
			]);
		});
		const badges = status.providers.map((provider) => E('span', { 'class': 'ifacebadge' }, [
			E('span', { 'class': 'fo-dot ' + parts.colour(provider.state), 'aria-hidden': 'true' }, []),
			E('strong', {}, [ provider.id ]), parts.word(provider.state)
		]));
		const warnings = status.warnings.length;
		return E('div', { 'class': 'fo-tile' }, rows.concat([
			E('div', { 'class': 'fo-badges' }, badges),
			E('a', { 'href': L.url('admin/status/failover') }, [
				warnings ? _('Warnings: %d').format(warnings) : _('All details')
			])
		]));
	}
});

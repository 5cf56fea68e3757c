'use strict';
'require baseclass';
'require rpc';
'require uci';
'require ui';
'require failover.titles as titles';

/* Where there is no line yet: those that the first installation would have made of the network configuration, in an order and
   with profiles that the user chooses. */

const callPropose = rpc.declare({ object: 'failover', method: 'propose' });

/* The row that a pointer drags. */
let dragged = null;

function button(name, label, act) {
	return E('button', { 'type': 'button', 'class': 'btn cbi-button', 'title': label, 'aria-label': label, 'click': act }, [ name ]);
}

/* Buttons that move a row, which is told of the row that it changes places with. */
function arrows(id, moved) {
	return [ [ '▲', _('Move %s up'), 'previousElementSibling' ], [ '▼', _('Move %s down'), 'nextElementSibling' ] ].map(([ name, label, side ], down) =>
		button(name, label.format(id), (ev) => {
			const here = ev.currentTarget, row = here.closest('li, tr'), other = row[side];
			if (!other)
				return;
			(down ? other : row).after(down ? row : other);
			here.focus();
			moved(other, !!down);
		}));
}

function row(provider) {
	const choice = E('select', { 'class': 'cbi-input-select', 'aria-label': _('Profile of %s').format(provider.id) },
		titles.profiles.map(([ word, title ]) => E('option', { 'value': word }, [ title ])));
	return E('li', {
		'class': 'fo-card fo-row',
		'data-id': provider.id,
		'draggable': 'true',
		'dragstart': (ev) => dragged = ev.currentTarget,
		'dragend': () => dragged = null,
		'drop': (ev) => ev.preventDefault(),
		'dragover': (ev) => {
			const here = ev.currentTarget;
			if (!dragged || dragged.parentNode != here.parentNode)
				return;
			ev.preventDefault();
			const below = ev.clientY > here.getBoundingClientRect().top + here.offsetHeight / 2;
			if (here != dragged)
				here.parentNode.insertBefore(dragged, below ? here.nextElementSibling : here);
		}
	}, [
		E('span', { 'class': 'fo-handle', 'aria-hidden': 'true' }, [ '☰' ]),
		E('b', {}, [ provider.id ]), E('span', { 'class': 'fo-muted' }, [ provider.interface.join(', ') ]),
		choice
	].concat(arrows(provider.id, () => {})));
}

/* Stages the rows as they are. */
function make(list, proposed) {
	const [ globals ] = uci.sections('failover', 'globals');
	for (const item of list.children) {
		const provider = proposed.find((one) => one.id == item.getAttribute('data-id'));
		const profile = item.querySelector('select').value;
		uci.add('failover', 'provider', provider.id);
		uci.set('failover', provider.id, 'interface', provider.interface);
		if (profile != 'normal')
			uci.set('failover', provider.id, 'profile', profile);
	}
	if (globals)
		uci.set('failover', globals['.name'], 'enabled', '1');
}

return baseclass.extend({
	arrows,

	/* A node, which is empty if there are lines. */
	render: function(page) {
		if (uci.sections('failover', 'provider').length)
			return Promise.resolve(E('div'));
		return L.resolveDefault(callPropose(), null).then((answer) => {
			const proposed = L.isObject(answer) ? answer.providers : [];
			const node = E('div', { 'class': 'cbi-section fo-wizard' }, [ E('h3', {}, [ _('Lines') ]) ]);
			if (!proposed.length) {
				node.appendChild(E('p', {}, [ _('No interface has a default route yet. Set one up under Network → Interfaces, then come back.') ]));
				return node;
			}
			const list = E('ol', { 'class': 'fo-rows' }, proposed.map(row));
			[
				E('p', {}, [ _('Put the line that you prefer first, and say how each is watched.') ]),
				list,
				E('button', {
					'class': 'btn cbi-button cbi-button-add',
					'data-key': 'make',
					'disabled': L.hasViewPermission() ? null : 'disabled',
					'click': ui.createHandlerFn(this, () => page.map.save(() => make(list, proposed)).then(() => node.remove()))
				}, [ _('Use these lines') ])
			].forEach((part) => node.appendChild(part));
			return node;
		});
	}
});

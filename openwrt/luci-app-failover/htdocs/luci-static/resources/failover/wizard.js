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

function move(ev, down) {
	const here = ev.currentTarget, row = here.closest('li');
	const other = down ? row.nextElementSibling : row.previousElementSibling;
	if (other)
		row.parentNode.insertBefore(row, down ? other.nextElementSibling : other);
	here.focus();
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
		choice,
		button('▲', _('Move %s up').format(provider.id), (ev) => move(ev, false)),
		button('▼', _('Move %s down').format(provider.id), (ev) => move(ev, true))
	]);
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

/* As much of LuCI's runtime as the pages of failover use, under the same names, with the same behaviour. The list API below
   holds it to that: a test compares it with what the pages use, and it was compared with luci.js, rpc.js, ui.js and cbi.js of
   LuCI (June 2026) by hand. */
'use strict';

const API = [
	'E', '_', 'String.format', 'L.hasViewPermission', 'L.isObject', 'L.resolveDefault', 'L.resource', 'L.toArray', 'L.url',
	'baseclass.extend', 'poll.add', 'rpc.declare', 'ui.addNotification', 'ui.createHandlerFn', 'ui.hideModal', 'ui.showModal',
	'view.extend'
];

/* What the test sets: whether the user may act, the language, and the calls that were made. */
const test = Object.assign({ readonly: false, language: {}, calls: [], page: 'failover.status' }, window.test);

function append(node, children) {
	if (Array.isArray(children)) {
		for (const child of children)
			if (child instanceof Node)
				node.appendChild(child);
			else if (child != null)
				node.appendChild(document.createTextNode(`${child}`));
	} else if (children instanceof Node) {
		node.appendChild(children);
	} else if (children != null) {
		// LuCI makes it innerHTML: no text that is not ours may come here.
		test.innerHTML = (test.innerHTML || []).concat([ `${children}` ]);
		node.innerHTML = `${children}`;
	}
}

function E(name, attributes, children) {
	const node = document.createElement(name);
	for (const key in attributes) {
		const value = attributes[key];
		if (value == null)
			continue;
		if (typeof value == 'function')
			node.addEventListener(key, value);
		else
			node.setAttribute(key, typeof value == 'object' ? JSON.stringify(value) : value);
	}
	append(node, children);
	return node;
}

function _(text) {
	return test.language[text] || text;
}

String.prototype.format = function(...values) {
	return this.replace(/%(%|[sd])/g, (whole, kind) =>
		kind == '%' ? '%' : kind == 'd' ? Math.floor(values.shift()) : values.shift());
};

const L = {
	hasViewPermission: () => !test.readonly,
	isObject: (value) => value != null && typeof value == 'object',
	resolveDefault: (value, otherwise) => Promise.resolve(value).catch(() => otherwise),
	toArray: (value) => value == null ? [] : Array.isArray(value) ? value : `${value}`.trim().split(/\s+/),
	resource: (...parts) => '/luci-static/resources/' + parts.join('/'),
	url: (...parts) => '/cgi-bin/luci/' + parts.join('/')
};

function extend(properties) {
	return class { constructor() { Object.assign(this, properties); } };
}

const baseclass = { extend };
const view = { extend };

/* Each second, as in LuCI, whose timer also runs while the page is hidden. */
const poll = {
	queue: [],
	tick: 0,
	add(fn, seconds) {
		poll.queue.push({ fn, seconds, ready: true });
		if (poll.queue.length == 1)
			window.setInterval(poll.step, 1000);
	},
	step() {
		poll.tick++;
		for (const entry of poll.queue)
			if (poll.tick % entry.seconds == 0 && entry.ready) {
				entry.ready = false;
				Promise.resolve(entry.fn()).finally(() => entry.ready = true);
			}
	}
};

const rpc = {
	declare({ object, method, params }) {
		return (...values) => {
			const named = {};
			(params || []).forEach((name, i) => named[name] = values[i]);
			test.calls.push([ method, named ]);
			return fetch('/ubus', { method: 'POST', body: JSON.stringify({ object, method, params: named }) })
				.then((response) => response.json())
				.then(({ error, result }) => {
					if (error)
						throw new Error(error);
					return result.length > 1 ? result[1] : result[0];
				});
		};
	}
};

const ui = {
	addNotification(title, children, style) {
		const node = E('div', { 'class': 'alert-message ' + (style || ''), 'role': 'alert' }, []);
		if (title != null)
			append(node, E('h4', {}, title));
		append(node, children);
		document.getElementById('maincontent').prepend(node);
		return node;
	},
	createHandlerFn(self, fn) {
		return (ev) => {
			const button = ev.currentTarget;
			button.classList.add('spinning');
			button.disabled = true;
			button.blur();
			return Promise.resolve(fn.call(self, ev)).finally(() => {
				button.classList.remove('spinning');
				button.disabled = false;
			});
		};
	},
	showModal(title, children) {
		ui.hideModal();
		const dialog = E('div', { 'class': 'modal', 'role': 'dialog', 'aria-modal': 'true' }, []);
		append(dialog, E('h4', {}, title));
		append(dialog, children);
		document.body.appendChild(E('div', { 'id': 'modal_overlay' }, [ dialog ]));
		document.body.classList.add('modal-overlay-active');
	},
	hideModal() {
		const overlay = document.getElementById('modal_overlay');
		if (overlay)
			overlay.remove();
		document.body.classList.remove('modal-overlay-active');
	}
};

const CLASSES = { baseclass, view, poll, rpc, ui };

/* Loads a module, with what its first lines require, and makes one of its class. */
async function load(name) {
	if (CLASSES[name])
		return CLASSES[name];
	const text = await (await fetch(L.resource(name.replace(/\./g, '/') + '.js'))).text();
	const names = [], values = [];
	for (const [ , module, , as ] of text.matchAll(/^'require ([\w.]+)( as (\w+))?';$/gm)) {
		names.push(as || module);
		values.push(await load(module));
	}
	const made = new Function(...names, 'E', '_', 'L', text)(...values, E, _, L);
	return CLASSES[name] = new made();
}

async function start() {
	const page = await load((test.page.startsWith('view.') ? '' : 'view.') + test.page);
	const node = await page.render(await page.load());
	const root = document.getElementById('view');
	if (test.page.includes('include')) {
		// As on LuCI's overview, which makes the content anew each time.
		if (node)
			root.append(E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ page.title ]), node ]));
	} else {
		root.append(node);
		if (page.handleSaveApply)
			root.append(footer(page));
	}
	test.ready = true;
}

window.addEventListener('load', () => start().catch((error) => {
	test.failed = `${error.stack}`;
	test.ready = true;
}));

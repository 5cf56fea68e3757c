/* As much of LuCI's forms as the page of the configuration uses: uci.js, form.js and tools/widgets.js, under the same names and
   with the same behaviour; all tabs are unfolded. The list holds it to that, as that of runtime.js. */
'use strict';

const FORM_API = [
	'form.DummyValue', 'form.DynamicList', 'form.Flag', 'form.GridSection', 'form.ListValue', 'form.Map', 'form.NamedSection',
	'form.Value', 'uci.add', 'uci.get', 'uci.load', 'uci.move', 'uci.sections', 'uci.set', 'ui.changes', 'widgets.DeviceSelect',
	'widgets.NetworkSelect'
];

/* What the page calls, sets or overrides of the forms' objects. */
const FORM_MEMBERS = [
	'Map.readonly', 'Map.render', 'Map.reset', 'Map.save', 'Map.section', 'NamedSection.tab', 'NamedSection.taboption',
	'GridSection.option', 'GridSection.tab', 'GridSection.taboption', 'GridSection.addModalOptions',
	'GridSection.addremove', 'GridSection.anonymous', 'GridSection.modaltitle', 'GridSection.nodescriptions',
	'GridSection.renderRowActions', 'GridSection.sortable', 'Value.datatype', 'Value.default', 'Value.depends',
	'Value.load', 'Value.modalonly', 'Value.optional', 'Value.placeholder', 'Value.render', 'Value.rmempty',
	'Value.textvalue', 'Value.value', 'ListValue.keylist', 'ListValue.multiple', 'NetworkSelect.networks',
	'NetworkSelect.renderIfaceBadge', 'NetworkSelect.renderWidget'
];

/* Calls the test's or the live configuration. */
function staged(method, params) {
	return fetch('/ubus', { method: 'POST', body: JSON.stringify({ object: 'uci', method: 'uci-' + method, params: params || {} }) })
		.then((response) => response.json()).then(({ result }) => result[1]);
}

const uci = {
	all: null,
	load: () => uci.all ? Promise.resolve() : staged('load').then(({ sections }) => { uci.all = sections || []; }),
	sections: (config, type) => (uci.all || []).filter((section) => type == null || section['.type'] == type),
	get: (config, name, option) => {
		const section = uci.all.find((one) => one['.name'] == name);
		return option == null ? section : section && section[option];
	},
	set(config, name, option, value) {
		uci.get(config, name)[option] = value;
	},
	unset(config, name, option) {
		const section = uci.get(config, name);
		if (section)
			delete section[option];
	},
	add(config, type, name) {
		uci.all.push({ '.name': name, '.type': type });
		return name;
	},
	remove(config, name) {
		uci.all = uci.all.filter((section) => section['.name'] != name);
	},
	move(config, name, other, after) {
		const section = uci.get(config, name);
		uci.remove(config, name);
		const place = uci.all.findIndex((one) => one['.name'] == other);
		uci.all.splice(other == null ? uci.all.length : place + !!after, 0, section);
	},
	save: () => staged('save', { sections: uci.all }).then(() => { uci.all = null; })
};

ui.changes = {
	apply: (checked) => staged('apply', { checked }).then(() => window.location.reload())
};

/* LuCI takes these texts for HTML. */
function html(content) {
	if (typeof content != 'string')
		return content;
	if (/[<&]/.test(content))
		test.innerHTML = (test.innerHTML || []).concat([ content ]);
	return [ content ];
}

function sameValue(one, other) {
	return JSON.stringify(one) == JSON.stringify(other);
}

class FormMap {
	constructor(config) {
		this.config = config;
		this.children = [];
	}
	section(kind, ...words) {
		const made = new kind(this, ...words);
		this.children.push(made);
		return made;
	}
	async load() {
		this.readonly = test.readonly;
		await uci.load(this.config);
		for (const section of this.children)
			for (const id of section.cfgsections())
				for (const option of section.children)
					option.values[id] = await option.load(id);
	}
	async save(before, silent) {
		try {
			for (const section of this.children)
				section.parse();
			if (before)
				before();
			await uci.save();
			await this.load();
		} catch (error) {
			if (!silent)
				ui.showModal('Save error', [ E('p', {}, [ error.message ]) ]);
			throw error;
		}
		return this.renderContents();
	}
	reset() {
		return this.renderContents();
	}
	render() {
		return this.load().then(() => this.renderContents());
	}
	async renderContents() {
		this.root = this.root || E('div', { 'class': 'cbi-map', 'change': () => this.checkDepends() });
		const nodes = [];
		for (const section of this.children)
			nodes.push(await section.render());
		this.root.replaceChildren(...nodes);
		this.checkDepends();
		return this.root;
	}
	checkDepends() {
		for (const section of this.children)
			for (const id of section.cfgsections())
				for (const option of section.children) {
					const node = this.root.querySelector(`[data-field="cbid.${this.config}.${id}.${option.option}"]`);
					if (node)
						node.classList.toggle('hidden', !option.isActive(id));
				}
	}
}

class FormSection {
	constructor(map, type, title, description) {
		Object.assign(this, { map, sectiontype: type, title, description, children: [], tabs: [] });
	}
	tab(name, title, description) {
		this.tabs.push({ name, title, description });
	}
	option(kind, ...words) {
		const made = new kind(this.map, this, ...words);
		this.children.push(made);
		return made;
	}
	taboption(tab, ...words) {
		if (!this.tabs.some(({ name }) => name == tab))
			throw new Error(`no tab ${tab}`);
		const made = this.option(...words);
		made.tab = tab;
		return made;
	}
	head() {
		return [ E('h3', {}, html(this.title)), this.description ? E('div', { 'class': 'cbi-section-descr' }, html(this.description)) : null ];
	}
}

class NamedSection extends FormSection {
	constructor(map, section, type, title, description) {
		super(map, type, title, description);
		this.section = section;
	}
	cfgsections() {
		return uci.get(this.map.config, this.section) ? [ this.section ] : [];
	}
	parse() {
		for (const option of this.children)
			option.parse(this.section);
	}
	async render() {
		const node = E('div', { 'class': 'cbi-section' }, this.title ? this.head() : []);
		for (const tab of this.tabs) {
			const pane = E('div', { 'data-tab': tab.name }, [ E('h4', {}, [ tab.title ]) ]);
			for (const option of this.children)
				if (option.tab == tab.name)
					pane.append(await option.render(0, this.section, false));
			node.append(pane);
		}
		return node;
	}
}

class GridSection extends FormSection {
	cfgsections() {
		return uci.sections(this.map.config, this.sectiontype).map((section) => section['.name']);
	}
	parse() {}
	async render() {
		const shown = this.children.filter((option) => !option.modalonly), readonly = this.map.readonly ? '' : null;
		const head = [ 'Name', ...shown.map((option) => option.title), 'Actions' ];
		const rows = this.cfgsections().map((id) => this.row(id, shown));
		const name = E('input', { 'type': 'text', 'class': 'cbi-section-create-name', 'aria-label': 'Name', 'disabled': readonly });
		const add = () => {
			uci.add(this.map.config, this.sectiontype, name.value);
			this.added = name.value;
			this.edit(name.value);
		};
		return E('div', { 'class': 'cbi-section', 'id': `cbi-${this.map.config}-${this.sectiontype}` }, [
			...this.head(),
			E('table', { 'class': 'table' }, [
				E('thead', {}, [ E('tr', { 'class': 'tr' }, head.map((text) => E('th', { 'class': 'th' }, [ text ]))) ]),
				E('tbody', {}, rows)
			]),
			name, E('button', { 'class': 'cbi-button-add', 'click': add, 'disabled': readonly }, [ 'Add' ])
		]);
	}
	row(id, shown) {
		const cell = (content) => E('td', { 'class': 'td' }, [ content ]);
		const drop = (ev) => {
			const from = GridSection.dragged, to = ev.currentTarget;
			const after = !!(from.compareDocumentPosition(to) & Node.DOCUMENT_POSITION_FOLLOWING);
			to.parentNode.insertBefore(from, after ? to.nextElementSibling : to);
			uci.move(this.map.config, from.dataset.sid, id, after);
		};
		return E('tr', { 'class': 'tr', 'data-sid': id, 'drop': drop }, [
			cell(id), ...shown.map((option) => E('td', { 'class': 'td' }, html(option.textvalue(id)))), this.renderRowActions(id)
		]);
	}
	renderRowActions(id) {
		const remove = () => {
			uci.remove(this.map.config, id);
			return this.map.save(null, true);
		};
		return E('td', { 'class': 'td' }, [ E('div', {}, [
			this.sortable ? E('button', {
				'class': 'drag-handle', 'title': 'Drag to reorder',
				'dragstart': (ev) => GridSection.dragged = ev.currentTarget.closest('tr')
			}, [ '☰' ]) : null,
			E('button', { 'class': 'cbi-button-edit', 'click': () => this.edit(id) }, [ 'Edit' ]),
			E('button', { 'class': 'cbi-button-remove', 'click': remove, 'disabled': this.map.readonly ? '' : null }, [ 'Delete' ])
		]) ]);
	}
	async edit(id) {
		const map = new FormMap(this.map.config);
		const section = map.section(NamedSection, id, this.sectiontype);
		section.tabs = this.tabs;
		for (const option of this.children) {
			if (option.modalonly === false)
				continue;
			const copy = section.option(option.constructor, option.option, option.title, option.description);
			for (const key of Object.keys(option))
				if (![ 'map', 'section', 'option', 'title', 'description', 'values' ].includes(key))
					copy[key] = option[key];
		}
		await this.addModalOptions(section, id);
		const node = await map.render();
		const save = () => map.save(null, true).then(() => this.map.load()).then(() => this.map.reset()).then(() => ui.hideModal());
		const dismiss = () => {
			if (this.added == id)
				uci.remove(this.map.config, id);
			ui.hideModal();
		};
		ui.showModal(html(this.modaltitle(id)), [
			node,
			E('button', { 'class': 'btn', 'click': dismiss }, [ 'Dismiss' ]),
			E('button', { 'class': 'btn cbi-button-positive', 'click': save, 'disabled': map.readonly ? '' : null }, [ 'Save' ])
		]);
	}
	addModalOptions() {}
}

class FormValue {
	constructor(map, section, option, title, description) {
		Object.assign(this, { map, section, option, title, description, deps: [], values: {}, rmempty: true });
	}
	value(word, title) {
		(this.keylist = this.keylist || []).push(word);
		(this.vallist = this.vallist || []).push(title == null ? word : title);
	}
	depends(name, value) {
		this.deps.push([ name, value ]);
	}
	load(id) {
		return uci.get(this.map.config, id, this.option);
	}
	textvalue(id) {
		return this.values[id];
	}
	isActive(id) {
		return !this.deps.length || this.deps.some(([ name, value ]) =>
			this.section.children.find((option) => option.option == name).formvalue(id) == value);
	}
	id(id) {
		return `cbid.${this.map.config}.${id}.${this.option}`;
	}
	element(id) {
		return this.map.root.querySelector(`[id="widget.${this.id(id)}"]`);
	}
	formvalue(id) {
		return this.element(id).value;
	}
	parse(id) {
		const value = this.isActive(id) ? this.formvalue(id) : null;
		const range = this.datatype && this.datatype.match(/^range\((\d+),(\d+)\)$/);
		if (value && range && !(/^\d+$/.test(value) && Number(value) >= Number(range[1]) && Number(value) <= Number(range[2])))
			throw new TypeError(`Option "${this.title}" contains an invalid input value.`);
		if (value == null || value == '' || value == this.default)
			uci.unset(this.map.config, id, this.option);
		else if (!sameValue(this.values[id], value))
			uci.set(this.map.config, id, this.option, value);
	}
	attributes(id) {
		return {
			'id': `widget.${this.id(id)}`, 'type': 'text', 'placeholder': this.placeholder,
			'disabled': this.map.readonly ? '' : null
		};
	}
	widget(id, value) {
		const list = this.keylist ? `list.${this.id(id)}` : null;
		if (list)
			html(this.placeholder);
		return E('div', {}, [
			E('input', Object.assign(this.attributes(id), { 'value': Array.isArray(value) ? value.join(' ') : value, 'list': list })),
			list ? E('datalist', { 'id': list }, this.keylist.map((word) => E('option', { 'value': word }))) : null
		]);
	}
	async render(place, id) {
		const value = this.values[id] == null ? this.default : this.values[id];
		return E('div', { 'class': 'cbi-value', 'data-field': this.id(id), 'data-name': this.option }, [
			E('label', { 'class': 'cbi-value-title', 'for': `widget.${this.id(id)}` }, html(this.title)),
			E('div', { 'class': 'cbi-value-field' }, [
				this.widget(id, value), E('div', { 'class': 'cbi-value-description' }, html(this.description))
			])
		]);
	}
}

class ListValue extends FormValue {
	choices() {
		return (this.keylist || []).map((word, i) => [ word, this.vallist[i] ]);
	}
	widget(id, value) {
		const chosen = this.multiple ? L.toArray(value) : [ value ];
		const options = this.choices().map(([ word, title ]) =>
			E('option', { 'value': word, 'selected': chosen.includes(word) ? '' : null }, [ title ]));
		if (this.optional && !this.multiple)
			options.unshift(E('option', { 'value': '' }, [ this.placeholder || '-- Please choose --' ]));
		return E('select', Object.assign(this.attributes(id), { 'type': null, 'multiple': this.multiple ? '' : null }), options);
	}
	formvalue(id) {
		const element = this.element(id);
		return this.multiple ? Array.from(element.selectedOptions, (option) => option.value) : element.value;
	}
}

class Flag extends FormValue {
	widget(id, value) {
		return E('input', Object.assign(this.attributes(id), { 'type': 'checkbox', 'checked': value == '1' ? '' : null }));
	}
	formvalue(id) {
		return this.element(id).checked ? '1' : '0';
	}
	parse(id) {
		if (this.isActive(id) && this.formvalue(id) != this.default)
			uci.set(this.map.config, id, this.option, this.formvalue(id));
		else
			uci.unset(this.map.config, id, this.option);
	}
}

class DynamicList extends FormValue {
	formvalue(id) {
		return this.element(id).value.split(/\s+/).filter((word) => word);
	}
}

class DummyValue extends FormValue {
	parse() {}
}

class NetworkSelect extends ListValue {
	load(id) {
		this.networks = (test.networks || []).map((name) => ({ getName: () => name, isVirtual: () => false }));
		return super.load(id);
	}
	choices() {
		return this.networks.map((network) => [ network.getName(), this.renderIfaceBadge(network) ]);
	}
	widget(id, value) {
		return this.renderWidget(id, 0, value);
	}
	renderWidget(id, place, value) {
		return super.widget(id, value);
	}
	renderIfaceBadge(network) {
		return E('span', { 'class': 'ifacebadge' }, [ network.getName() + ':' ]);
	}
}

class DeviceSelect extends ListValue {
	choices() {
		return (test.devices || []).map((name) => [ name, name ]);
	}
}

const form = { Map: FormMap, NamedSection, GridSection, Value: FormValue, ListValue, Flag, DynamicList, DummyValue };

Object.assign(CLASSES, { form, uci, 'tools.widgets': { NetworkSelect, DeviceSelect } });

/* The buttons below a page that has a form. */
function footer(page) {
	const button = (title, act) =>
		E('button', { 'class': 'btn', 'data-key': title, 'click': act, 'disabled': test.readonly ? '' : null }, [ title ]);
	return E('div', { 'class': 'cbi-page-actions' }, [
		button('Save & Apply', ui.createHandlerFn(page, (ev) => page.handleSaveApply(ev, '0'))),
		button('Save', ui.createHandlerFn(page, (ev) => page.handleSave(ev))),
		button('Reset', ui.createHandlerFn(page, (ev) => page.handleReset(ev)))
	]);
}

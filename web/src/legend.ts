/** The list of layers: what each looks like, how many it holds, and a switch for it. */

import { asOf, mayEdit, setAsOf, today, type Layer } from './api';
import { Batch } from './batch';
import { coverageButton } from './coverage';
import { h, icon, icons, onPhone } from './dom';
import { exportPanel } from './export';
import { openImport } from './import';
import { lang, number, t, type Word } from './i18n';
import { COLOURS, type CityMap, type Colouring } from './map';

const GROUPS = ['facilities', 'base', 'grid'] as const;

export class Legend {
  private open = !onPhone();

  constructor(
    private readonly element: HTMLElement,
    private readonly city: CityMap,
    /** What else shows the register at a moment. */
    private readonly retimed: () => void,
    private readonly openCoverage: () => void,
  ) {
    element.hidden = false;
    this.render();
  }

  /** On a phone the legend and the card do not fit side by side. */
  fold(): void {
    if (!this.open) return;
    this.open = false;
    this.render();
  }

  render(): void {
    this.element.classList.toggle('folded', !this.open);
    const toggle = h(
      'button',
      {
        class: 'legend-toggle',
        'aria-expanded': String(this.open),
        'aria-controls': 'legend-body',
        onclick: () => this.toggle(),
      },
      h('span', {}, t('layers')),
      icon(icons.chevron),
    );
    const groups = GROUPS.map((group) => this.group(group, this.city.layers.filter((layer) => layer.group === group)));
    const body = h(
      'div',
      { id: 'legend-body', class: 'legend-body', hidden: !this.open },
      ...groups,
      this.city.basemaps.length > 0 && this.basemaps(),
      this.colouring(),
      this.moment(),
      coverageButton(this.openCoverage, () => this.fold()),
      exportPanel(this.city, title),
      h('button', { class: 'import-open', onclick: () => openImport() }, t('import')),
      mayEdit() && h('button', { class: 'batch-open', onclick: () => new Batch(this.city) }, t('batch')),
      h('p', { class: 'hint' }, t('binsHint')),
    );
    this.element.replaceChildren(toggle, body);
  }

  private toggle(): void {
    this.open = !this.open;
    this.render();
    this.element.querySelector<HTMLElement>('.legend-toggle')?.focus();
  }

  private group(group: (typeof GROUPS)[number], layers: Layer[]): HTMLElement | null {
    if (layers.length === 0) return null;
    return h('fieldset', {}, h('legend', {}, t(group)), ...layers.map((layer) => this.row(layer)));
  }

  private row(layer: Layer): HTMLElement {
    const swatch = h('span', { class: `swatch ${layer.geometry}`, 'aria-hidden': 'true' });
    swatch.style.setProperty('--colour', layer.color);
    const box = h('input', {
      type: 'checkbox',
      role: 'switch',
      'data-layer': layer.id,
      checked: this.city.visible.has(layer.id),
      onchange: () => this.city.show(layer.id, box.checked),
    });
    const count = layer.count == null ? '' : number(layer.count);
    const name = h('span', { class: 'layer-title' }, title(layer));
    return h('label', { class: 'layer' }, swatch, name, h('small', {}, count), box);
  }

  /** What the colour of a component says, and its key. */
  private colouring(): HTMLElement {
    const options: [Colouring, Word][] = [
      ['layer', 'byLayer'],
      ['ownership', 'ownershipStatus'],
      ['state', 'state'],
    ];
    const select = h(
      'select',
      {
        'data-colouring': true,
        onchange: () => {
          this.city.setColouring(select.value as Colouring);
          this.render();
          this.element.querySelector<HTMLElement>('[data-colouring]')?.focus();
        },
      },
      ...options.map(([value, word]) => h('option', { value, selected: value === this.city.colouring }, t(word))),
    );
    const colours = COLOURS[this.city.colouring];
    const key = Object.entries(colours?.words ?? {}).map(([word, colour]) => {
      const swatch = h('span', { class: 'swatch point', 'aria-hidden': 'true' });
      swatch.style.setProperty('--colour', colour);
      return h('li', {}, swatch, t(`${this.city.colouring === 'state' ? 'state' : 'status'}_${word}` as Word));
    });
    return h('div', { class: 'colouring' }, h('label', { class: 'basemap' }, h('span', {}, t('colouring')), select), key.length > 0 && h('ul', {}, ...key));
  }

  /** The day at whose end the register is looked at. */
  private moment(): HTMLElement {
    const past = asOf();
    const input = h('input', {
      type: 'date',
      'data-moment': true,
      max: today(),
      value: past ?? '',
      onchange: () => this.retime(input.value && input.value < today() ? input.value : null),
    });
    return h(
      'div',
      { class: past === null ? 'moment' : 'moment past' },
      h('label', { class: 'basemap' }, h('span', {}, t('moment')), input),
      past !== null && h('button', { onclick: () => this.retime(null) }, t('backToNow')),
    );
  }

  private retime(day: string | null): void {
    setAsOf(day);
    document.body.classList.toggle('in-past', day !== null);
    this.city.retime();
    this.render();
    this.retimed();
  }

  private basemaps(): HTMLElement {
    const options = this.city.basemaps.map((basemap) => {
      // Its streets lie some hundred metres off: components drawn on it would stand in the wrong place.
      const shifted = basemap.datum === 'gcj02';
      const text = shifted ? `${title(basemap)} (${t('gcj02')})` : title(basemap);
      return h('option', { value: basemap.id, disabled: shifted, selected: basemap.id === this.city.basemap }, text);
    });
    const select = h(
      'select',
      {
        onchange: () => {
          this.city.setBasemap(select.value || null);
          this.render();
          this.element.querySelector('select')?.focus();
        },
      },
      h('option', { value: '' }, t('none')),
      ...options,
    );
    return h('label', { class: 'basemap' }, h('span', {}, t('basemap')), select);
  }
}

const title = (named: { title_zh: string; title_en: string }): string =>
  lang() === 'zh' ? named.title_zh : named.title_en;

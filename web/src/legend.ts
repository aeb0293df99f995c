/** The list of layers: what each looks like, how many it holds, and a switch for it. */

import type { Layer } from './api';
import { h, icon, icons, onPhone } from './dom';
import { exportPanel } from './export';
import { openImport } from './import';
import { lang, number, t } from './i18n';
import type { CityMap } from './map';

const GROUPS = ['facilities', 'base', 'grid'] as const;

export class Legend {
  private open = !onPhone();

  constructor(
    private readonly element: HTMLElement,
    private readonly city: CityMap,
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
      exportPanel(this.city, title),
      h('button', { class: 'import-open', onclick: () => openImport() }, t('import')),
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

/** The search box: a combobox after the ARIA pattern, over the register's own text search. */

import * as api from './api';
import { h, icon, icons } from './dom';
import { number, onLang, t } from './i18n';
import { report } from './toast';

/** Typing goes on this long before a question is sent. */
const PAUSE_MS = 220;

export class Search {
  private readonly input = h('input', {
    type: 'search',
    id: 'q',
    role: 'combobox',
    autocomplete: 'off',
    spellcheck: 'false',
    enterkeyhint: 'search',
    'aria-autocomplete': 'list',
    'aria-controls': 'results',
    'aria-expanded': 'false',
    oninput: () => this.schedule(),
    onkeydown: (event: KeyboardEvent) => this.key(event),
    onfocus: () => this.show(this.found !== null),
  });
  private readonly list = h('ul', { id: 'results', role: 'listbox' });
  private readonly summary = h('p', { class: 'summary', role: 'status' });
  private readonly popup = h('div', { class: 'panel results', hidden: true }, this.summary, this.list);
  private readonly clear = h(
    'button',
    { class: 'plain', type: 'button', hidden: true, onclick: () => this.reset() },
    icon(icons.close),
  );
  private found: api.Found | null = null;
  private active = -1;
  private timer = 0;
  private request = new AbortController();

  constructor(
    element: HTMLElement,
    private readonly choose: (component: api.Component) => void,
  ) {
    element.append(h('div', { class: 'field' }, icon(icons.search), this.input, this.clear), this.popup);
    element.addEventListener('focusout', (event) => {
      if (!element.contains(event.relatedTarget as Node | null)) this.show(false);
    });
    document.addEventListener('keydown', (event) => {
      const typing = event.target instanceof HTMLElement && event.target.matches('input, select, textarea');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.input.focus();
    });
    onLang(() => this.translate());
    this.translate();
  }

  private translate(): void {
    this.input.placeholder = t('searchHint');
    this.input.setAttribute('aria-label', t('searchLabel'));
    this.list.setAttribute('aria-label', t('searchLabel'));
    this.clear.setAttribute('aria-label', t('searchClear'));
    // Results carry names in the old language.
    if (this.found) void this.ask(!this.popup.hidden);
  }

  private schedule(): void {
    clearTimeout(this.timer);
    this.clear.hidden = this.input.value === '';
    this.timer = window.setTimeout(() => void this.ask(), PAUSE_MS);
  }

  private async ask(open = true): Promise<void> {
    clearTimeout(this.timer);
    this.request.abort();
    this.request = new AbortController();
    const q = this.input.value.trim();
    if (q === '') {
      this.found = null;
      this.show(false);
      return;
    }
    try {
      this.found = await api.find(q, this.request.signal);
      this.render(q);
      this.show(open);
    } catch (error) {
      if (api.isAbort(error)) return;
      this.found = null;
      this.show(false);
      report(error);
    }
  }

  private render(q: string): void {
    const { features, numberMatched = features.length } = this.found!;
    const counts = { q, n: number(numberMatched), k: number(features.length) };
    const word = features.length === 0 ? 'searchNone' : features.length < numberMatched ? 'searchSome' : 'searchCount';
    this.summary.textContent = t(word, counts);
    this.list.replaceChildren(...features.map((feature, index) => this.row(feature, index)));
    this.activate(-1);
  }

  private row(feature: api.Component, index: number): HTMLElement {
    const { code, class_name, class: cls, name, road, state, state_name, cell } = feature.properties;
    return h(
      'li',
      {
        id: `result-${index}`,
        role: 'option',
        'data-id': feature.id,
        // Not `click`: the press itself must not take the focus from the box, which would close the list.
        onpointerdown: (event: PointerEvent) => event.preventDefault(),
        onclick: () => this.pick(index),
      },
      h('span', { class: 'result-class' }, class_name ?? cls, name && ` · ${name}`),
      h('small', { class: `dot state-${state}` }, state_name ?? state),
      h('code', {}, code),
      h('small', {}, [road, cell].filter(Boolean).join(' · ')),
    );
  }

  private key(event: KeyboardEvent): void {
    const count = this.found?.features.length ?? 0;
    if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && count > 0) {
      event.preventDefault();
      this.show(true);
      // -1 is the box itself: the arrows go round through it.
      const step = event.key === 'ArrowDown' ? 1 : -1;
      this.activate(((this.active + 1 + step + count + 1) % (count + 1)) - 1);
    } else if (event.key === 'Enter' && !event.isComposing) {
      event.preventDefault();
      void this.enter();
    } else if (event.key === 'Escape') {
      // The first Escape closes the list, the next one empties the box.
      event.preventDefault();
      event.stopPropagation();
      if (this.popup.hidden) this.reset();
      else this.show(false);
    }
  }

  /** Enter takes the marked result; with none marked it asks at once, and takes the only answer. */
  private async enter(): Promise<void> {
    if (this.active >= 0) return this.pick(this.active);
    await this.ask();
    if (this.found?.features.length === 1) this.pick(0);
  }

  private activate(index: number): void {
    this.active = index;
    [...this.list.children].forEach((row, at) => row.setAttribute('aria-selected', String(at === index)));
    if (index < 0) this.input.removeAttribute('aria-activedescendant');
    else this.input.setAttribute('aria-activedescendant', `result-${index}`);
    this.list.children[index]?.scrollIntoView({ block: 'nearest' });
  }

  private pick(index: number): void {
    const feature = this.found?.features[index];
    if (!feature) return;
    this.show(false);
    this.choose(feature);
  }

  private show(open: boolean): void {
    this.popup.hidden = !open;
    this.input.setAttribute('aria-expanded', String(open));
    if (!open) this.activate(-1);
  }

  private reset(): void {
    this.input.value = '';
    this.schedule();
    this.input.focus();
  }
}

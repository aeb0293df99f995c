/** Where to build next: ask for sites, keep them as a scenario, look at the city as if it were built, compare two. */

import * as api from './api';
import { h } from './dom';
import { number, t, type Word } from './i18n';
import type { CityMap } from './map';
import { hectares, share } from './measure';
import { report, toast } from './toast';

interface Figures {
  rate: number | null;
  covered_m2: number;
}

interface Sites extends GeoJSON.FeatureCollection<GeoJSON.Geometry, { order: number; adds_m2: number; adds_people: number; rate: number | null }> {
  before: Figures;
  after: Figures;
  candidates: number;
  best: { sites: number; gap: number; proven: boolean };
}

interface Change extends GeoJSON.FeatureCollection<GeoJSON.Geometry, { change: 'gained' | 'lost'; area_m2: number }> {
  before: Figures;
  after: Figures;
  rate_change: number | null;
  gained_m2: number;
  lost_m2: number;
  groups: { key: string | null; name: string | null; before: Figures; after: Figures; rate_change: number | null }[] | null;
}

interface Scenario {
  id: number;
  name: string;
  sites: number;
}

const KINDS = ['commercial', 'public', 'green', 'other', 'residential', 'industrial'] as const;
/** What stands today, among scenarios. */
const NOW = 'now';

export class Siting {
  readonly element = h('details', { class: 'siting', ontoggle: () => (this.open = this.element.open) });
  /** The scenario that the city is looked at with. */
  scenario: number | null = null;
  private against: string | null = null;
  private scenarios: Scenario[] = [];
  private found: Sites | null = null;
  private readonly kinds = new Set<string>(['commercial', 'public']);
  private count = 5;
  private weight = 'area';
  private open = false;
  private asking: AbortController | undefined;
  private comparing: AbortController | undefined;
  private readonly result = h('div', { class: 'siting-result', 'aria-live': 'polite' });
  private readonly compared = h('div', { class: 'siting-compared', 'aria-live': 'polite' });

  /** `asked` says what coverage is asked of, `changed` that it is to be looked at with another scenario. */
  constructor(
    private readonly city: CityMap,
    private readonly asked: () => { rule: string; query: URLSearchParams },
    private readonly changed: () => void,
  ) {}

  /** Forgets what was found and chosen: the rule is another one, or nobody looks any more. */
  clear(): void {
    this.asking?.abort();
    this.comparing?.abort();
    [this.scenario, this.against, this.found] = [null, null, null];
    this.result.replaceChildren();
    this.compared.replaceChildren();
    this.city.setSites(null);
    this.city.setChange(null);
  }

  async show(): Promise<void> {
    try {
      this.scenarios = await api.scenarios<Scenario>(this.asked().rule);
    } catch (error) {
      report(error);
    }
    this.render();
    if (this.found) this.result.replaceChildren(...this.sites(this.found));
    if (this.against !== null) await this.compare();
  }

  private render(): void {
    const kind = (key: (typeof KINDS)[number]): HTMLElement => {
      const box = h('input', {
        type: 'checkbox',
        value: key,
        checked: this.kinds.has(key),
        onchange: () => (box.checked ? this.kinds.add(key) : this.kinds.delete(key)),
      });
      return h('label', {}, box, t(`land_${key}`));
    };
    const count = h('input', { type: 'number', 'data-sites': true, 'aria-label': t('sites'), min: 1, max: 100, value: this.count, onchange: () => (this.count = Number(count.value)) });
    const weight = h(
      'select',
      { 'data-weight': true, 'aria-label': t('weight'), onchange: () => (this.weight = weight.value) },
      ...(['area', 'people'] as const).map((key) => h('option', { value: key, selected: key === this.weight }, t(`weight_${key}`))),
    );
    const choice = (label: Word, name: string, value: string, first: [string, string][], choose: (value: string) => void): HTMLElement => {
      const select = h(
        'select',
        { [`data-${name}`]: true, 'aria-label': t(label), onchange: () => choose(select.value) },
        ...[...first, ...this.scenarios.map(({ id, name }): [string, string] => [String(id), name])].map(([key, text]) => h('option', { value: key, selected: key === value }, text)),
      );
      return h('label', { class: 'basemap' }, h('span', {}, t(label)), select);
    };
    this.element.open = this.open;
    this.element.replaceChildren(
      h('summary', {}, t('siting')),
      h('fieldset', { class: 'siting-kinds' }, h('legend', {}, t('sitingOn')), ...KINDS.map(kind)),
      h('div', { class: 'siting-ask' }, count, weight, h('button', { class: 'primary', 'data-find': true, onclick: () => void this.find() }, t('sitingFind'))),
      this.result,
      choice('scenario', 'scenario', String(this.scenario ?? NOW), [[NOW, t('asItStands')]], (value) => {
        this.scenario = value === NOW ? null : Number(value);
        this.changed();
        void this.compare();
      }),
      choice('compareWith', 'against', this.against ?? '', [['', t('compareNone')], [NOW, t('asItStands')]], (value) => {
        this.against = value || null;
        void this.compare();
      }),
      this.compared,
    );
  }

  private async find(): Promise<void> {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const { rule, query } = this.asked();
    this.result.replaceChildren(h('p', { class: 'hint' }, t('sitingSearching')));
    const own = { on: [...this.kinds].join(','), sites: String(this.count), weight: this.weight };
    try {
      this.found = await api.siting<Sites>(rule, new URLSearchParams({ ...Object.fromEntries(query), ...own }), asking.signal);
    } catch (error) {
      if (api.isAbort(error)) return;
      this.result.replaceChildren(h('p', { class: 'hint' }, error instanceof api.Problem ? (error.details[0] ?? error.title) : String(error)));
      return;
    }
    this.city.setSites(this.found);
    this.result.replaceChildren(...this.sites(this.found));
  }

  private sites(found: Sites): HTMLElement[] {
    const { best, before, after } = found;
    const site = ({ properties }: Sites['features'][number]): HTMLElement =>
      h('li', {}, h('span', {}, h('b', { class: 'order' }, String(properties.order))), h('span', {}, `+${hectares(properties.adds_m2)}`), h('span', {}, t('addsPeople', { n: number(properties.adds_people) })), h('b', {}, share(properties.rate)));
    const name = h('input', { type: 'text', 'data-name': true, 'aria-label': t('scenarioName'), placeholder: t('scenarioName'), maxlength: 100 });
    const keep = h('form', { class: 'siting-ask', onsubmit: (event: SubmitEvent) => void this.keep(event, name.value.trim()) }, name, h('button', { type: 'submit' }, t('scenarioKeep')));
    return [
      h('p', { class: 'coverage-rate' }, h('strong', {}, `${share(before.rate)} → ${share(after.rate)}`)),
      h('ol', { class: 'siting-sites' }, ...found.features.map(site)),
      h('p', { class: 'hint' }, best.proven ? t('sitingProven', { n: number(found.candidates) }) : t('sitingGap', { n: number(found.candidates), gap: share(best.gap) })),
      ...(api.mayEdit() && best.sites > 0 ? [keep] : []),
    ];
  }

  private async keep(event: SubmitEvent, name: string): Promise<void> {
    event.preventDefault();
    if (!this.found || !name) return;
    try {
      const kept = await api.keepScenario({ ...this.found, name });
      this.scenario = kept.id;
      this.found = null;
      this.city.setSites(null);
      this.result.replaceChildren();
      toast(t('scenarioKept', { name }), [], true);
      await this.show();
      this.changed();
    } catch (error) {
      report(error);
    }
  }

  /** What coverage is asked of has changed. */
  again(): void {
    if (this.against !== null) void this.compare();
  }

  /** Shows what differs between the scenario and another one, or what stands. */
  private async compare(): Promise<void> {
    const { rule, query } = this.asked();
    this.comparing?.abort();
    if (this.against === null) {
      this.compared.replaceChildren();
      this.city.setChange(null);
      return;
    }
    const asking = (this.comparing = new AbortController());
    const own = new URLSearchParams(query);
    // Both as of the day that is looked at.
    const past = query.get('datetime');
    if (past !== null) own.set('from-datetime', past);
    if (this.against !== NOW) own.set('from-scenario', this.against);
    try {
      const change = await api.change<Change>(rule, own, asking.signal);
      this.city.setChange(change);
      this.compared.replaceChildren(...this.difference(change));
    } catch (error) {
      if (!api.isAbort(error)) report(error);
    }
  }

  private difference(change: Change): HTMLElement[] {
    const signed = (value: number | null): string => (value === null ? '—' : `${value > 0 ? '+' : ''}${share(value)}`);
    const row = (kind: string, word: Word, m2: number): HTMLElement =>
      h('li', {}, h('span', {}, h('span', { class: `swatch polygon ${kind}`, 'aria-hidden': 'true' }), t(word)), h('b', {}, hectares(m2)));
    const groups = (change.groups ?? []).filter(({ before, after }) => before.rate !== null || after.rate !== null);
    const cells = (name: string, before: Figures, after: Figures, by: number | null): HTMLElement =>
      h('tr', {}, h('td', {}, name), h('td', {}, share(before.rate)), h('td', {}, share(after.rate)), h('td', {}, signed(by)));
    return [
      h('p', { class: 'coverage-rate' }, h('strong', {}, signed(change.rate_change)), ' ', `${share(change.before.rate)} → ${share(change.after.rate)}`),
      h('ul', { class: 'coverage-figures' }, row('gained', 'gained', change.gained_m2), row('lost', 'lost', change.lost_m2)),
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, h('th', {}, t('street')), h('th', {}, t('before')), h('th', {}, t('after')), h('th', {}, t('changed')))),
        h('tbody', {}, ...groups.map(({ key, name, before, after, rate_change }) => cells(name ?? key ?? t('none'), before, after, rate_change))),
      ),
    ];
  }
}

/** What facilities serve: a rule, its radius in one's hand, the blind spots on the map, and the rate against what is asked for. */

import * as api from './api';
import { byId, h, icon, icons, onPhone } from './dom';
import { day, lang, number, t } from './i18n';
import type { CityMap } from './map';
import { hectares, share } from './measure';
import { picture } from './picture';
import { Siting } from './siting';
import { report } from './toast';

interface Source {
  text: string;
  verified: boolean;
}

interface Rule {
  id: string;
  title: string;
  layer: string;
  note: string | null;
  radius: { at_least_m2: number; metres: number; source: Source | null }[];
  denominators: { key: string; title: string }[];
}

interface Figures {
  area_m2: number;
  covered_m2: number;
  blind_m2: number;
  rate: number | null;
  people: number;
  blind_people: number;
}

interface Answer {
  revision: number;
  crs: string;
  facilities: { counted: number; too_small: number };
  denominators: (Figures & { key: string; title: string })[];
  wanted: { rate: number; above: boolean; met: boolean | null; short: number | null; source: Source }[];
  blind_spots: { count: number; slivers: { count: number } };
  groups: (Figures & { key: string | null; name: string | null })[] | null;
}

/** Between two questions while the slider moves. */
const PAUSE_MS = 60;

export class Coverage {
  private rules: Rule[] = [];
  private rule: Rule | undefined;
  private denominator = '';
  /** The radius in one's hand; none for the rule's own. */
  private radius: number | null = null;
  private asking: AbortController | undefined;
  private later: number | undefined;
  private readonly result = h('div', { class: 'coverage-result', 'aria-live': 'polite' });

  private readonly siting: Siting;
  private answer: Answer | null = null;

  constructor(private readonly city: CityMap) {
    this.siting = new Siting(
      city,
      () => ({ rule: this.rule?.id ?? '', query: this.query() }),
      () => void this.ask(),
    );
  }

  get open(): boolean {
    return !byId('coverage').hidden;
  }

  async show(): Promise<void> {
    try {
      this.rules = await api.rules<Rule>();
    } catch (error) {
      report(error);
      return;
    }
    this.rule = this.rules.find(({ id }) => id === this.rule?.id) ?? this.rules[0];
    this.denominator = this.rule?.denominators.find(({ key }) => key === this.denominator)?.key ?? this.rule?.denominators[0]?.key ?? '';
    byId('coverage').hidden = false;
    this.render();
    void this.siting.show();
    void this.ask();
  }

  close(): void {
    this.asking?.abort();
    byId('coverage').hidden = true;
    this.city.setCoverage(null);
    this.siting.clear();
  }

  /** Somebody has edited something of some layers. */
  touched(layers: string[]): void {
    if (this.open && this.rule && layers.some((layer) => layer === this.rule?.layer || layer === 'components')) {
      this.city.refreshCoverage();
      this.soon();
    }
  }

  /** The language or the moment is another one. */
  async again(): Promise<void> {
    if (this.open) await this.show();
  }

  private query(): URLSearchParams {
    const query = new URLSearchParams({ denominator: this.denominator });
    if (this.radius !== null) query.set('radius', String(this.radius));
    const past = api.asOf();
    if (past !== null) query.set('datetime', past);
    if (this.siting.scenario !== null) query.set('scenario', String(this.siting.scenario));
    return query;
  }

  private soon(): void {
    this.later ??= window.setTimeout(() => {
      this.later = undefined;
      void this.ask();
    }, PAUSE_MS);
  }

  private async ask(): Promise<void> {
    if (!this.rule) return;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const { id } = this.rule;
    this.answer = null;
    this.city.setCoverage(`tiles/coverage-${id}?${this.query()}`);
    try {
      const answer = await api.coverage<Answer>(id, this.query(), asking.signal);
      if (asking.signal.aborted) return;
      this.answer = answer;
      this.result.replaceChildren(...this.figures(answer));
    } catch (error) {
      if (api.isAbort(error)) return;
      this.result.replaceChildren(h('p', { class: 'hint' }, error instanceof api.Problem ? (error.details[0] ?? error.title) : String(error)));
    }
  }

  private render(): void {
    const { rule } = this;
    if (!rule) return;
    const close = h('button', { class: 'plain close', 'aria-label': t('close'), onclick: () => this.close() }, icon(icons.close));
    const rules = h(
      'select',
      { 'data-rule': true, 'aria-label': t('rule'), onchange: () => this.choose(rules.value) },
      ...this.rules.map(({ id, title }) => h('option', { value: id, selected: id === rule.id }, title)),
    );
    const own = Math.max(...rule.radius.map(({ metres }) => metres));
    const said = h('output', {}, this.radius === null ? t('ruleRadius') : t('metres', { n: number(this.radius) }));
    const slider = h('input', {
      type: 'range',
      'data-radius': true,
      'aria-label': t('radius'),
      min: 50,
      max: 1000,
      step: 10,
      value: this.radius ?? own,
      oninput: () => {
        this.radius = Number(slider.value);
        said.textContent = t('metres', { n: number(this.radius) });
        this.soon();
        this.siting.again();
      },
    });
    const back = h('button', { class: 'plain', onclick: () => this.choose(rule.id) }, t('ruleRadius'));
    const lands = h(
      'select',
      {
        'data-denominator': true,
        'aria-label': t('denominator'),
        onchange: () => {
          this.denominator = lands.value;
          void this.ask();
          this.siting.again();
        },
      },
      ...rule.denominators.map(({ key, title }) => h('option', { value: key, selected: key === this.denominator }, title)),
    );
    byId('coverage').replaceChildren(
      h('h2', {}, t('coverage')),
      close,
      h(
        'div',
        { class: 'coverage-body' },
        h('label', { class: 'basemap' }, h('span', {}, t('rule')), rules),
        h('label', { class: 'basemap' }, h('span', {}, t('denominator')), lands),
        h('label', { class: 'basemap radius' }, h('span', {}, t('radius'), ' ', said), slider),
        this.tiers(rule),
        back,
        this.result,
        this.siting.element,
        this.out(),
      ),
    );
  }

  private choose(id: string): void {
    this.rule = this.rules.find((rule) => rule.id === id);
    this.radius = null;
    this.denominator = this.rule?.denominators[0]?.key ?? '';
    this.siting.clear();
    this.render();
    void this.siting.show();
    void this.ask();
  }

  /** On paper and in files: what is asked is read when it is clicked. */
  private out(): HTMLElement {
    const link = (text: string, name: string, address: () => string): HTMLElement => {
      const link = h('a', { 'data-out': name, href: '#', target: '_blank', rel: 'noopener', onclick: () => link.setAttribute('href', address()) }, text);
      return link;
    };
    const rule = this.rule?.id ?? '';
    const file = (f: string): string => `coverage/${rule}/blind?${this.query()}&f=${f}&limit=10000&lang=${lang()}`;
    const shot = h('button', { class: 'plain', 'data-out': 'png', onclick: () => void this.shoot(shot) }, t('pictureOf'));
    return h(
      'div',
      { class: 'coverage-out' },
      link(t('reportOf'), 'report', () => `coverage/${rule}/report?${this.query()}&lang=${lang()}`),
      shot,
      h('span', {}, t('blindFiles')),
      link('Shapefile', 'shp', () => file('shp')),
      link('GeoPackage', 'gpkg', () => file('gpkg')),
      link('GeoJSON', 'geojson', () => file('geojson')),
      link('Excel', 'xlsx', () => file('xlsx')),
    );
  }

  private async shoot(button: HTMLButtonElement): Promise<void> {
    const { rule, answer } = this;
    const own = answer?.denominators[0];
    if (!rule || !own) return;
    button.disabled = true;
    try {
      const blob = await picture(this.city, {
        title: rule.title,
        figure: `${share(own.rate)} ${own.title}`,
        key: [
          ['#7fb2e5', t('covered')],
          ['#d63b3b', t('blind')],
          ['#125c3a', t('counted')],
        ],
        foot: [
          t('computed', { crs: answer.crs, revision: answer.revision, day: day(api.asOf() ?? api.today()) }),
          ...answer.wanted.map(({ source }) => source.text + (source.verified ? '' : ` ${t('unverified')}`)),
        ].join('  ·  '),
      });
      const address = URL.createObjectURL(blob);
      h('a', { href: address, download: `lamppost-${rule.id}-${api.today()}.png` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      report(error);
    } finally {
      button.disabled = false;
    }
  }

  /** How far the rule itself reaches, and where that comes from. */
  private tiers(rule: Rule): HTMLElement {
    const tier = ({ at_least_m2, metres, source }: Rule['radius'][number]): HTMLElement =>
      h(
        'li',
        {},
        at_least_m2 > 0 ? t('tier', { area: number(at_least_m2), n: number(metres) }) : t('metres', { n: number(metres) }),
        source && this.source(source),
      );
    return h('ul', { class: 'coverage-tiers' }, ...rule.radius.map(tier), rule.note && h('li', {}, rule.note));
  }

  private source({ text, verified }: Source): HTMLElement {
    return h('small', {}, ` ${text}`, !verified && h('em', {}, ` ${t('unverified')}`));
  }

  private figures(answer: Answer): HTMLElement[] {
    const own = answer.denominators[0];
    if (!own) return [];
    const swatch = (kind: string): HTMLElement => h('span', { class: `swatch polygon ${kind}`, 'aria-hidden': 'true' });
    const row = (label: string, value: string, kind?: string): HTMLElement => h('li', {}, h('span', {}, kind && swatch(kind), label), h('b', {}, value));
    const wanted = answer.wanted.map(({ rate, above, met, short, source }) =>
      h(
        'li',
        { class: met ? 'met' : 'missed' },
        h('span', {}, `${above ? '>' : '≥'} ${share(rate)}`, this.source(source)),
        h('b', {}, met ? t('met') : t('short', { n: share(short ?? rate) })),
      ),
    );
    const groups = (answer.groups ?? []).filter(({ area_m2 }) => area_m2 > 0);
    // Each street against the least that is asked for of the city.
    const least = [...answer.wanted].sort((a, b) => a.rate - b.rate)[0];
    const judged = (rate: number | null): string | null =>
      !least || rate === null ? null : rate > least.rate || (!least.above && rate === least.rate) ? 'met' : 'missed';
    return [
      h('p', { class: 'coverage-rate' }, h('strong', {}, share(own.rate)), ' ', own.title),
      h('ul', { class: 'coverage-wanted' }, ...wanted),
      h(
        'ul',
        { class: 'coverage-figures' },
        row(t('covered'), hectares(own.covered_m2), 'covered'),
        row(t('blind'), hectares(own.blind_m2), 'blind'),
        row(t('blindPeople'), number(own.blind_people)),
        row(t('blindSpots'), number(answer.blind_spots.count)),
        row(t('counted'), number(answer.facilities.counted) + (answer.facilities.too_small > 0 ? ` (${t('tooSmall', { n: answer.facilities.too_small })})` : '')),
      ),
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, h('th', {}, t('street')), h('th', {}, t('rate'), least && ` (${least.above ? '>' : '≥'} ${share(least.rate)})`), h('th', {}, t('blind')), h('th', {}, t('blindPeople')))),
        h(
          'tbody',
          {},
          ...groups.map((group) =>
            h('tr', {}, h('td', {}, group.name ?? group.key ?? t('none')), h('td', { class: judged(group.rate) }, share(group.rate)), h('td', {}, hectares(group.blind_m2)), h('td', {}, number(group.blind_people))),
          ),
        ),
      ),
      h('p', { class: 'hint' }, t('computed', { crs: answer.crs, revision: answer.revision, day: day(api.asOf() ?? api.today()) })),
    ];
  }
}

/** The button that opens it. On a phone nothing else fits beside it. */
export const coverageButton = (open: () => void, fold: () => void): HTMLElement =>
  h(
    'button',
    {
      class: 'coverage-open',
      onclick: () => {
        if (onPhone()) fold();
        open();
      },
    },
    t('coverage'),
  );

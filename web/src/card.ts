/** The card of one component: everything the register says of it, and how it came to say so. */

import * as api from './api';
import type { Component, Properties, Version } from './api';
import { claimsSection } from './claims';
import { h, icon, icons } from './dom';
import { day, lang, moment, t, type Word } from './i18n';
import { report, toast } from './toast';

interface Actions {
  opened(component: Component): void;
  closed(): void;
  /** Shows another component, such as the pole that a lamp is part of. */
  go(id: number): void;
  zoom(component: Component): void;
}

export class Card {
  id: number | null = null;
  private request = new AbortController();
  private returnTo: Element | null = null;

  constructor(
    private readonly element: HTMLElement,
    private readonly actions: Actions,
  ) {
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.id !== null) this.close();
    });
  }

  /** Reads the open card again, in the language of the moment. */
  refresh(): void {
    if (this.id !== null) void this.open(this.id, false);
  }

  async open(id: number, anew = true): Promise<void> {
    this.request.abort();
    this.request = new AbortController();
    const { signal } = this.request;
    if (this.id === null) this.returnTo = document.activeElement;
    this.id = id;
    if (anew) {
      this.show(h('p', { class: 'loading', role: 'status' }, t('loading')));
      this.element.focus({ preventScroll: true });
    }
    // The card neither waits for its history nor fails with it; without a component its failure is no news.
    const versions = api.history(id, signal);
    versions.catch(() => {});
    // Claims are of now; what they came to then, the component says.
    const books = api.asOf() === null ? api.books(id, signal) : null;
    books?.catch(() => {});
    try {
      const component = await api.component(id, signal);
      const past = h('section', { class: 'history' }, h('h3', {}, t('history')), h('p', {}, t('loading')));
      const claims = h('section', { class: 'claims' });
      this.show(...this.body(component, claims), past);
      if (anew) this.actions.opened(component);
      void books?.then(
        (read) => claims.replaceWith(claimsSection(id, read, () => this.refresh())),
        (error: unknown) => report(error),
      );
      const restore = (version: number): void => void this.restore(id, version, component.properties.version);
      const read = await versions.then((own) => timeline(own, api.mayEdit() ? restore : null), (error: unknown) => {
        report(error);
        return h('p', {}, t('historyMissing'));
      });
      past.lastElementChild!.replaceWith(read);
    } catch (error) {
      report(error);
      if (!signal.aborted && anew) this.close();
    }
  }

  private async restore(id: number, version: number, current: number): Promise<void> {
    try {
      await api.restore(id, version, current);
    } catch (error) {
      report(error);
    }
    if (this.id === id) this.refresh();
  }

  close(): void {
    if (this.id === null) return;
    this.request.abort();
    this.id = null;
    this.element.hidden = true;
    this.actions.closed();
    if (this.returnTo instanceof HTMLElement && this.returnTo.isConnected) this.returnTo.focus();
  }

  private show(...content: (Node | null)[]): void {
    const close = h(
      'button',
      { class: 'plain close', 'aria-label': t('close'), onclick: () => this.close() },
      icon(icons.close),
    );
    this.element.replaceChildren(close, h('div', { class: 'card-body' }, ...content));
    this.element.hidden = false;
  }

  private body(component: Component, claims: HTMLElement): (HTMLElement | null)[] {
    const p = component.properties;
    const zoom = h('button', { onclick: () => this.actions.zoom(component) }, icon(icons.target), t('zoomTo'));
    const link = h('button', { onclick: () => void copyLink() }, icon(icons.link), t('copyLink'));
    const partOf = p.part_of == null ? null : this.linkTo(p.part_of);
    return [
      h('header', {}, h('h2', {}, title(p)), h('code', {}, p.code)),
      h(
        'p',
        { class: 'chips' },
        chip(`state-${p.state}`, t('state'), p.state_name ?? p.state),
        chip(`claim-${p.ownership_status}`, t('ownershipStatus'), p.ownership_status_name ?? p.ownership_status),
      ),
      h('p', { class: 'actions' }, zoom, link),
      section('parties', [
        ['authority', p.authority_name],
        ['owner', p.owner_name],
        ['maintainer', p.maintainer_name],
        ['propertyKind', p.property_kind_name ?? p.property_kind],
        ['managementKind', p.management_kind_name ?? p.management_kind],
      ]),
      claims,
      section('place', [
        ['address', p.address],
        ['road', joined(p.road, p.road_class_name ?? p.road_class)],
        ['street', p.street_name],
        ['community', p.community_name ?? p.community],
        ['cell', p.cell],
        ...optional('position', position(component.geometry)),
      ]),
      section('record', [
        ...optional('name', p.name),
        ['scheme', p.scheme],
        ['classCode', p.class],
        ['surveyedOn', p.surveyed_on && day(p.surveyed_on)],
        ['source', p.source],
        ['accuracy', p.accuracy],
        ['version', String(p.version)],
        ...optional('partOf', partOf),
        ...optional('note', p.note),
      ]),
      attributes(p),
    ];
  }

  private linkTo(id: number): HTMLElement {
    const follow = (event: Event): void => {
      event.preventDefault();
      this.actions.go(id);
    };
    return h('a', { href: `#id=${id}`, onclick: follow }, `#${id}`);
  }
}

type Row = [label: Word, value: string | Node | null | undefined];

const optional = (label: Word, value: Row[1]): Row[] => (value ? [[label, value]] : []);

const title = (p: Properties): string => joined(p.class_name ?? p.class, p.name) ?? p.class;

const joined = (...parts: (string | null | undefined)[]): string | null => parts.filter(Boolean).join(' · ') || null;

const chip = (look: string, label: string, value: string): HTMLElement =>
  h('span', { class: `chip ${look}`, title: label }, h('span', { class: 'unseen' }, `${label}: `), value);

/** A known lack is shown as such: whoever looks for an owner must see that there is none on record. */
const pair = (label: string, value: Row[1]): HTMLElement[] => [h('dt', {}, label), h('dd', {}, value || '—')];

const section = (heading: Word, rows: Row[]): HTMLElement =>
  h('section', {}, h('h3', {}, t(heading)), h('dl', {}, ...rows.flatMap(([label, value]) => pair(t(label), value))));

function attributes(p: Properties): HTMLElement | null {
  const plain = Object.entries(p.attributes ?? {}).map(([name, value]) => ({ label: name, value, unit: null }));
  const rows = (p.attributes_read ?? plain).flatMap(({ label, value, unit }) =>
    pair(label, [written(value), unit].filter(Boolean).join(' ')),
  );
  return rows.length === 0 ? null : h('section', {}, h('h3', {}, t('attributes')), h('dl', {}, ...rows));
}

/** The versions, newest first; all but that one may come back. */
function timeline(versions: Version[], restore: ((version: number) => void) | null): HTMLElement {
  return h(
    'ol',
    {},
    ...versions.map(({ version, recorded, by, reason, diff }, index) =>
      h(
        'li',
        {},
        h('p', { class: 'when' }, h('time', { datetime: recorded }, moment(recorded)), h('small', {}, `v${version}`)),
        h('p', {}, joined(reason ?? (version === 1 ? t('firstVersion') : null), by ? t('by', { who: by }) : null)),
        diff.length > 0 &&
          h(
            'ul',
            {},
            ...diff.map((change) =>
              h(
                'li',
                {},
                h('span', {}, change.label ?? change.field),
                h('del', {}, written(change.old)),
                ' → ',
                h('ins', {}, written(change.new)),
              ),
            ),
          ),
        restore && index > 0 && h('button', { class: 'restore', 'data-version': version, onclick: () => restore(version) }, t('restore', { version })),
      ),
    ),
  );
}

function written(value: unknown): string {
  if (value === null || value === undefined || value === '') return t('cleared');
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  if (Array.isArray(value)) return value.map(written).join(lang() === 'zh' ? '、' : ', ');
  if (typeof value !== 'object') return String(value);
  const place = value as Partial<GeoJSON.Geometry>;
  if (place.type && 'coordinates' in place) return position(place as GeoJSON.Geometry) ?? place.type;
  const parts = Object.entries(value).map(([name, part]) => `${name} ${written(part)}`);
  return parts.join(lang() === 'zh' ? '，' : ', ');
}

/** Seven decimals are a centimetre: as fine as the best survey, and no finer than the register keeps. */
const position = (geometry: GeoJSON.Geometry): string | null =>
  geometry.type === 'Point' ? geometry.coordinates.slice(0, 2).map((degree) => degree.toFixed(7)).join(', ') : null;

async function copyLink(): Promise<void> {
  try {
    await navigator.clipboard.writeText(location.href);
    toast(t('linkCopied'), [], true);
  } catch {
    // Without HTTPS there is no clipboard: show the link instead, to be copied by hand.
    toast(location.href, [], true);
  }
}

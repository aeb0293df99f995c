/** A list of one layer as a file: of the whole city, or of what the map shows. */

import { asOf, type Layer } from './api';
import { h, icon, icons } from './dom';
import { lang, t } from './i18n';
import type { CityMap } from './map';

/** What `f=` takes, and what people call it. */
const FORMATS = [
  ['xlsx', 'Excel (.xlsx)'],
  ['csv', 'CSV'],
  ['geojson', 'GeoJSON'],
  ['gpkg', 'GeoPackage'],
  ['fgb', 'FlatGeobuf'],
  ['shp', 'Shapefile (.zip)'],
] as const;

/** What was chosen last, as the legend is drawn anew again and again. */
const chosen = { open: false, layer: '', format: 'xlsx', here: false };

export function exportPanel(city: CityMap, title: (layer: Layer) => string): HTMLElement | null {
  const layers = city.layers.filter((layer) => layer.source === 'component');
  if (layers.length === 0) return null;
  const option = (value: string, text: string, selected: boolean): HTMLElement => h('option', { value, selected }, text);
  const layer = h(
    'select',
    { 'aria-label': t('exportLayer'), onchange: () => (chosen.layer = layer.value) },
    ...layers.map((own) => option(own.id, title(own), own.id === chosen.layer)),
  );
  const format = h(
    'select',
    { 'aria-label': t('exportFormat'), onchange: () => (chosen.format = format.value) },
    ...FORMATS.map(([key, name]) => option(key, name, key === chosen.format)),
  );
  const here = h('input', { type: 'checkbox', checked: chosen.here, onchange: () => (chosen.here = here.checked) });
  const link = h(
    'a',
    { class: 'export-link', href: '#', onclick: () => link.setAttribute('href', address(city, layer.value, format.value, here.checked)) },
    icon(icons.download),
    t('exportDo'),
  );
  return h(
    'details',
    { class: 'export', open: chosen.open, ontoggle: (event: Event) => (chosen.open = (event.target as HTMLDetailsElement).open) },
    h('summary', {}, t('export')),
    h('div', { class: 'export-body' }, layer, format, h('label', {}, here, t('exportHere')), link),
  );
}

function address(city: CityMap, layer: string, format: string, here: boolean): string {
  const query = new URLSearchParams({ f: format, lang: lang() });
  if (here) query.set('bbox', city.box());
  const day = asOf();
  if (day !== null) query.set('datetime', day);
  return `collections/${encodeURIComponent(layer)}/items?${query}`;
}

/** The map: what is drawn is a function of the server's style, the layers switched on, the base map and the selection. */

import {
  AJAXError,
  AttributionControl,
  LngLatBounds,
  Map as MapLibre,
  NavigationControl,
  ScaleControl,
  type CircleLayerSpecification,
  type ErrorEvent,
  type ExpressionSpecification,
  type LayerSpecification,
  type LngLatLike,
  type MapGeoJSONFeature,
  type PaddingOptions,
  type PointLike,
  type SourceSpecification,
} from 'maplibre-gl';
import { asOf, Problem, type Basemap, type CityStyle, type Layer } from './api';
import { t, type Word } from './i18n';
import { report } from './toast';

const SELECTION = 'lamppost-selection';
const COVERAGE = 'lamppost-coverage';
const ACCENT = '#0a66d6';
/** A finger or a pointer may miss a lamp by this many pixels. */
const REACH = matchMedia('(pointer: coarse)').matches ? 14 : 6;

export class CityMap {
  readonly map: MapLibre;
  readonly visible = new Set<string>();
  basemap: string | null = null;
  /** What the colour of a component says. */
  colouring: Colouring = 'layer';
  private selection: GeoJSON.Geometry | null = null;
  /** Where the tiles of what is covered are described. */
  private coverage: string | null = null;
  private sites: GeoJSON.FeatureCollection | null = null;
  private change: GeoJSON.FeatureCollection | null = null;

  /** `covered` tells how much of the map lies under panels, so that what is shown is shown in the open part. */
  constructor(
    container: HTMLElement,
    private style: CityStyle,
    private readonly covered: () => PaddingOptions,
  ) {
    for (const layer of this.layers) if (layer.visible) this.visible.add(layer.id);
    this.map = new MapLibre({
      container,
      style: this.composed(),
      hash: 'map',
      maxZoom: 21,
      maxPitch: 0,
      pitchWithRotate: false,
      attributionControl: false,
      // The style names no `glyphs`: every letter is drawn from the machine's own fonts, and none is fetched.
      localIdeographFontFamily: getComputedStyle(document.body).fontFamily,
    });
    this.map.addControl(new NavigationControl({ visualizePitch: false }), 'bottom-right');
    this.map.addControl(new ScaleControl({ maxWidth: 110 }), 'bottom-left');
    this.map.addControl(new AttributionControl({ compact: true }), 'bottom-left');
    this.map.on('error', (event) => void tellFailure(event));
    this.labelControls();
  }

  get layers(): Layer[] {
    return this.style.metadata['lamppost:layers'];
  }

  get basemaps(): Basemap[] {
    return this.style.metadata['lamppost:basemaps'] ?? [];
  }

  /** The register was at least this new when the map was made. */
  get revision(): number {
    return this.style.metadata['lamppost:revision'];
  }

  get ready(): Promise<void> {
    return new Promise((resolve) => void this.map.once('style.load', () => resolve()));
  }

  /** Takes the same style in another language; choices and tiles stay. */
  restyle(style: CityStyle): void {
    this.style = style;
    this.labelControls();
    this.apply();
  }

  show(layer: string, on: boolean): void {
    if (on) this.visible.add(layer);
    else this.visible.delete(layer);
    this.apply();
  }

  /** A base map draws ground, water and roads itself, so ours step aside under it and come back after it. */
  setBasemap(id: string | null): void {
    if ((id === null) !== (this.basemap === null)) {
      for (const layer of this.layers.filter((layer) => layer.group === 'base')) {
        if (id === null && layer.visible) this.visible.add(layer.id);
        else this.visible.delete(layer.id);
      }
    }
    this.basemap = id;
    this.apply();
  }

  setColouring(colouring: Colouring): void {
    this.colouring = colouring;
    this.apply();
  }

  /** Shows what facilities cover, by the address of its tiles. */
  setCoverage(url: string | null): void {
    if (url === this.coverage) return;
    this.coverage = url;
    this.apply();
  }

  /** Shows sites that might be built. */
  setSites(sites: GeoJSON.FeatureCollection | null): void {
    this.sites = sites;
    this.apply();
  }

  /** Shows what is served in one case and not in another. */
  setChange(change: GeoJSON.FeatureCollection | null): void {
    this.change = change;
    this.apply();
  }

  /** Asks for what they cover again, because somebody has edited them. */
  refreshCoverage(): void {
    if (this.map.getSource(COVERAGE)) this.map.refreshTiles(COVERAGE);
  }

  /** Draws what the register said at another moment. */
  retime(): void {
    this.apply();
  }

  /** What is in view, as `west,south,east,north`. */
  box(): string {
    const bounds = this.map.getBounds();
    const degrees = [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    return degrees.map((n) => n.toFixed(6)).join(',');
  }

  select(geometry: GeoJSON.Geometry | null): void {
    this.selection = geometry;
    this.apply();
  }

  /** Flies to a geometry, or, if `gently`, only moves when a panel or the edge hides it. */
  reveal(geometry: GeoJSON.Geometry, gently = false): void {
    const bounds = boundsOf(geometry);
    if (bounds.isEmpty()) return;
    const padding = this.covered();
    if (!gently) {
      this.map.fitBounds(bounds, { padding, maxZoom: 18 });
      return;
    }
    const { clientWidth: width, clientHeight: height } = this.map.getContainer();
    const { left = 0, right = 0, top = 0, bottom = 0 } = padding;
    const { x, y } = this.map.project(bounds.getCenter());
    if (x < left || x > width - right || y < top || y > height - bottom) {
      this.map.panTo(bounds.getCenter(), { offset: [(left - right) / 2, (top - bottom) / 2] });
    }
  }

  /** Calls back with the id of a clicked component. A clicked bin opens itself: the map zooms in on it. */
  onPick(picked: (id: number) => void): void {
    this.map.on('click', ({ point }) => {
      const feature = this.pick(point);
      if (feature?.properties.point_count) this.openBin(feature);
      else if (feature) picked(Number(feature.id));
    });
    this.map.on('mousemove', ({ point }) => {
      this.map.getCanvas().style.cursor = this.pick(point) ? 'pointer' : '';
    });
  }

  /** The nearest point in reach, else a line in reach, else the polygon right under the pointer. */
  private pick(point: { x: number; y: number }): MapGeoJSONFeature | undefined {
    const pickable = new Set(this.layers.filter((layer) => layer.source === 'component').map((layer) => layer.id));
    const layers = this.style.layers.filter((layer) => pickable.has(layerOf(layer) ?? '')).map((layer) => layer.id);
    const within = (reach: number): MapGeoJSONFeature[] => {
      const box: [PointLike, PointLike] = [
        [point.x - reach, point.y - reach],
        [point.x + reach, point.y + reach],
      ];
      const found = this.map.queryRenderedFeatures(box, { layers });
      // Labels of shapes may have no identity, and a shape smaller than a pixel comes as a bin.
      return found.filter((feature) => feature.id !== undefined || feature.properties.point_count);
    };
    const near = within(REACH);
    const distance = (feature: MapGeoJSONFeature): number => {
      const at = this.map.project(boundsOf(feature.geometry).getCenter());
      return Math.hypot(at.x - point.x, at.y - point.y);
    };
    return (
      near.filter(({ geometry }) => geometry.type === 'Point').sort((a, b) => distance(a) - distance(b))[0] ??
      near.find(({ geometry }) => geometry.type.endsWith('LineString')) ??
      within(0).find(({ geometry }) => geometry.type.endsWith('Polygon'))
    );
  }

  private openBin(bin: MapGeoJSONFeature): void {
    const zoom = this.map.getZoom();
    const detail = this.layers.find((layer) => layer.id === layerOf(bin.layer))?.detail_zoom ?? 0;
    // Never past the zoom where the members show one by one; a crowded tile may still be binned there.
    const next = zoom < detail ? Math.min(zoom + 2, detail) : zoom + 1;
    this.map.easeTo({ center: boundsOf(bin.geometry).getCenter(), zoom: next });
  }

  private apply(): void {
    this.map.setStyle(this.composed(), { diff: true });
  }

  private composed(): CityStyle {
    const { layers, sources } = this.style;
    const basemap = this.basemaps.find(({ id }) => id === this.basemap);
    const rasters = basemap?.tiles.map((_, index) => `lamppost-basemap-${basemap.id}-${index}`) ?? [];
    const rasterSources = rasters.map((id, index): [string, SourceSpecification] => [
      id,
      { type: 'raster', tiles: [basemap!.tiles[index]!], tileSize: 256, attribution: basemap!.attribution ?? '' },
    ]);
    const ours = layers.map((layer): LayerSpecification => {
      const of = layerOf(layer);
      if (of === undefined || layer.type === 'background') return layer;
      const visibility = this.visible.has(of) ? 'visible' : 'none';
      const own = { ...layer, layout: { ...layer.layout, visibility } } as LayerSpecification;
      const colour = COLOURS[this.colouring];
      if (own.type === 'circle' && colour && own.id.endsWith('-point')) own.paint = { ...own.paint, 'circle-color': matched(colour) };
      return own;
    });
    // Components have a past; cells, areas and roads are those of today.
    const day = asOf();
    const past = new Set(day === null ? [] : this.layers.filter(({ source }) => source === 'component').map(({ id }) => id));
    const timed = Object.entries(sources).map(([id, source]): [string, SourceSpecification] => {
      if (!past.has(id) || source.type !== 'vector' || !source.url) return [id, source];
      return [id, { ...source, url: `${source.url}${source.url.includes('?') ? '&' : '?'}datetime=${day}` }];
    });
    return {
      ...this.style,
      sources: { ...Object.fromEntries(timed), ...Object.fromEntries(rasterSources), ...coverageSource(this.coverage), ...planSources(this.sites, this.change), [SELECTION]: selectionSource(this.selection) },
      layers: [
        ...ours.filter(({ type }) => type === 'background'),
        ...rasters.map((id): LayerSpecification => ({ id, type: 'raster', source: id })),
        ...ours.filter(({ type }) => type !== 'background'),
        ...(this.coverage === null ? [] : coverageLayers),
        ...(this.change === null ? [] : changeLayers),
        ...(this.sites === null ? [] : siteLayers),
        ...selectionLayers,
      ],
    };
  }

  /** MapLibre takes the words of its controls once, at the start; these follow the language. */
  private labelControls(): void {
    const container = this.map.getContainer();
    const label = (selector: string, word: Word): void => {
      const control = container.querySelector(selector);
      control?.setAttribute('aria-label', t(word));
      control?.setAttribute('title', t(word));
    };
    label('.maplibregl-ctrl-zoom-in', 'zoomIn');
    label('.maplibregl-ctrl-zoom-out', 'zoomOut');
    label('.maplibregl-ctrl-compass', 'resetNorth');
    label('.maplibregl-ctrl-attrib-button', 'attribution');
    this.map.getCanvas().setAttribute('aria-label', t('map'));
    container.querySelector('.maplibregl-control-container')?.setAttribute('lang', document.documentElement.lang);
  }
}

export type Colouring = 'layer' | 'ownership' | 'state';

/** The colours of words, and the property that says them; none where each layer has its own. */
export const COLOURS: Record<Colouring, { property: string; words: Record<string, string> } | null> = {
  layer: null,
  ownership: {
    property: 'ownership_status',
    words: { unsurveyed: '#8a97a6', proposed: '#e0a100', confirmed: '#1f9d61', disputed: '#d63b3b', unclaimed: '#7a4fb5', designated: '#2b7bd6' },
  },
  state: { property: 'state', words: { intact: '#1f9d61', damaged: '#e0a100', missing: '#d63b3b', abandoned: '#6b7684' } },
};

const matched = ({ property, words }: { property: string; words: Record<string, string> }): ExpressionSpecification =>
  ['match', ['get', property], ...Object.entries(words).flat(), '#8a97a6'] as unknown as ExpressionSpecification;

const layerOf = (layer: LayerSpecification): string | undefined =>
  (layer.metadata as Record<string, string> | undefined)?.['lamppost:layer'];

const selectionSource = (geometry: GeoJSON.Geometry | null): SourceSpecification => ({
  type: 'geojson',
  data: {
    type: 'FeatureCollection',
    features: geometry ? [{ type: 'Feature', geometry, properties: {} }] : [],
  },
});

const isPoint: ['==', ['geometry-type'], string] = ['==', ['geometry-type'], 'Point'];
const isPolygon: ['==', ['geometry-type'], string] = ['==', ['geometry-type'], 'Polygon'];

/** Around the component, not over it: its own colour stays to be seen. */
const ring = (name: string, paint: CircleLayerSpecification['paint']): LayerSpecification => ({
  id: `${SELECTION}-${name}`,
  type: 'circle',
  source: SELECTION,
  filter: isPoint,
  paint: { 'circle-opacity': 0, 'circle-stroke-color': ACCENT, ...paint },
});

const outline = (name: string, colour: string, width: number): LayerSpecification => ({
  id: `${SELECTION}-${name}`,
  type: 'line',
  source: SELECTION,
  layout: { 'line-cap': 'round', 'line-join': 'round' },
  paint: { 'line-color': colour, 'line-width': width },
});

const selectionLayers: LayerSpecification[] = [
  {
    id: `${SELECTION}-fill`,
    type: 'fill',
    source: SELECTION,
    filter: isPolygon,
    paint: { 'fill-color': ACCENT, 'fill-opacity': 0.18 },
  },
  outline('halo', '#ffffff', 7),
  outline('line', ACCENT, 3.5),
  ring('glow', { 'circle-radius': 12, 'circle-stroke-width': 10, 'circle-stroke-opacity': 0.22 }),
  ring('ring', { 'circle-radius': 11, 'circle-stroke-width': 3 }),
];

const coverageSource = (url: string | null): Record<string, SourceSpecification> =>
  url === null ? {} : { [COVERAGE]: { type: 'vector', url: new URL(url, document.baseURI).href } };

const SITES = 'lamppost-sites';
const CHANGE = 'lamppost-change';

const planSources = (sites: GeoJSON.FeatureCollection | null, change: GeoJSON.FeatureCollection | null): Record<string, SourceSpecification> => ({
  ...(sites && { [SITES]: { type: 'geojson', data: { type: 'FeatureCollection', features: sites.features } } }),
  ...(change && { [CHANGE]: { type: 'geojson', data: { type: 'FeatureCollection', features: change.features } } }),
});

const changed = (word: string, colour: string): LayerSpecification => ({
  id: `${CHANGE}-${word}`,
  type: 'fill',
  source: CHANGE,
  filter: ['==', ['get', 'change'], word],
  paint: { 'fill-color': colour, 'fill-opacity': 0.65, 'fill-outline-color': colour },
});

const changeLayers: LayerSpecification[] = [changed('gained', '#1f9d61'), changed('lost', '#5a189a')];

const siteLayers: LayerSpecification[] = [
  { id: `${SITES}-area`, type: 'fill', source: SITES, filter: isPolygon, paint: { 'fill-color': '#ff8f00', 'fill-opacity': 0.45 } },
  { id: `${SITES}-outline`, type: 'line', source: SITES, filter: isPolygon, paint: { 'line-color': '#b45f00', 'line-width': 2 } },
  { id: `${SITES}-point`, type: 'circle', source: SITES, filter: isPoint, paint: { 'circle-radius': 11, 'circle-color': '#ff8f00', 'circle-stroke-color': '#fff', 'circle-stroke-width': 2 } },
  {
    id: `${SITES}-order`,
    type: 'symbol',
    source: SITES,
    layout: { 'text-field': ['to-string', ['get', 'order']], 'text-size': 12, 'text-allow-overlap': true },
    paint: { 'text-color': '#1b2733' },
  },
];

const wash = (name: string, colour: string, opacity: number): LayerSpecification => ({
  id: `${COVERAGE}-${name}`,
  type: 'fill',
  source: COVERAGE,
  'source-layer': name,
  // Pieces lie side by side: smoothed edges would show between them.
  paint: { 'fill-color': colour, 'fill-opacity': opacity, 'fill-antialias': false },
});

const coverageLayers: LayerSpecification[] = [
  wash('covered', '#2b7bd6', 0.3),
  wash('blind', '#d63b3b', 0.5),
  {
    id: `${COVERAGE}-facilities`,
    type: 'circle',
    source: COVERAGE,
    'source-layer': 'facilities',
    paint: { 'circle-radius': ['interpolate', ['linear'], ['zoom'], 11, 1.5, 16, 5], 'circle-color': '#125c3a', 'circle-stroke-color': '#fff', 'circle-stroke-width': 1 },
  },
];

function boundsOf(geometry: GeoJSON.Geometry): LngLatBounds {
  const bounds = new LngLatBounds();
  const extend = (part: unknown): void => {
    if (!Array.isArray(part)) return;
    if (typeof part[0] === 'number') bounds.extend(part as [number, number] as LngLatLike);
    else part.forEach(extend);
  };
  if (geometry.type === 'GeometryCollection') geometry.geometries.forEach((part) => bounds.extend(boundsOf(part)));
  else extend(geometry.coordinates);
  return bounds;
}

async function tellFailure({ error }: ErrorEvent): Promise<void> {
  if (error instanceof AJAXError && error.status > 0) report(await Problem.from(error.status, error.body));
  // A lost connection is status 0, or comes in the browser's own words only.
  else if (error instanceof AJAXError || /failed to fetch|networkerror|load failed/i.test(error.message)) report(Problem.unreachable());
  else report(error);
}

/** Keeps the map as new as the register: of the tiles that edits have touched, those on the screen are asked for again. */

import type { MapSourceDataEvent } from 'maplibre-gl';
import type { CityMap } from './map';

/** A page that nobody sees lets its connection go after this while: a browser has few of them for one server. */
const UNSEEN_MS = 30_000;
/** How long to wait when the server is away or full; what is no refusal the browser tries again by itself. */
const RETRY_MS = 5_000;
/** Between two looks for tiles that were still on their way, and between two requests of one tile. */
const GAP_MS = 200;

/** Tiles as `z/x/y` by layer, or all of a layer's. */
type Touched = Record<string, string[] | 'all'>;

export class Live {
  private events: EventSource | undefined;
  private waiting: number | undefined;
  private later: number | undefined;
  /** The newest revision that was heard of. */
  private last: string;
  /** By source, the tiles that were ever asked for: the map may show them, or hold them back for when it moves. */
  private readonly seen = new Map<string, Set<string>>();
  /** By source, those of them that are out of date. */
  private readonly due = new Map<string, Set<string> | 'all'>();
  private readonly refreshed = new Map<string, number>();
  /** The revision that a touched tile must hold, by `layer/z/x/y`, and by layer where all were touched. */
  private readonly least = new Map<string, number>();

  constructor(
    private readonly city: CityMap,
    /** Hears of the layers that were edited. */
    private readonly edited: (layers: string[]) => void,
  ) {
    // Every tile is asked for after the style was, and is at least as new.
    this.last = String(city.revision);
    city.map.on('sourcedataloading', (event) => this.see(event));
    city.map.setTransformRequest((url) => ({ url, headers: this.demand(url) }));
    // Right after a frame the tiles that the map holds are those that its position asks for.
    city.map.on('render', () => this.refresh());
    document.addEventListener('visibilitychange', () => this.attend());
    this.attend();
  }

  private attend(): void {
    window.clearTimeout(this.waiting);
    if (!document.hidden) this.connect();
    else this.waiting = window.setTimeout(() => this.disconnect(), UNSEEN_MS);
  }

  private disconnect(): void {
    this.events?.close();
    this.events = undefined;
  }

  private connect(): void {
    if (this.events) return;
    const url = new URL('events', document.baseURI);
    const layers = this.city.layers.map(({ id }) => id).join(',');
    url.search = new URLSearchParams({ layers, since: this.last }).toString();
    url.hash = '';
    const events = (this.events = new EventSource(url));
    const on = (name: string, then: (data: { tiles?: Touched }) => void): void =>
      events.addEventListener(name, ({ data, lastEventId }: MessageEvent<string>) => {
        if (lastEventId) this.last = lastEventId;
        then(JSON.parse(data) as { tiles?: Touched });
      });
    on('tiles', ({ tiles }) => this.touch(tiles ?? {}));
    on('reset', () => {
      // The register may have gone back: what was heard of before does not count.
      this.least.clear();
      this.touch(Object.fromEntries([...this.seen.keys()].map((source) => [source, 'all'])));
    });
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED || events !== this.events) return;
      this.disconnect();
      window.clearTimeout(this.waiting);
      this.waiting = window.setTimeout(() => this.attend(), RETRY_MS);
    };
  }

  private see({ sourceId, tile }: MapSourceDataEvent): void {
    if (!tile || !this.city.layers.some(({ id }) => id === sourceId)) return;
    const seen = this.seen.get(sourceId) ?? new Set();
    this.seen.set(sourceId, seen.add(key(tile.tileID.canonical)));
  }

  /** A cache on the way, or another node, may still have the tile as it was. */
  private demand(url: string): Record<string, string> {
    const [, layer = '', tile = ''] = /\/tiles\/([^/?]+)\/(\d+\/\d+\/\d+)$/.exec(url) ?? [];
    const least = Math.max(this.least.get(`${layer}/${tile}`) ?? 0, this.least.get(layer) ?? 0);
    return least === 0 ? {} : { 'Lamppost-Min-Revision': String(least) };
  }

  private touch(tiles: Touched): void {
    this.edited(Object.keys(tiles));
    for (const [source, touched] of Object.entries(tiles)) {
      const seen = this.seen.get(source);
      const due = this.due.get(source) ?? new Set();
      if (!seen) continue;
      if (touched === 'all') {
        this.due.set(source, 'all');
        this.least.set(source, Number(this.last));
        continue;
      }
      for (const tile of touched.filter((tile) => seen.has(tile))) {
        this.least.set(`${source}/${tile}`, Number(this.last));
        if (due !== 'all') this.due.set(source, due.add(tile));
      }
    }
    if (this.due.size > 0) this.city.map.triggerRepaint();
  }

  private refresh(): void {
    if (this.due.size === 0) return;
    const { map, visible } = this.city;
    const shown = map.coveringTiles({ tileSize: 512 }).map(({ canonical }) => key(canonical));
    const now = performance.now();
    for (const [source, due] of this.due) {
      if (!map.getSource(source) || !visible.has(source)) continue;
      // What is out of sight stays due until the map shows it.
      const again = due === 'all' ? shown : shown.filter((tile) => due.has(tile));
      if (again.length === 0) continue;
      // A tile that is on its way may have been made before the edit: it is asked for again once it is here.
      if (!map.isSourceLoaded(source) || now - (this.refreshed.get(source) ?? -GAP_MS) < GAP_MS) {
        this.later ??= window.setTimeout(() => {
          this.later = undefined;
          map.triggerRepaint();
        }, GAP_MS);
        continue;
      }
      this.refreshed.set(source, now);
      map.refreshTiles(source, due === 'all' ? undefined : again.map(parts));
      if (due === 'all') this.due.delete(source);
      else for (const tile of again) due.delete(tile);
      if (due !== 'all' && due.size === 0) this.due.delete(source);
    }
  }
}

interface TileId {
  z: number;
  x: number;
  y: number;
}

const key = ({ z, x, y }: TileId): string => `${z}/${x}/${y}`;

const parts = (tile: string): TileId => {
  const [z = 0, x = 0, y = 0] = tile.split('/').map(Number);
  return { z, x, y };
};

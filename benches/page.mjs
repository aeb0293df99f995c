// How soon the map page shows the city at zoom 14, where its ten layers and more are drawn. `make bench` runs it:
//   LAMPPOST_URL=http://127.0.0.1:8080 CHROMIUM=/usr/bin/chromium node benches/page.mjs

import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../web/package.json', import.meta.url))('playwright-core');
const { LAMPPOST_URL, CHROMIUM } = process.env;
const VISITS = 5;

// As in web/test/page.mjs: no sandbox for root, WebGL in software, and no calls of the browser's own.
const args = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Runs in the page, before its own code: notes when the map first shows something, and when it has nothing left to do. */
function watch() {
  const seen = (window.seen = {});
  const look = () => {
    const map = window.lamppost?.map;
    if (!map) return void requestAnimationFrame(look);
    map.on('render', () => {
      if (seen.features === undefined && map.queryRenderedFeatures().length > 0) seen.features = performance.now();
    });
    map.on('idle', () => {
      if (map.loaded() && seen.idle === undefined) seen.idle = performance.now();
    });
    map.triggerRepaint();
  };
  look();
}

const style = await (await fetch(new URL('/styles/onemap', LAMPPOST_URL))).json();
const [lon, lat] = style.center;
const address = new URL(`/#map=14/${lat}/${lon}`, LAMPPOST_URL).href;
const browser = await chromium.launch({ executablePath: CHROMIUM, args });
const visits = [];
for (let n = 0; n <= VISITS; n++) {
  // A visitor who was never here.
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  await page.addInitScript(watch);
  // Tiles are fetched by a worker, whose requests the page's own list does not have.
  const tiles = [];
  page.on('requestfinished', (request) => {
    if (/\/tiles\/[^/]+\/\d+\//.test(request.url())) tiles.push(request.sizes());
  });
  await page.goto(address);
  await page.waitForFunction(() => window.seen?.idle !== undefined && window.seen.features !== undefined);
  const visit = await page.evaluate(() => {
    const { map } = window.lamppost;
    const layers = map.queryRenderedFeatures().map(({ layer }) => layer.metadata?.['lamppost:layer']);
    return {
      paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
      ...window.seen,
      layers: new Set(layers.filter(Boolean)).size,
    };
  });
  const sizes = await Promise.all(tiles);
  visit.tiles = sizes.length;
  visit.kilobytes = sizes.reduce((sum, { responseBodySize }) => sum + responseBodySize, 0) / 1000;
  await context.close();
  // The first visit also starts the browser and fills the server's cache.
  if (n > 0) visits.push(visit);
}
await browser.close();

const median = (key) => visits.map((visit) => visit[key]).sort((a, b) => a - b)[Math.floor(visits.length / 2)];
const say = (what, key) => console.log(`- ${what}: ${median(key).toFixed(0)}`);
say('layers drawn', 'layers');
say('tiles asked for', 'tiles');
say('KB of tiles', 'kilobytes');
say('first contentful paint, ms', 'paint');
say('first features on the map, ms', 'features');
say('everything drawn, ms', 'idle');

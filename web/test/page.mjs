// The map page in a real browser, against a running Lamppost with the demo city.
//
//   LAMPPOST_URL=http://127.0.0.1:8080/ LAMPPOST_TOKEN=lp_… LAMPPOST_ACCOUNT=… LAMPPOST_PASSWORD=… \
//     LAMPPOST_JUDGE=… LAMPPOST_JUDGE_PASSWORD=… npm test
//
// The token is of somebody who edits (lamppost token new): some tests move a lamp while the page looks on.
// CHROMIUM names the browser, SCREENSHOTS a folder for pictures of the page.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const WAIT_MS = 45_000;
const { LAMPPOST_URL, LAMPPOST_TOKEN, LAMPPOST_ACCOUNT, LAMPPOST_PASSWORD, CHROMIUM, SCREENSHOTS } = process.env;
const { LAMPPOST_JUDGE, LAMPPOST_JUDGE_PASSWORD } = process.env;
const executablePath = [CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => path && existsSync(path));

/** Whoever the token is of. */
const as = { headers: { Authorization: `Bearer ${LAMPPOST_TOKEN}`, 'Content-Type': 'application/json' } };

const flags = [
  // Chromium's sandbox refuses root, as which containers and build machines run.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  // No graphics card here: WebGL is drawn in software.
  '--disable-gpu',
  '--use-gl=angle',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  // The browser itself shall not call anyone either.
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser;
let page;
let address;
let lamp;
/** What must stay empty: messages of the console, and requests that leave the server. */
const complaints = [];

before(async () => {
  assert.ok(LAMPPOST_URL, 'LAMPPOST_URL must be the address of a running Lamppost');
  assert.ok(LAMPPOST_TOKEN, 'LAMPPOST_TOKEN must be a token that may edit');
  assert.ok(LAMPPOST_ACCOUNT && LAMPPOST_PASSWORD, 'LAMPPOST_ACCOUNT and LAMPPOST_PASSWORD must be a new account that may edit');
  assert.ok(LAMPPOST_JUDGE && LAMPPOST_JUDGE_PASSWORD, 'LAMPPOST_JUDGE and LAMPPOST_JUDGE_PASSWORD must be a new adjudicator');
  assert.ok(executablePath, 'no Chromium: set CHROMIUM');
  address = new URL(LAMPPOST_URL.endsWith('/') ? LAMPPOST_URL : `${LAMPPOST_URL}/`);
  lamp = (await read('collections/lamps/items?limit=1')).features[0];
  assert.ok(lamp, 'the city has no lamp');
  if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true });
  browser = await chromium.launch({ executablePath, args: flags });
});

after(async () => {
  await browser?.close();
});

async function read(path) {
  const response = await fetch(new URL(path, address), { headers: { 'Accept-Language': 'zh' } });
  assert.ok(response.ok, `${path} answered ${response.status}`);
  return response.json();
}

/** Opens the page as a visitor who was never here. */
async function visit(options, hash = '') {
  const context = await browser.newContext({ locale: 'zh-CN', ...options });
  const fresh = await context.newPage();
  fresh.setDefaultTimeout(WAIT_MS);
  fresh.on('console', (message) => {
    // The driver of a machine without a graphics card warns of slow reads; that is not the page.
    if (['error', 'warning'].includes(message.type()) && !message.text().includes('GPU stall')) complaints.push(message.text());
  });
  fresh.on('pageerror', (error) => complaints.push(String(error)));
  fresh.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== address.origin) complaints.push(`asked ${url.href}`);
  });
  await fresh.goto(new URL(hash, address).href);
  await fresh.waitForFunction(() => window.lamppost);
  await settled(fresh);
  return fresh;
}

/** Waits until the map neither moves nor loads, and has drawn what it has. */
const settled = (on) =>
  on.evaluate(
    () =>
      new Promise((resolve) => {
        const { map } = window.lamppost;
        const quiet = () => map.loaded() && !map.isMoving();
        map.on('idle', () => quiet() && resolve());
        map.triggerRepaint();
      }),
  );

/** The features of a layer of ours that are on the screen. */
const drawn = (on, layer) =>
  on.evaluate((layer) => {
    const { map } = window.lamppost;
    const layers = map.getStyle().layers.filter((each) => each.metadata?.['lamppost:layer'] === layer);
    const features = map.queryRenderedFeatures({ layers: layers.map(({ id }) => id) });
    return features.map(({ id, properties }) => ({ id, point_count: properties.point_count }));
  }, layer);

async function picture(on, name) {
  if (!SCREENSHOTS) return;
  await settled(on);
  await on.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

const text = (on, selector) => on.locator(selector).first().innerText();

test('draws streets and lamps', async () => {
  page = await visit({ viewport: { width: 1280, height: 800 } });
  assert.equal(await page.locator('html').getAttribute('lang'), 'zh-CN');
  assert.ok((await drawn(page, 'roads')).length > 0, 'no street is drawn');
  assert.ok((await drawn(page, 'lamps')).length > 0, 'no lamp is drawn');
  await picture(page, 'desktop-zh');
});

test('the legend gives a list of a layer as a file', async () => {
  const legend = page.locator('#legend');
  await legend.locator('.export summary').click();
  await legend.locator('.export select').first().selectOption('toilets');
  await picture(page, 'export');
  const [download] = await Promise.all([page.waitForEvent('download'), legend.locator('.export-link').click()]);
  assert.equal(download.suggestedFilename(), 'toilets.xlsx');
  const bytes = await readFile(await download.path());
  assert.equal(bytes.subarray(0, 2).toString(), 'PK');
  assert.ok(bytes.length > 5000, `${bytes.length} bytes`);
  await legend.locator('.export summary').click();
});

test('the legend switches a layer off and on', async () => {
  const lamps = page.locator('[data-layer=lamps]');
  await lamps.click();
  await settled(page);
  assert.equal((await drawn(page, 'lamps')).length, 0);
  await lamps.click();
  await settled(page);
  assert.ok((await drawn(page, 'lamps')).length > 0);
});

test('a click on a bin zooms in on it', async () => {
  const bin = await page.evaluate(() => {
    const { map } = window.lamppost;
    const { width, height } = map.getCanvas().getBoundingClientRect();
    const lamps = map.getStyle().layers.filter((each) => each.metadata?.['lamppost:layer'] === 'lamps');
    const drawn = map.queryRenderedFeatures({ layers: lamps.map(({ id }) => id) });
    const found = drawn.filter((feature) => feature.properties.point_count);
    const at = found.map((feature) => map.project(feature.geometry.coordinates));
    const free = at.find(({ x, y }) => x > 400 && x < width - 100 && y > 100 && y < height - 100);
    return free && { x: free.x, y: free.y, zoom: map.getZoom() };
  });
  // A small city may be shown one by one from the start.
  if (!bin) return;
  await page.locator('#map canvas').click({ position: { x: bin.x, y: bin.y } });
  await settled(page);
  assert.ok((await page.evaluate(() => window.lamppost.map.getZoom())) > bin.zoom);
});

test('finds a lamp by its code, flies to it and opens its card', async () => {
  await page.locator('#q').fill(lamp.properties.code);
  const result = page.locator(`#results [data-id="${lamp.id}"]`);
  await result.waitFor();
  assert.match(await result.innerText(), new RegExp(lamp.properties.code));
  await picture(page, 'desktop-search-zh');
  await result.click();
  await page.locator('#card .history ol > li').first().waitFor();
  await settled(page);

  assert.match(await text(page, '#card'), new RegExp(lamp.properties.code));
  assert.match(page.url(), new RegExp(`[#&]id=${lamp.id}\\b`));
  assert.ok((await drawn(page, 'lamps')).some(({ id }) => id === lamp.id), 'the lamp is not drawn one by one');
  const offset = await page.evaluate(([lon, lat]) => {
    const { x, y } = window.lamppost.map.project([lon, lat]);
    const card = document.getElementById('card').getBoundingClientRect();
    return { x, y, free: card.left };
  }, lamp.geometry.coordinates);
  assert.ok(offset.x > 0 && offset.x < offset.free, 'the lamp lies under its card');
  await picture(page, 'desktop-card-zh');
});

test('a click on a lamp on the map opens its card', async () => {
  await page.locator('#card .close').click();
  await page.locator('#card').waitFor({ state: 'hidden' });
  assert.doesNotMatch(page.url(), /[#&]id=/);
  await settled(page);
  const { x, y } = await page.evaluate((at) => {
    const point = window.lamppost.map.project(at);
    return { x: point.x, y: point.y };
  }, lamp.geometry.coordinates);
  await page.locator('#map canvas').click({ position: { x, y } });
  await page.locator('#card .history ol > li').first().waitFor();
  // Another component may stand on the very spot; that some card opens is what the click promises.
  assert.match(page.url(), /[#&]id=\d+/);
});

test('speaks the chosen language, and remembers it', async () => {
  await page.evaluate((id) => (location.hash = location.hash.replace(/id=\d+/, `id=${id}`)), lamp.id);
  await page.locator('#card code', { hasText: lamp.properties.code }).waitFor();
  const { 'lamppost:layers': layers } = (await read('styles/onemap?lang=zh')).metadata;
  const { title_zh, title_en } = layers.find(({ id }) => id === 'lamps');
  const legend = page.locator('#legend');
  await legend.locator('.layer-title').getByText(title_zh, { exact: true }).waitFor();
  await page.locator('[data-lang=en]').click();
  await legend.locator('.layer-title').getByText(title_en, { exact: true }).waitFor();
  await page.locator('#card h3', { hasText: 'History' }).waitFor();
  await page.locator('#card .history ol > li').first().waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  assert.match(await text(page, '.brand'), /City facilities on one map/);
  assert.doesNotMatch(await text(page, '#card dl dt'), /\p{Script=Han}/u);
  assert.doesNotMatch(await text(page, '#card h2'), /\p{Script=Han}/u, 'the card kept the other language');
  assert.doesNotMatch(await text(page, '#card .chip'), /\p{Script=Han}/u, 'the card kept the other language');
  await settled(page);
  assert.ok((await drawn(page, 'lamps')).length > 0, 'the lamps are gone with the language');
  await picture(page, 'desktop-card-en');

  await page.reload();
  await page.waitForFunction(() => window.lamppost);
  assert.equal(await page.locator('html').getAttribute('lang'), 'en');
  await page.locator('#card code', { hasText: lamp.properties.code }).waitFor();
});

test('a delivery is looked at, tried, decided, loaded and taken back', async () => {
  const { features } = await read('collections/lamps/items?limit=40');
  const owner = features.find(({ properties }) => properties.owner_name)?.properties.owner_name;
  assert.ok(owner, 'no lamp has an owner');
  const run = Date.now();
  const lines = features.map(({ geometry: { coordinates: [lon, lat] } }, i) => {
    const state = i === 7 ? '倒了' : '完好';
    return `T${run}-${i},路灯,${(lon + 0.00004).toFixed(7)},${lat.toFixed(7)},${state},${i % 3 ? owner : '某某管委'},第${i}排`;
  });
  const csv = ['编号,部件名称,经度,纬度,状态,权属单位,排号', ...lines].join('\n');
  const file = { name: '路灯普查2026-03.csv', mimeType: 'text/csv', buffer: Buffer.from(csv) };

  const clerk = await visit({ viewport: { width: 1280, height: 900 } });
  await clerk.locator('.import-open').click();
  // Nobody is signed in yet, and the first password is to be changed.
  const session = clerk.locator('dialog.session');
  await session.locator('#session-name').fill(LAMPPOST_ACCOUNT);
  await session.locator('#session-password').fill('wrong');
  await session.locator('#session-password').press('Enter');
  await clerk.locator('.toast', { hasText: '账号或密码不对' }).waitFor();
  await picture(clerk, 'sign-in');
  complaints.splice(complaints.findIndex((text) => text.includes('401')), 1);
  await session.locator('#session-password').fill(LAMPPOST_PASSWORD);
  await session.locator('#session-password').press('Enter');
  await session.locator('#session-new').waitFor();
  await picture(clerk, 'first-password');
  await session.locator('#session-old').fill(LAMPPOST_PASSWORD);
  await session.locator('#session-new').fill('一盏路灯，两座井盖，三棵树');
  await Promise.all([clerk.waitForEvent('load'), session.locator('#session-new').press('Enter')]);
  await clerk.locator('.who', { hasText: LAMPPOST_ACCOUNT }).waitFor();
  await clerk.locator('.import-open').click();
  const dialogue = clerk.locator('dialog.import:not(.session)');
  await picture(clerk, 'import-choose');
  await dialogue.locator('input[type=file]').setInputFiles(file);
  await dialogue.locator('.rows').waitFor();
  const chosen = (column) => dialogue.getByLabel(column, { exact: true }).inputValue();
  assert.equal(await chosen('经度'), 'east');
  assert.equal(await chosen('权属单位'), 'owner');
  assert.equal(await chosen('排号'), '');
  assert.equal(await dialogue.locator('tbody tr').count(), 10);
  await picture(clerk, 'import-look');

  const press = (name) => dialogue.getByRole('button', { name, exact: true }).click();
  const told = async (word) => Number((await dialogue.locator(`.outcome .${word} dd`).innerText()).replaceAll(',', ''));
  const answered = (method, end) => clerk.waitForResponse((r) => r.request().method() === method && r.url().endsWith(end));
  await press('试运行');
  await dialogue.locator('.outcome').waitFor();
  assert.equal(await told('rowsRead'), 40);
  assert.equal(await told('rowsAdded'), 25);
  await picture(clerk, 'import-tried');
  // 14 rows name an office that the register does not know; the nearest may be another.
  assert.match(await dialogue.locator('.outcome').innerText(), /没有单位“某某管委”（14 行）/);
  const id = await clerk.evaluate(async (party) => {
    const { csrf } = await (await fetch('session')).json();
    const { imports } = await (await fetch('imports')).json();
    const body = JSON.stringify({ aliases: { 某某管委: party } });
    await fetch(`imports/${imports[0].id}`, { method: 'PATCH', headers: { 'Lamppost-CSRF': csrf }, body });
    return imports[0].id;
  }, owner);

  await Promise.all([answered('PATCH', id), dialogue.getByLabel('排号', { exact: true }).selectOption('note')]);
  await dialogue.locator('.outcome').waitFor();
  await press('导入');
  await dialogue.locator('.chip.stage-done').waitFor();
  await dialogue.getByText('已导入', { exact: true }).first().waitFor();
  assert.equal(await told('rowsAdded'), 39);
  assert.equal(await told('rowsRejected'), 1);
  await picture(clerk, 'import-loaded');
  const rejects = dialogue.getByRole('link', { name: '下载退回清单', exact: true });
  const [download] = await Promise.all([clerk.waitForEvent('download'), rejects.click()]);
  assert.equal(download.suggestedFilename(), '路灯普查2026-03.csv.rejects.csv');
  assert.match((await readFile(await download.path())).toString(), /倒了/);

  await clerk.setViewportSize({ width: 390, height: 844 });
  await picture(clerk, 'import-phone');
  await press('撤销');
  await dialogue.locator('.chip.stage-undone').waitFor();
  await press('其他文件');
  await dialogue.locator('.recent li').first().waitFor();
  assert.match(await dialogue.locator('.recent li').first().innerText(), /路灯普查2026-03.csv\s*已撤销/);
  await clerk.context().close();
});

test('fits a phone, from a shared link', async () => {
  const options = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
  const plain = await visit(options);
  assert.equal(await plain.locator('#legend-body').isVisible(), false, 'the legend covers the phone');
  await picture(plain, 'phone-zh');
  await plain.locator('.legend-toggle').tap();
  await plain.locator('#legend-body').waitFor();
  await picture(plain, 'phone-legend-zh');
  await plain.context().close();

  const phone = await visit({ ...options, locale: 'en-GB' }, `#id=${lamp.id}`);
  await phone.locator('#card .history ol > li').first().waitFor();
  await settled(phone);
  const [card, spot] = await phone.evaluate(
    ([lon, lat]) => {
      const map = document.getElementById('map').getBoundingClientRect();
      const { top, width } = document.getElementById('card').getBoundingClientRect();
      return [{ top, width }, map.top + window.lamppost.map.project([lon, lat]).y];
    },
    lamp.geometry.coordinates,
  );
  assert.equal(card.width, 390);
  assert.ok(spot < card.top, 'the lamp lies under the sheet');
  assert.ok((await drawn(phone, 'lamps')).some(({ id }) => id === lamp.id), 'the link does not lead to the lamp');
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'the page is wider than the phone');
  await picture(phone, 'phone-card-en');
  await phone.context().close();
});

test('a link to nothing tells so, in the language of the page', async () => {
  const before = complaints.length;
  const lost = await visit({ viewport: { width: 1280, height: 800 } }, '#id=9007199254740991');
  await lost.locator('.toast').first().waitFor();
  assert.match(await text(lost, '.toast'), /\p{Script=Han}/u);
  assert.equal(await lost.locator('#card').isVisible(), false);
  await lost.context().close();
  // The browser itself logs the 404s that were asked for here.
  const extra = complaints.splice(before).filter((line) => !line.includes('404'));
  complaints.push(...extra);
});

/** Somebody else moves the lamp. */
async function move(coordinates) {
  const path = `collections/lamps/items/${lamp.id}`;
  const { properties } = await read(path);
  const response = await fetch(new URL(path, address), {
    method: 'PATCH',
    headers: { Authorization: `Bearer ${LAMPPOST_TOKEN}`, 'If-Match': `"${properties.version}"` },
    body: JSON.stringify({ geometry: { type: 'Point', coordinates }, reason: 'page test' }),
  });
  assert.equal(response.status, 200, await response.text());
}

/** Waits until the lamp is drawn at a place (to a few metres), and tells how long that took. */
async function standsAt(on, [lon, lat]) {
  const began = performance.now();
  await on.waitForFunction(
    ([id, lon, lat]) => {
      const { map } = window.lamppost;
      const layers = map.getStyle().layers.filter((each) => each.metadata?.['lamppost:layer'] === 'lamps');
      const drawn = map.queryRenderedFeatures({ layers: layers.map((layer) => layer.id) }).filter((each) => each.id === id);
      const near = ({ geometry: { coordinates } }) => Math.hypot(coordinates[0] - lon, coordinates[1] - lat) < 3e-5;
      return drawn.length > 0 && drawn.every(near);
    },
    [lamp.id, lon, lat],
    { polling: 20, timeout: 10_000 },
  );
  return performance.now() - began;
}

/** The tiles of a zoom that show a position: those whose square with a buffer of a sixteenth holds it. */
function showing(z, [lon, lat]) {
  const sin = Math.sin((lat * Math.PI) / 180);
  const x = (lon / 360 + 0.5) * 2 ** z;
  const y = (0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)) * 2 ** z;
  const both = (v) => [...new Set([Math.floor(v - 1 / 16), Math.floor(v + 1 / 16)])];
  return both(x).flatMap((column) => both(y).map((row) => `${z}/${column}/${row}`));
}

const covering = (on) =>
  on.evaluate(() =>
    window.lamppost.map.coveringTiles({ tileSize: 512 }).map(({ canonical: { z, x, y } }) => `${z}/${x}/${y}`),
  );

let watcher;
const asked = [];
const demanded = [];
const [home, away] = [0, 0.0003].map((east) => () => [lamp.geometry.coordinates[0] + east, lamp.geometry.coordinates[1]]);

test('an edit by somebody else shows up, and only the tiles that show it are asked for again', async () => {
  const [lon, lat] = lamp.geometry.coordinates;
  watcher = await visit({ viewport: { width: 1280, height: 800 } }, `#map=17/${lat}/${lon}`);
  watcher.on('request', (request) => {
    const tile = /\/tiles\/([^/]+\/\d+\/\d+\/\d+)$/.exec(new URL(request.url()).pathname);
    if (tile) asked.push(tile[1]);
    if (tile) demanded.push(request.headers()['lamppost-min-revision']);
  });
  await standsAt(watcher, home());
  const shown = await covering(watcher);
  await move(away());
  const took = await standsAt(watcher, away());
  assert.ok(took < 1500, `the edit took ${took} ms to be drawn`);
  // Whatever else might be asked for would be by now.
  await new Promise((resume) => setTimeout(resume, 1000));
  const touched = new Set([...showing(17, home()), ...showing(17, away())]);
  const expected = shown.filter((tile) => touched.has(tile)).map((tile) => `lamps/${tile}`);
  assert.ok(expected.length >= 1 && shown.length > expected.length);
  assert.deepEqual(asked.sort(), expected.sort(), 'each touched tile once, and no other');
  const { revision } = await read('readyz');
  assert.deepEqual([...new Set(demanded)], [String(revision)], 'a cache on the way could answer with the tile as it was');
});

test('many edits in a row leave the map as the last one left it', async () => {
  for (let turn = 0; turn < 12; turn += 1) await move(turn % 2 === 0 ? home() : away());
  await standsAt(watcher, away());
  await settled(watcher);
  await new Promise((resume) => setTimeout(resume, 500));
  await standsAt(watcher, away());
});

test('an edit out of sight is there when the map comes back to it', async () => {
  const [lon, lat] = lamp.geometry.coordinates;
  const go = async (east) => {
    await watcher.evaluate((center) => window.lamppost.map.jumpTo({ center }), [lon + east, lat]);
    await settled(watcher);
  };
  await go(0.03);
  asked.length = 0;
  await move(home());
  await new Promise((resume) => setTimeout(resume, 1000));
  assert.deepEqual(asked, [], 'tiles out of sight were asked for');
  await go(0);
  await standsAt(watcher, home());
});

test('an edit of a layer that is off is there when it is switched on', async () => {
  const lamps = watcher.locator('[data-layer=lamps]');
  await lamps.click();
  await settled(watcher);
  asked.length = 0;
  await move(away());
  await new Promise((resume) => setTimeout(resume, 1000));
  assert.deepEqual(asked, [], 'tiles of a layer that is off were asked for');
  await lamps.click();
  await standsAt(watcher, away());
});

test('edits still show up after the page has changed its language', async () => {
  await watcher.locator('[data-lang=en]').click();
  await watcher.locator('#legend').getByText('Layers', { exact: true }).waitFor();
  await settled(watcher);
  await move(home());
  await standsAt(watcher, home());
  await watcher.context().close();
});

/** Signs in with a first password, which is changed, or with the one that it was changed to. */
const CHANGED = '一盏路灯，两座井盖，三棵树';
async function signIn(on, name, first) {
  await on.locator('.who').click();
  const session = on.locator('dialog.session');
  const fresh = first !== CHANGED;
  await session.locator('#session-name').fill(name);
  await session.locator('#session-password').fill(first);
  const enter = session.locator('#session-password').press('Enter');
  if (!fresh) await Promise.all([on.waitForEvent('load'), enter]);
  else {
    await enter;
    await session.locator('#session-old').fill(first);
    await session.locator('#session-new').fill(CHANGED);
    await Promise.all([on.waitForEvent('load'), session.locator('#session-new').press('Enter')]);
  }
  await on.locator('.who', { hasText: name }).waitFor();
  await on.waitForFunction(() => window.lamppost);
  await settled(on);
}

/** The colour of the screen where a position is drawn, as `#rrggbb`. */
async function colourAt(on, [lon, lat]) {
  const at = await on.evaluate((place) => {
    const { x, y } = window.lamppost.map.project(place);
    const { left, top } = window.lamppost.map.getContainer().getBoundingClientRect();
    return { x: Math.round(x + left), y: Math.round(y + top) };
  }, [lon, lat]);
  const shot = await on.screenshot({ clip: { x: at.x - 1, y: at.y - 1, width: 3, height: 3 } });
  return on.evaluate(async (png) => {
    const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const canvas = new OffscreenCanvas(3, 3).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    const [r, g, b] = canvas.getImageData(1, 1, 1, 1).data;
    return `#${[r, g, b].map((n) => n.toString(16).padStart(2, '0')).join('')}`;
  }, shot.toString('base64'));
}

const OWNERSHIP = {
  unsurveyed: '#8a97a6', proposed: '#e0a100', confirmed: '#1f9d61', disputed: '#d63b3b', unclaimed: '#7a4fb5', designated: '#2b7bd6',
};

async function turns(on, place, status) {
  const began = performance.now();
  let seen;
  while (performance.now() - began < 10_000) {
    seen = await colourAt(on, place);
    if (seen === OWNERSHIP[status]) return;
    await new Promise((resume) => setTimeout(resume, 100));
  }
  assert.fail(`the lamp is ${seen}, not ${OWNERSHIP[status]} (${status})`);
}

/** A photo: the smallest PNG there is. */
const PHOTO = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

async function post(path, body) {
  const response = await fetch(new URL(path, address), { method: 'POST', ...as, body: JSON.stringify(body) });
  assert.ok(response.ok, `${path}: ${await response.clone().text()}`);
  return response.json();
}

let clerk;
let claimed;

test('a lamp is claimed with a photo, confirmed, disputed and ruled, and its colour follows', async () => {
  const { features } = await read("collections/lamps/items?limit=1&filter=ownership_status='unsurveyed'");
  [claimed] = features;
  const { id, geometry } = claimed;
  const [lon, lat] = geometry.coordinates;
  const owners = (await read("collections/lamps/items?limit=200&filter=ownership_status='confirmed'")).features;
  const [first, second] = [...new Set(owners.map(({ properties }) => properties.owner_name))];
  assert.ok(first && second, 'the lamps have two owners at least');
  const place = `#map=19/${lat}/${lon}&id=${id}`;

  clerk = await visit({ viewport: { width: 1280, height: 900 } }, place);
  await signIn(clerk, LAMPPOST_ACCOUNT, CHANGED);
  await clerk.locator('[data-colouring]').selectOption('ownership');
  await turns(clerk, [lon, lat], 'unsurveyed');
  const card = clerk.locator('#card');
  await card.locator('.new-claim summary').click();
  await card.locator('[name=party]').fill('不存在的单位');
  await card.locator('[name=file]').setInputFiles({ name: '现场.png', mimeType: 'image/png', buffer: PHOTO });
  await card.locator('.new-claim [type=submit]').click();
  await clerk.locator('.toast', { hasText: '不存在的单位' }).waitFor();
  complaints.splice(complaints.findIndex((text) => text.includes('422')), 1);
  await card.locator('[name=party]').fill(first);
  await card.locator('.new-claim [type=submit]').click();
  await card.locator('[data-role=owner] .claim-proposed').waitFor();
  await turns(clerk, [lon, lat], 'proposed');
  await picture(clerk, 'claim-proposed');

  // Somebody else reviews it, a third one decides.
  const claim = Number(await card.locator('[data-role=owner] .claim').getAttribute('data-claim'));
  await post(`claims/${claim}`, { act: 'review' });
  const judge = await visit({ viewport: { width: 1280, height: 900 } }, place);
  await signIn(judge, LAMPPOST_JUDGE, LAMPPOST_JUDGE_PASSWORD);
  await judge.locator('#card [data-act=confirm]').click();
  await judge.locator('#card [data-role=owner] .claim-confirmed').waitFor();
  await turns(clerk, [lon, lat], 'confirmed');

  // Another party claims it too.
  const from = '2026-01-01';
  await post(`components/${id}/claims`, { role: 'owner', parties: [second], from, evidence: [{ kind: '移交协议', number: '移〔2026〕1号' }] });
  await turns(clerk, [lon, lat], 'disputed');
  await clerk.reload();
  await clerk.waitForFunction(() => window.lamppost);
  await card.locator('.dispute', { hasText: first }).waitFor();
  await card.locator('[data-act=review]').click();
  await judge.reload();
  await judge.waitForFunction(() => window.lamppost);
  await judge.locator('#card .reason').fill('移交协议在后，有效');
  await picture(judge, 'dispute');
  await judge.locator('#card [data-act=rule]').click();
  await judge.locator('#card [data-role=owner] .claim-confirmed').waitFor();
  await judge.locator('#card [data-role=owner] .role', { hasText: second }).waitFor();
  await judge.locator('#card .history', { hasText: '移交协议在后，有效' }).waitFor();
  await judge.locator('[data-colouring]').selectOption('ownership');
  await turns(judge, [lon, lat], 'confirmed');
  await picture(judge, 'ruled');
  const printed = await judge.context().newPage();
  await printed.goto(new URL(`components/${id}/file`, address).href);
  await printed.getByText('移〔2026〕1号').first().waitFor();
  const broken = await printed.evaluate(() => [...document.images].filter((image) => image.naturalWidth === 0).length);
  assert.deepEqual([await printed.locator('.photos img').count(), broken], [1, 0], 'the photo is in the file');
  if (SCREENSHOTS) await printed.pdf({ path: join(SCREENSHOTS, 'file.pdf'), format: 'A4' });
  await judge.context().close();
});

test('a list is claimed as one, tried first, and taken back', async () => {
  await clerk.locator('.batch-open').click();
  const dialogue = clerk.locator('dialog.batch');
  await dialogue.locator('[name=layer]').selectOption('seats');
  await dialogue.locator('[name=status]').selectOption('unsurveyed');
  await dialogue.locator('.batch-filter [type=submit]').click();
  await dialogue.locator('tbody tr').first().waitFor();
  const total = (await read("collections/seats/items?limit=0&filter=ownership_status='unsurveyed'")).numberMatched;
  const owner = (await read("collections/lamps/items?limit=1&filter=ownership_status='confirmed'")).features[0].properties.owner_name;
  assert.ok(total > 1, 'there are seats that nobody has surveyed');
  await dialogue.locator('.batch-acts [name=party]').fill(owner);
  await dialogue.locator('[data-do=try]').click();
  await dialogue.locator('.outcome', { hasText: `可办理 ${total.toLocaleString('zh-CN')} 个` }).waitFor();
  await picture(clerk, 'batch');
  await dialogue.locator('[data-do=do]').click();
  await dialogue.locator('.outcome', { hasText: '批号' }).waitFor();
  const left = async () => (await read("collections/seats/items?limit=0&filter=ownership_status='unsurveyed'")).numberMatched;
  assert.equal(await left(), 0);
  await dialogue.locator('[data-do=undo]').click();
  await dialogue.locator('.outcome', { hasText: '已撤销' }).waitFor();
  assert.equal(await left(), total);
  // Some of them, picked one by one.
  await dialogue.locator('.select-all input').uncheck();
  await dialogue.locator('tbody input').nth(0).check();
  await dialogue.locator('.batch-acts [name=party]').fill(owner);
  await dialogue.locator('[data-do=try]').click();
  await dialogue.locator('.outcome', { hasText: '可办理 1 个' }).waitFor();
  await dialogue.locator('.close').click();
});

test('the map shows the register as it was on a day, and comes back', async () => {
  const tiles = [];
  clerk.on('request', (request) => request.url().includes('/tiles/lamps/') && tiles.push(request.url()));
  const { id, geometry } = claimed;
  const { ownership_status: then } = (await read(`collections/lamps/items/${id}?datetime=2026-02-01`)).properties;
  assert.notEqual(then, 'confirmed', 'the lamp was another one then');
  await clerk.locator('[data-colouring]').selectOption('ownership');
  await clerk.locator('[data-moment]').fill('2026-02-01');
  await settled(clerk);
  await clerk.locator('.moment.past').waitFor();
  await turns(clerk, geometry.coordinates, then);
  assert.ok(tiles.some((url) => url.includes('datetime=2026-02-01')), `${tiles}`);
  await clerk.locator(`#card .chips .claim-${then}`).waitFor();
  assert.equal(await clerk.locator('#card .claims li').count(), 0, 'nobody edits the past');
  await picture(clerk, 'past');
  await clerk.locator('.moment button').click();
  await turns(clerk, geometry.coordinates, 'confirmed');
  // A version comes back as a new one; what was decided stays.
  const { version } = (await read(`collections/lamps/items/${id}`)).properties;
  await post('edits', { edits: [{ act: 'patch', layer: 'lamps', id, version, feature: { properties: { note: '写错了' } } }] });
  await clerk.reload();
  await clerk.waitForFunction(() => window.lamppost);
  await clerk.locator(`#card [data-version="${version}"]`).click();
  await clerk.locator(`#card .history li`, { hasText: `version ${version} restored` }).first().waitFor();
  const now = (await read(`collections/lamps/items/${id}`)).properties;
  assert.deepEqual([now.note, now.ownership_status, now.version], [null, 'confirmed', version + 2]);
  await clerk.setViewportSize({ width: 390, height: 844 });
  await clerk.reload();
  await clerk.waitForFunction(() => window.lamppost);
  await clerk.locator('#card .new-claim summary').click();
  await picture(clerk, 'claim-phone');
  await clerk.locator('#card .close').click();
  await clerk.locator('#legend .legend-toggle').click();
  await clerk.locator('.batch-open').click();
  await clerk.locator('dialog.batch .batch-filter [type=submit]').click();
  await clerk.locator('dialog.batch tbody tr').first().waitFor();
  await picture(clerk, 'batch-phone');
  await clerk.context().close();
});

test('the planner drags the radius, sees blind spots and the rate follow, and an edit shows', async () => {
  const planner = await visit({ viewport: { width: 1280, height: 800 } });
  await planner.locator('.coverage-open').click();
  const panel = planner.locator('#coverage');
  await panel.locator('.coverage-rate').waitFor();
  await panel.locator('[data-rule]').selectOption('toilets');
  await panel.locator('[data-denominator]').selectOption('residential');
  const rate = async () => parseFloat(await panel.locator('.coverage-rate strong').innerText());
  const answered = (part) => planner.waitForResponse((response) => response.url().includes('/coverage/toilets?') && response.url().includes(part));
  const drag = async (metres) => {
    const answer = answered(`radius=${metres}`);
    await panel.locator('[data-radius]').fill(String(metres));
    const said = (await (await answer).json()).denominators[0].rate;
    await planner.waitForFunction(
      (wanted) => Math.abs(parseFloat(document.querySelector('.coverage-rate strong').textContent) - wanted) < 0.01,
      said * 100,
    );
    return said;
  };
  const wide = await drag(300);
  const narrow = await drag(150);
  assert.ok(narrow < wide, `${narrow} of 150 m, ${wide} of 300 m`);
  await settled(planner);
  const blind = await planner.evaluate(() => window.lamppost.map.queryRenderedFeatures({ layers: ['lamppost-coverage-blind'] }).length);
  const facilities = await planner.evaluate(() => window.lamppost.map.queryRenderedFeatures({ layers: ['lamppost-coverage-facilities'] }).length);
  assert.ok(blind > 10 && facilities > 10, `${blind} blind, ${facilities} facilities`);
  assert.ok((await panel.locator('tbody tr').count()) > 5, 'no table by street');
  await picture(planner, 'coverage');

  // Somebody takes a toilet away: the rate falls by itself.
  const toilet = (await read('collections/toilets/items?limit=1&state=intact')).features[0];
  const set = async (state) => {
    const now = await fetch(new URL(`collections/toilets/items/${toilet.id}`, address));
    const headers = { ...as.headers, 'If-Match': now.headers.get('etag') };
    const body = JSON.stringify({ properties: { state } });
    const done = await fetch(new URL(`collections/toilets/items/${toilet.id}`, address), { method: 'PATCH', headers, body });
    assert.equal(done.status, 200);
  };
  const before = await rate();
  await set('missing');
  await planner.waitForFunction((was) => parseFloat(document.querySelector('.coverage-rate strong').textContent) < was, before);
  await set('intact');
  await planner.waitForFunction((was) => parseFloat(document.querySelector('.coverage-rate strong').textContent) === was, before);

  // On paper: one page with a map, and the picture of the map at 300 dots an inch.
  const [report] = await Promise.all([planner.context().waitForEvent('page'), panel.locator('[data-out=report]').click()]);
  await report.locator('svg.map').waitFor();
  assert.ok((await report.locator('h1').innerText()).includes('300'), 'the report has no title');
  const paper = await report.pdf({ preferCSSPageSize: true, printBackground: true });
  assert.equal(paper.subarray(0, 4).toString(), '%PDF');
  if (SCREENSHOTS) await writeFile(join(SCREENSHOTS, 'coverage.pdf'), paper);
  await report.close();
  const [download] = await Promise.all([planner.waitForEvent('download'), panel.locator('[data-out=png]').click()]);
  const png = await readFile(await download.path());
  assert.equal(png.toString('latin1', 1, 4), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [3508, 2480]);
  assert.equal(png.toString('latin1', 37, 41), 'pHYs');
  assert.equal(png.readUInt32BE(41), 11811);
  const blank = await planner.evaluate(async (bytes) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
    const canvas = new OffscreenCanvas(image.width, image.height);
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(300, 400, 2800, 1600);
    const colours = new Set();
    for (let i = 0; i < data.length; i += 4 * 97) colours.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return colours.size < 8;
  }, [...png]);
  assert.ok(!blank, 'the picture shows no map');
  if (SCREENSHOTS) await writeFile(join(SCREENSHOTS, 'coverage-300dpi.png'), png);
  await planner.locator('[data-lang=en]').click();
  await planner.waitForFunction(() => document.querySelector('#coverage h2')?.textContent === 'Coverage');
  await panel.locator('.close').click();
  assert.equal(await panel.isHidden(), true);
  await planner.context().close();

  const phone = await visit({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  await phone.locator('.legend-toggle').click();
  await phone.locator('.coverage-open').click();
  await phone.locator('.coverage-rate').waitFor();
  await settled(phone);
  await picture(phone, 'coverage-phone');
  await phone.context().close();
});

test('the planner asks for sites, keeps them, and compares two scenarios', async () => {
  const planner = await visit({ viewport: { width: 1280, height: 900 } });
  await signIn(planner, LAMPPOST_ACCOUNT, CHANGED);
  await planner.locator('.coverage-open').click();
  const panel = planner.locator('#coverage');
  await panel.locator('.coverage-rate').first().waitFor();
  await panel.locator('[data-rule]').selectOption('toilets');
  await panel.locator('[data-denominator]').selectOption('residential');
  await panel.locator('.siting summary').click();
  const keep = async (sites, name) => {
    await panel.locator('[data-sites]').fill(String(sites));
    await panel.locator('[data-sites]').blur();
    await panel.locator('[data-find]').click();
    await panel.locator('.siting-sites li').nth(sites - 1).waitFor();
    await settled(planner);
    if (sites === 3) await picture(planner, 'siting');
    const drawn = await planner.evaluate(() => window.lamppost.map.querySourceFeatures('lamppost-sites').length);
    assert.ok(drawn > 0, 'no site is drawn');
    await panel.locator('[data-name]').fill(name);
    await panel.locator('.siting-result button').click();
    await panel.locator('[data-scenario] option', { hasText: name }).waitFor({ state: 'attached' });
  };
  const rate = async () => parseFloat(await panel.locator('.coverage-result .coverage-rate strong').innerText());
  const plain = await rate();
  await keep(3, '三处');
  await planner.waitForFunction((was) => parseFloat(document.querySelector('.coverage-result .coverage-rate strong').textContent) > was, plain);
  const three = await rate();
  // More are asked for beside the three: two plans of which the second is no part of the first.
  await panel.locator('[data-scenario]').selectOption('now');
  await planner.waitForFunction((was) => parseFloat(document.querySelector('.coverage-result .coverage-rate strong').textContent) === was, plain);
  await keep(6, '六处');
  await planner.waitForFunction((was) => parseFloat(document.querySelector('.coverage-result .coverage-rate strong').textContent) > was, three);
  await panel.locator('[data-against]').selectOption({ label: '三处' });
  await panel.locator('.siting-compared tbody tr').first().waitFor();
  assert.ok(parseFloat(await panel.locator('.siting-compared .coverage-rate strong').innerText()) > 0);
  await settled(planner);
  const gained = await planner.evaluate(() => window.lamppost.map.querySourceFeatures('lamppost-change', { filter: ['==', ['get', 'change'], 'gained'] }).length);
  assert.ok(gained > 0, 'nothing gained is drawn');
  await picture(planner, 'compared');
  const [report] = await Promise.all([planner.context().waitForEvent('page'), panel.locator('[data-out=report]').click()]);
  await report.getByText('六处').first().waitFor();
  const paper = await report.pdf({ preferCSSPageSize: true, printBackground: true });
  assert.equal(paper.subarray(0, 4).toString(), '%PDF');
  if (SCREENSHOTS) await writeFile(join(SCREENSHOTS, 'scenario.pdf'), paper);
  await planner.context().close();
});

test('nothing was logged, and nothing left the server', () => {
  assert.deepEqual(complaints, []);
});

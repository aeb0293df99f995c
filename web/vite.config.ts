import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

/** MapLibre's licence asks that its text travels with every copy, and the minifier drops comments. */
const licence: Plugin = {
  name: 'lamppost-licence',
  generateBundle() {
    const source = readFileSync(new URL('node_modules/maplibre-gl/LICENSE.txt', import.meta.url));
    this.emitFile({ type: 'asset', fileName: 'assets/maplibre-gl.LICENSE.txt', source });
  },
};

export default defineConfig({
  // Relative addresses: the page also works below a path of a reverse proxy.
  base: './',
  plugins: [licence],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    // The map library changes seldom; in a file of its own it stays in browsers' caches when the page changes.
    rollupOptions: { output: { manualChunks: { maplibre: ['maplibre-gl'] } } },
  },
  // `npm run dev` draws a running Lamppost's city.
  server: {
    proxy: Object.fromEntries(
      ['/styles', '/tiles', '/collections', '/components', '/events'].map((path) => [
        path,
        { target: process.env.LAMPPOST_URL ?? 'http://127.0.0.1:8080' },
      ]),
    ),
  },
});

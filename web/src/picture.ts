/** The map as a picture to print: A4 across, 300 dots an inch, with a title, a key and where the figures come from. */

import { Map as MapLibre } from 'maplibre-gl';
import type { CityMap } from './map';

const DPI = 300;
/** What a style's sizes are meant for. */
const SCREEN = 96;
const dots = (mm: number): number => Math.round((mm / 25.4) * DPI);
const [WIDTH, HEIGHT, MARGIN, HEAD, FOOT] = [dots(297), dots(210), dots(10), dots(18), dots(14)];

export interface Caption {
  title: string;
  /** Said large, beside the title. */
  figure: string;
  /** Colour and word. */
  key: [string, string][];
  /** Said small, below. */
  foot: string;
}

export async function picture(city: CityMap, caption: Caption): Promise<Blob> {
  const [width, height] = [WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN - HEAD - FOOT];
  const container = document.createElement('div');
  container.style.cssText = `position: fixed; left: -100000px; top: 0; width: ${(width * SCREEN) / DPI}px; height: ${(height * SCREEN) / DPI}px`;
  document.body.append(container);
  const map = new MapLibre({
    container,
    style: city.map.getStyle(),
    bounds: city.map.getBounds(),
    interactive: false,
    attributionControl: false,
    fadeDuration: 0,
    pixelRatio: DPI / SCREEN,
    maxCanvasSize: [8192, 8192],
    canvasContextAttributes: { preserveDrawingBuffer: true },
    localIdeographFontFamily: getComputedStyle(document.body).fontFamily,
  });
  try {
    await new Promise<void>((resolve) => map.once('idle', () => resolve()));
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [WIDTH, HEIGHT];
    const pen = canvas.getContext('2d');
    if (!pen) throw new Error('no canvas');
    const font = (mm: number, weight = 400): string => `${weight} ${dots(mm)}px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.drawImage(map.getCanvas(), MARGIN, MARGIN + HEAD, width, height);
    pen.strokeStyle = '#666';
    pen.lineWidth = dots(0.2);
    pen.strokeRect(MARGIN, MARGIN + HEAD, width, height);
    pen.fillStyle = '#111';
    pen.textBaseline = 'middle';
    pen.font = font(7, 650);
    pen.fillText(caption.title, MARGIN, MARGIN + HEAD / 2 - dots(1));
    pen.textAlign = 'right';
    pen.fillText(caption.figure, WIDTH - MARGIN, MARGIN + HEAD / 2 - dots(1));
    pen.textAlign = 'left';
    let x = MARGIN;
    const y = HEIGHT - MARGIN - FOOT + dots(4.5);
    pen.font = font(3.4);
    for (const [colour, word] of caption.key) {
      pen.fillStyle = colour;
      pen.fillRect(x, y - dots(1.6), dots(3.2), dots(3.2));
      pen.fillStyle = '#111';
      pen.fillText(word, x + dots(4.4), y);
      x += dots(10) + pen.measureText(word).width;
    }
    bar(pen, map, y);
    pen.fillStyle = '#555';
    pen.font = font(2.8);
    pen.fillText(caption.foot, MARGIN, HEIGHT - MARGIN - dots(2));
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (!blob) throw new Error('no picture');
    return await measured(blob);
  } finally {
    map.remove();
    container.remove();
  }
}

/** A bar of a round length, at the right. */
function bar(pen: CanvasRenderingContext2D, map: MapLibre, y: number): void {
  const { lat } = map.getCenter();
  // Metres of a pixel of the screen at this latitude, where the world is 512 pixels wide at zoom 0.
  const metres = ((40_075_016.686 * Math.cos((lat * Math.PI) / 180)) / (512 * 2 ** map.getZoom())) * (SCREEN / DPI);
  const round = [20_000, 10_000, 5000, 2000, 1000, 500, 200, 100, 50, 20].find((m) => m / metres <= dots(50)) ?? 10;
  const width = round / metres;
  const right = WIDTH - MARGIN;
  pen.strokeStyle = '#111';
  pen.lineWidth = dots(0.5);
  pen.beginPath();
  pen.moveTo(right - width, y - dots(1.5));
  pen.lineTo(right - width, y + dots(0.5));
  pen.lineTo(right, y + dots(0.5));
  pen.lineTo(right, y - dots(1.5));
  pen.stroke();
  pen.textAlign = 'center';
  pen.fillText(round >= 1000 ? `${round / 1000} km` : `${round} m`, right - width / 2, y - dots(1.8));
  pen.textAlign = 'left';
}

/** The same PNG, which now says how many dots it has to a metre: its chunk `pHYs` comes after the first one. */
async function measured(blob: Blob): Promise<Blob> {
  const HEADER = 33;
  const chunk = new DataView(new ArrayBuffer(21));
  const perMetre = Math.round(DPI / 0.0254);
  chunk.setUint32(0, 9);
  [0x70, 0x48, 0x59, 0x73].forEach((byte, i) => chunk.setUint8(4 + i, byte));
  chunk.setUint32(8, perMetre);
  chunk.setUint32(12, perMetre);
  chunk.setUint8(16, 1);
  chunk.setUint32(17, crc(new Uint8Array(chunk.buffer, 4, 13)));
  return new Blob([blob.slice(0, HEADER), chunk.buffer, blob.slice(HEADER)], { type: 'image/png' });
}

/** The checksum of a PNG's chunk. */
function crc(bytes: Uint8Array): number {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

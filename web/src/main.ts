/** Puts the page together: one map, one legend, one search box, one card. */

import 'maplibre-gl/dist/maplibre-gl.css';
import './style.css';
import type { PaddingOptions } from 'maplibre-gl';
import * as api from './api';
import { Card } from './card';
import { Coverage } from './coverage';
import { byId, h, onPhone } from './dom';
import { lang, onLang, setLang, t, translatePage, type Lang } from './i18n';
import { Legend } from './legend';
import { Live } from './live';
import { CityMap } from './map';
import { Search } from './search';
import { Session } from './session';
import { report, toast } from './toast';

declare global {
  interface Window {
    /** For the browser's console and the page's tests. */
    lamppost?: { map: CityMap['map'] };
  }
}

const RETRY_MS = 3000;

/** A server that is starting or being restarted is waited for; the page need not be loaded again. */
async function firstStyle(): Promise<api.CityStyle> {
  for (;;) {
    try {
      const [, style] = await Promise.all([api.findWho(), api.style()]);
      return style;
    } catch (error) {
      report(error);
      if (!(error instanceof api.Problem && error.passing)) throw error;
      await new Promise((resume) => setTimeout(resume, RETRY_MS));
    }
  }
}

/** The selected component is part of the address, beside the `map=` that MapLibre keeps there. */
const address = {
  read(): number | null {
    const id = Number(new URLSearchParams(location.hash.slice(1)).get('id'));
    return Number.isSafeInteger(id) && id > 0 ? id : null;
  },
  write(id: number | null): void {
    const others = location.hash.slice(1).split('&').filter((part) => part !== '' && !part.startsWith('id='));
    const hash = [...others, ...(id === null ? [] : [`id=${id}`])].join('&');
    history.replaceState(history.state, '', `${location.pathname}${location.search}${hash && `#${hash}`}`);
  },
  hasPosition: (): boolean => /[#&]map=/.test(location.hash),
};

/** How much of the map the panels cover, with some air. */
function covered(): PaddingOptions {
  const air = 40;
  const card = byId('card');
  const inset = { top: air, bottom: air, left: air, right: air };
  if (onPhone()) return card.hidden ? inset : { ...inset, bottom: innerHeight - card.offsetTop + air };
  const legend = byId('legend');
  if (!legend.classList.contains('folded')) inset.left += legend.offsetLeft + legend.offsetWidth;
  if (!card.hidden) inset.right += innerWidth - card.offsetLeft;
  return inset;
}

function languageSwitch(): void {
  const button = (code: Lang, locale: string, text: string): HTMLButtonElement =>
    h('button', { lang: locale, 'data-lang': code, onclick: () => setLang(code) }, text);
  const buttons = [button('zh', 'zh-CN', '中文'), button('en', 'en', 'EN')];
  const mark = (): void =>
    buttons.forEach((button) => button.setAttribute('aria-pressed', String(button.dataset.lang === lang())));
  byId('languages').append(...buttons);
  onLang(mark);
  mark();
}

async function start(): Promise<void> {
  translatePage();
  languageSwitch();
  // Read before the map is made: from then on the map keeps its own position in the address.
  const linked = { id: address.read(), placed: address.hasPosition() };

  let city: CityMap;
  const style = await firstStyle();
  new Session().greet();
  try {
    city = new CityMap(byId('map'), style, covered);
  } catch (error) {
    console.error(error);
    toast(t('noWebgl'), [t('noWebglDetail')]);
    return;
  }
  const coverage = new Coverage(city);
  new Live(city, (layers) => coverage.touched(layers));
  await city.ready;
  const retimed = (): void => {
    card.refresh();
    void coverage.again();
  };
  const legend = new Legend(byId('legend'), city, retimed, () => {
    card.close();
    void coverage.show();
  });

  // How the next opened component is brought into view: a search flies there, a click on the map stays where it is.
  let gently = false;
  const card = new Card(byId('card'), {
    opened: ({ geometry }) => {
      city.select(geometry);
      city.reveal(geometry, gently);
    },
    closed: () => {
      document.body.classList.remove('with-card');
      address.write(null);
      city.select(null);
    },
    go: (id) => open(id),
    zoom: ({ geometry }) => city.reveal(geometry),
  });
  const open = (id: number, staying = false): void => {
    gently = staying;
    address.write(id);
    document.body.classList.add('with-card');
    if (onPhone()) legend.fold();
    if (coverage.open) coverage.close();
    void card.open(id);
  };

  city.onPick((id) => open(id, true));
  new Search(byId('search'), ({ id }) => open(id));
  addEventListener('hashchange', () => {
    const id = address.read();
    if (id === null) card.close();
    else if (id !== card.id) open(id, address.hasPosition());
  });
  onLang(async () => {
    legend.render();
    card.refresh();
    void coverage.again();
    try {
      city.restyle(await api.style());
      legend.render();
    } catch (error) {
      report(error);
    }
  });

  if (linked.id !== null) open(linked.id, linked.placed);
  window.lamppost = { map: city.map };
}

start().catch(report);

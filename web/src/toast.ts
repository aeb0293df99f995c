/** Short messages above the map: what went wrong, in the words of the server. */

import { Problem, isAbort } from './api';
import { byId, h, icon, icons } from './dom';
import { t } from './i18n';

const SHOWN_MS = 8000;

export function toast(title: string, details: string[] = [], calm = false): void {
  const place = byId('toasts');
  const text = [title, ...details].join('\n');
  // Twenty tiles that fail alike are one piece of news.
  if ([...place.children].some((shown) => (shown as HTMLElement).dataset.text === text)) return;
  const close = (): void => box.remove();
  const box = h(
    'div',
    { class: calm ? 'toast calm' : 'toast', 'data-text': text },
    h('div', {}, h('strong', {}, title), ...details.map((detail) => h('p', {}, detail))),
    h('button', { class: 'plain', 'aria-label': t('close'), onclick: close }, icon(icons.close)),
  );
  place.append(box);
  setTimeout(close, SHOWN_MS);
}

/** Tells of a failed request. An aborted one was replaced by a newer one and is no failure. */
export function report(error: unknown): void {
  if (isAbort(error)) return;
  if (error instanceof Problem) toast(error.title, error.details);
  else {
    console.error(error);
    toast(error instanceof Error ? error.message : String(error));
  }
}

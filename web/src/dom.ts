/** The few lines of DOM work that every panel shares. */

type Attribute = string | number | boolean | null | undefined | ((event: never) => void);
type Child = Node | string | null | undefined | false;

/** Makes an element. `on…` attributes are listeners; null, undefined and false leave the attribute out. Text is never
 *  parsed as HTML, so nothing that the register holds can become markup. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Attribute> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value != null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child): child is Node | string => child != null && child !== false));
  return element;
}

/** An icon drawn as one stroked path in a 24×24 box. */
export function icon(path: string): SVGSVGElement {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon');
  const stroke = document.createElementNS(namespace, 'path');
  stroke.setAttribute('d', path);
  svg.append(stroke);
  return svg;
}

export const icons = {
  close: 'M6 6l12 12M18 6L6 18',
  chevron: 'M6 9l6 6 6-6',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20',
  link: 'M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.7-5.7l-1.5 1.5M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.7 5.7l1.5-1.5',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  target: 'M12 5v-3M12 22v-3M5 12h-3M22 12h-3M12 18a6 6 0 1 0 0-12 6 6 0 0 0 0 12z',
};

/** The element of index.html with this id; its absence is a mistake in this page, not a state to handle. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/** The same limit as in style.css: below it the card is a bottom sheet and the legend starts folded. */
export const onPhone = (): boolean => matchMedia('(max-width: 640px)').matches;

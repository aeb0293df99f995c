/** Claims in bulk: a list by filter, all of it or some, one act on all of them, tried before it is done, and taken back as one. */

import * as api from './api';
import type { Layer } from './api';
import { byId, h, icon, icons } from './dom';
import { lang, number, t, type Word } from './i18n';
import type { CityMap } from './map';
import { report } from './toast';

/** Rows that are shown to be picked one by one. */
const SHOWN = 100;
const ACTS = ['claim', 'transfer', 'review', 'confirm', 'reject'] as const;

interface Outcome {
  batch: number | null;
  dry_run: boolean;
  components: number;
  faults: number;
  listed: { component: number | null; detail: api.Words }[];
}

export class Batch {
  private readonly body = h('div', { class: 'import-body' });
  private readonly dialogue = h('dialog', { class: 'import batch', 'aria-labelledby': 'batch-title' });
  private found: api.Found | null = null;
  private readonly picked = new Set<number>();
  private everything = true;
  private outcome: HTMLElement | null = null;
  /** What the list was asked by. */
  private query = '';

  constructor(private readonly city: CityMap) {
    const close = h('button', { class: 'plain close', 'aria-label': t('close'), onclick: () => this.dialogue.close() }, icon(icons.close));
    this.dialogue.append(h('h2', { id: 'batch-title' }, t('batch')), close, this.body);
    this.dialogue.addEventListener('close', () => {
      document.body.append(byId('toasts'));
      this.dialogue.remove();
    });
    document.body.append(this.dialogue);
    this.render();
    this.dialogue.append(byId('toasts'));
    this.dialogue.showModal();
  }

  private render(): void {
    this.body.replaceChildren(this.filter(), ...(this.found ? [this.table(this.found), this.acts()] : []));
    if (this.outcome) this.body.append(this.outcome);
  }

  private filter(): HTMLElement {
    const layers = this.city.layers.filter((layer) => layer.source === 'component');
    const title = (layer: Layer): string => (lang() === 'zh' ? layer.title_zh : layer.title_en);
    const asked = new URLSearchParams(this.query.split('?')[1] ?? '');
    const layer = h('select', { name: 'layer' }, ...layers.map((own) => h('option', { value: own.id, selected: this.query.startsWith(`${own.id}?`) }, title(own))));
    const status = h(
      'select',
      { name: 'status' },
      h('option', { value: '' }, t('anyStatus')),
      ...api.STATUSES.map((own) => h('option', { value: own, selected: asked.get('filter')?.includes(`'${own}'`) ?? false }, t(`status_${own}`))),
    );
    const owner = h('input', { name: 'owner', placeholder: t('owner'), value: asked.get('owner') ?? '' });
    const road = h('input', { name: 'road', placeholder: t('road'), value: asked.get('road') ?? '' });
    const here = h('input', { type: 'checkbox', name: 'here', checked: asked.has('bbox') });
    const search = (event: SubmitEvent): void => {
      event.preventDefault();
      const query = new URLSearchParams();
      if (status.value) query.set('filter', `ownership_status='${status.value}'`);
      if (owner.value.trim()) query.set('owner', owner.value.trim());
      if (road.value.trim()) query.set('road', road.value.trim());
      if (here.checked) query.set('bbox', this.city.box());
      this.query = `${layer.value}?${query}`;
      void this.attempt(() => this.list());
    };
    return h(
      'form',
      { class: 'batch-filter', onsubmit: search },
      layer,
      status,
      owner,
      road,
      h('label', {}, here, t('exportHere')),
      h('button', { type: 'submit', class: this.found ? '' : 'primary' }, t('searchDo')),
    );
  }

  private async list(): Promise<void> {
    const [layer = '', query = ''] = this.query.split('?');
    this.found = await api.list(layer, query, SHOWN);
    this.picked.clear();
    this.everything = true;
    this.outcome = null;
    this.render();
  }

  private table(found: api.Found): HTMLElement {
    const total = found.numberMatched ?? found.numberReturned;
    const all = h('input', {
      type: 'checkbox',
      checked: this.everything,
      'aria-label': t('selectAll', { n: number(total) }),
      onchange: () => {
        this.everything = all.checked;
        this.picked.clear();
        this.render();
      },
    });
    const row = ({ id, properties: p }: api.Component): HTMLElement => {
      const box = h('input', {
        type: 'checkbox',
        checked: this.everything || this.picked.has(id),
        disabled: this.everything,
        'aria-label': p.code ?? `#${id}`,
        onchange: () => (box.checked ? this.picked.add(id) : this.picked.delete(id)),
      });
      const cells = [p.code ?? `#${id}`, p.class_name, p.road, p.owner_name, p.ownership_status_name];
      return h('tr', {}, h('td', {}, box), ...cells.map((text) => h('td', {}, text ?? '—')));
    };
    const heads: Word[] = ['codeHead', 'classHead', 'road', 'owner', 'ownershipStatus'];
    return h(
      'div',
      { class: 'batch-list' },
      h('label', { class: 'select-all' }, all, t('selectAll', { n: number(total) }), total > SHOWN && h('small', {}, t('firstShown', { k: SHOWN }))),
      h(
        'div',
        { class: 'rows' },
        h('table', {}, h('thead', {}, h('tr', {}, h('th', {}), ...heads.map((word) => h('th', {}, t(word))))), h('tbody', {}, ...found.features.map(row))),
      ),
    );
  }

  private acts(): HTMLElement {
    const act = h('select', { name: 'act', onchange: () => follow() }, ...ACTS.map((own) => h('option', { value: own }, t(`bulk_${own}`))));
    const role = h('select', { name: 'role' }, ...(['owner', 'authority', 'maintainer'] as const).map((own) => h('option', { value: own }, t(own))));
    const party = h('input', { name: 'party', placeholder: t('partyHint') });
    const from = h('input', { name: 'from', type: 'date', value: api.today() });
    const document = h('input', { name: 'document', value: t('documentDefault') });
    const docNumber = h('input', { name: 'number', placeholder: t('documentNumber') });
    const reason = h('input', { name: 'reason', placeholder: t('why') });
    const own = [party, from, document, docNumber];
    const follow = (): void => own.forEach((input) => (input.hidden = act.value !== 'claim' && act.value !== 'transfer'));
    const send = (dry: boolean): Promise<void> =>
      this.attempt(async () => {
        const handing = act.value === 'claim' || act.value === 'transfer';
        const which = this.everything ? { list: this.query } : { components: [...this.picked] };
        const body = {
          ...which,
          act: handing ? 'hand-in' : act.value,
          role: role.value,
          dry_run: dry,
          reason: reason.value.trim() || undefined,
          ...(handing && {
            kind: act.value,
            parties: party.value.split(/[、,，;；]/).map((name) => name.trim()).filter(Boolean),
            from: from.value,
            evidence: [{ kind: document.value.trim(), number: docNumber.value.trim() || undefined }],
          }),
        };
        this.tell((await (await api.ask('POST', 'claims/batches', body)).json()) as Outcome);
      });
    const form = h(
      'div',
      { class: 'batch-acts' },
      act,
      role,
      ...own,
      reason,
      h(
        'div',
        { class: 'import-actions' },
        h('button', { 'data-do': 'try', onclick: () => void send(true) }, t('tryIt')),
        h('button', { 'data-do': 'do', class: 'primary', onclick: () => void send(false) }, t('doIt')),
      ),
    );
    follow();
    return form;
  }

  private tell(outcome: Outcome): void {
    const undo: HTMLButtonElement = h(
      'button',
      {
        'data-do': 'undo',
        onclick: () =>
          void this.attempt(async () => {
            const answer = (await (await api.ask('POST', `claims/batches/${outcome.batch}/undo`)).json()) as { undone: number; left: number };
            this.outcome = h('p', { class: 'outcome', role: 'status' }, t('undone', { n: number(answer.undone), left: number(answer.left) }));
            this.settle();
          }),
      },
      t('undo'),
    );
    const words = outcome.batch
      ? t('done', { n: number(outcome.components), batch: outcome.batch })
      : t('wouldDo', { n: number(outcome.components), faults: number(outcome.faults) });
    this.outcome = h(
      'div',
      { class: 'outcome' },
      h('p', { role: 'status' }, words, ' ', outcome.batch !== null && undo),
      outcome.listed.length > 0 &&
        h('ul', {}, ...outcome.listed.slice(0, 20).map(({ component, detail }) => h('li', {}, component ? `#${component} ` : '', detail[lang()]))),
    );
    this.settle();
  }

  /** Puts the outcome in place; what is filled in stays. */
  private settle(): void {
    this.body.querySelector('.outcome')?.remove();
    if (this.outcome) this.body.append(this.outcome);
    this.outcome?.scrollIntoView({ block: 'nearest' });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.dialogue.classList.add('busy');
    byId('toasts').replaceChildren();
    try {
      await work();
    } catch (error) {
      report(error);
    }
    this.dialogue.classList.remove('busy');
  }
}

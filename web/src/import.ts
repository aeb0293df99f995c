/** A delivery sent from the page: choose a file, see its first rows and the proposed mapping, decide, try, load, take back. */

import * as api from './api';
import { byId, h, icon, icons } from './dom';
import { lang, number, onLang, t, translatePage, type Word } from './i18n';
import { report, toast } from './toast';

const FILES = '.xlsx,.csv,.tsv,.txt,.zip,.gpkg,.fgb,.geojson,.json,.gz,.dbf';
const SYSTEMS = ['EPSG:4490', 'EPSG:4326', 'EPSG:4527', 'EPSG:4528', 'EPSG:4548', 'EPSG:4549', 'gcj02', 'bd09'];
const STAGES: Record<api.Import['stage'], Word> = {
  open: 'stageOpen',
  ready: 'stageReady',
  waiting: 'stageWaiting',
  running: 'stageRunning',
  done: 'stageDone',
  failed: 'stageFailed',
  undone: 'stageUndone',
};

/** What a column can be, in the order of a register's sheet. */
const FIELDS: Record<string, Word> = {
  code: 'fieldCode',
  id: 'fieldKey',
  class: 'fieldClass',
  name: 'name',
  east: 'fieldEast',
  north: 'fieldNorth',
  wkt: 'fieldWkt',
  cell: 'cell',
  state: 'state',
  authority: 'authority',
  owner: 'owner',
  maintainer: 'maintainer',
  surveyed_on: 'surveyedOn',
  changed_on: 'fieldChanged',
  data_source: 'source',
  address: 'address',
  road: 'road',
  property_kind: 'propertyKind',
  management_kind: 'managementKind',
  accuracy: 'accuracy',
  note: 'note',
};
/** The same field under the name that a proposal gives it. */
const SAME: Record<string, string> = { x: 'east', y: 'north', key: 'id', 'attributes.data_source': 'data_source' };

const words = (text: api.Words): string => text[lang()];

/** One dialogue is enough: it keeps what was under way when it is opened again. */
let dialogue: Dialogue | null = null;

export function openImport(): void {
  if (!api.who().name) {
    toast(t('signInFirst'));
    document.dispatchEvent(new Event('sign-in'));
    return;
  }
  dialogue ??= new Dialogue();
  dialogue.open();
}

class Dialogue {
  private readonly body = h('div', { class: 'import-body' });
  private readonly head = h('h2', { id: 'import-title' });
  private readonly element = h('dialog', { class: 'import', 'aria-labelledby': 'import-title' });
  private upload: api.Import | null = null;
  private sent: number | null = null;

  constructor() {
    const close = h('button', { class: 'plain close', 'data-t-label': 'close', onclick: () => this.element.close() }, icon(icons.close));
    this.element.append(this.head, close, this.body);
    document.body.append(this.element);
    translatePage();
    // What is told must be seen: nothing of the page stands above a dialogue.
    this.element.addEventListener('close', () => document.body.append(byId('toasts')));
    onLang(() => this.render());
  }

  open(): void {
    this.render();
    this.element.append(byId('toasts'));
    this.element.showModal();
    if (!this.upload) void this.list();
  }

  private render(): void {
    this.head.textContent = this.upload ? this.upload.file : t('import');
    if (this.upload) this.body.replaceChildren(...this.looked(this.upload));
    else this.body.replaceChildren(...this.chooser());
  }

  /** Does something that asks the server; what it answers is told. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    this.element.classList.add('busy');
    try {
      await work();
    } catch (error) {
      report(error);
    }
    this.element.classList.remove('busy');
  }

  private chooser(): Node[] {
    const file = h('input', { type: 'file', class: 'unseen', accept: FILES, onchange: () => file.files?.[0] && this.send(file.files[0]) });
    const drop = h(
      'label',
      {
        class: 'drop',
        ondragover: (event: DragEvent) => event.preventDefault(),
        ondrop: (event: DragEvent) => {
          event.preventDefault();
          const [first] = event.dataTransfer?.files ?? [];
          if (first) void this.send(first);
        },
      },
      file,
      h('strong', {}, t('chooseFile')),
      h('small', {}, t('formatsHint')),
      this.sent !== null && h('progress', { max: 1, value: this.sent }),
      this.sent !== null && h('small', {}, t('sending', { share: Math.floor(this.sent * 100) })),
    );
    return [
      drop,
      h('div', { class: 'recent' }),
    ];
  }

  /** What this person has sent before. */
  private async list(): Promise<void> {
    await this.attempt(async () => {
      const { imports } = (await (await api.ask('GET', 'imports')).json()) as { imports: api.Import[] };
      const row = (own: api.Import): HTMLElement =>
        h(
          'li',
          {},
          h('button', { onclick: () => this.show(own.id) }, own.file),
          h('span', { class: `chip stage-${own.stage}` }, stage(own)),
          h('small', {}, new Date(own.received).toLocaleString(lang() === 'zh' ? 'zh-CN' : 'en-GB')),
        );
      const place = this.body.querySelector('.recent');
      place?.replaceChildren(...(imports.length > 0 ? [h('h3', {}, t('recent')), h('ul', {}, ...imports.slice(0, 8).map(row))] : []));
    });
  }

  private show(id: string): Promise<void> {
    return this.attempt(async () => {
      this.take((await (await api.ask('GET', `imports/${id}`)).json()) as api.Import);
    });
  }

  private async send(file: File): Promise<void> {
    await this.attempt(async () => {
      this.sent = 0;
      this.render();
      try {
        this.upload = await api.send(file, (share) => {
          this.sent = share;
          this.render();
        });
      } finally {
        this.sent = null;
        this.render();
      }
    });
    if (!this.upload) void this.list();
  }

  private take(upload: api.Import): void {
    this.upload = upload;
    this.render();
    if (upload.stage === 'waiting' || upload.stage === 'running') void this.follow(upload.id);
  }

  private change(settings: object): Promise<void> {
    return this.attempt(async () => {
      const answer = await api.ask('PATCH', `imports/${this.upload?.id}`, settings);
      this.take((await answer.json()) as api.Import);
    });
  }

  private run(dryRun: boolean): Promise<void> {
    return this.attempt(async () => {
      const answer = await api.ask('POST', `imports/${this.upload?.id}/runs`, { dry_run: dryRun });
      this.take((await answer.json()) as api.Import);
    });
  }

  private undo(): Promise<void> {
    return this.attempt(async () => {
      const answer = await api.ask('POST', `imports/${this.upload?.id}/undo`);
      this.take((await answer.json()) as api.Import);
    });
  }

  /** Reads the events of a run: EventSource would ask again when they end. */
  private async follow(id: string): Promise<void> {
    await this.attempt(async () => {
      const answer = await api.ask('GET', `imports/${id}/events`);
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true, value: '' };
        text += value ?? '';
        const events = text.split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) {
          const [, kind, data] = /^event: (\w+)\ndata: (.*)$/s.exec(event) ?? [];
          if (this.upload?.id !== id || !kind || !data) continue;
          if (kind === 'end') this.upload = JSON.parse(data) as api.Import;
          else this.upload = { ...this.upload, ...progressOf(data) };
          this.render();
        }
        if (done) break;
      }
    });
    // The stream broke off, as when the service is started again: the import goes on, and so does the look.
    if (this.upload?.id === id && this.upload.stage === 'running') setTimeout(() => void this.show(id), 2000);
  }

  private looked(own: api.Import): Node[] {
    const { seen } = own;
    const busy = own.stage === 'waiting' || own.stage === 'running';
    const facts = [seen.format, seen.encoding?.replace(/ \(.*\)$/, ''), seen.crs, bytes(own.bytes)].filter((text) => text);
    const button = (word: Word, act: () => void, kind = ''): HTMLElement => h('button', { class: kind, disabled: busy, onclick: act }, t(word));
    return [
      h('p', { class: 'facts' }, h('span', { class: `chip stage-${own.stage}` }, stage(own)), ` ${facts.join(' · ')}`),
      ...seen.notes.map((note) => h('p', { class: 'note' }, words(note))),
      ...(seen.open.length > 0 ? [this.decisions(own)] : []),
      this.table(own, busy),
      busy ? h('progress', own.stage === 'running' ? { max: own.progress.size, value: own.progress.read } : {}) : null,
      own.error && failed(own.error),
      own.report && this.outcome(own, own.report),
      this.options(own, busy),
      h(
        'div',
        { class: 'import-actions' },
        button('another', () => this.another()),
        own.delivery !== null && own.stage !== 'undone' && button('undo', () => void this.undo()),
        own.stage !== 'open' && button('tryIt', () => void this.run(true)),
        own.stage !== 'open' && button('load', () => void this.run(false), 'primary'),
      ),
    ].filter((node): node is HTMLElement => node !== null);
  }

  private another(): void {
    this.upload = null;
    this.render();
    void this.list();
  }

  private decisions(own: api.Import): HTMLElement {
    const { settings, seen } = own;
    const known = h('input', { value: settings.class, placeholder: t('classHint'), 'aria-label': t('fieldClass'), onchange: () => this.change({ class: known.value || null }) });
    const system = h('input', { value: settings.crs, placeholder: t('crs'), 'aria-label': t('crs'), list: 'import-systems', onchange: () => this.change({ crs: system.value || null }) });
    return h(
      'div',
      { class: 'decide' },
      h('strong', {}, t('decide')),
      ...seen.open.map((text) => h('p', {}, words(text))),
      h('div', {}, known, system, h('datalist', { id: 'import-systems' }, ...SYSTEMS.map((value) => h('option', { value })))),
    );
  }

  /** The first rows; above each column what it is taken for. */
  private table({ seen }: api.Import, busy: boolean): HTMLElement {
    const guesses = new Map(seen.columns?.map((guess) => [guess.column, guess]));
    const head = seen.header.map((name) => h('th', { scope: 'col' }, h('code', {}, name), this.field(guesses.get(name), busy)));
    const rows = seen.rows.map((row) => h('tr', {}, ...row.map((value) => h('td', { title: value }, value))));
    return h('div', { class: 'rows' }, h('table', {}, h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows)));
  }

  private field(guess: api.Column | undefined, busy: boolean): HTMLElement | null {
    if (!guess) return null;
    const own = guess.field === null ? '' : (SAME[guess.field] ?? guess.field);
    const option = (value: string, text: string): HTMLElement => h('option', { value, selected: value === own }, text);
    const codes = ['authority', 'owner', 'maintainer'] as const;
    const all = [
      option('', t('asAttribute')),
      ...Object.entries(FIELDS).map(([key, word]) => option(key, t(word))),
      ...codes.map((role) => option(`${role}_code`, t('codeOf', { what: t(role) }))),
      own.startsWith('attributes.') && option(own, own.replace('attributes.', '')),
    ].filter((node): node is HTMLElement => node !== false);
    const select = h(
      'select',
      {
        disabled: busy,
        class: guess.field === null ? 'unsure' : guess.confidence < 0.6 ? 'doubtful' : '',
        'aria-label': guess.column,
        title: words(guess.why),
        onchange: () => this.change({ columns: { [guess.column]: select.value } }),
      },
      ...all,
    );
    const sure = guess.field === null ? '' : `${Math.round(guess.confidence * 100)} %`;
    return h('span', { class: 'guess' }, select, h('small', {}, sure));
  }

  private options({ settings, seen }: api.Import, busy: boolean): HTMLElement {
    const box = (key: 'sync' | 'overwrite'): HTMLElement => {
      const input = h('input', { type: 'checkbox', disabled: busy, checked: settings[key], onchange: () => this.change({ [key]: input.checked }) });
      return h('label', {}, input, t(key));
    };
    const mapping = h('textarea', { rows: 12, spellcheck: 'false', disabled: busy, 'aria-label': t('mapping'), onchange: () => this.change({ mapping: mapping.value || null }) });
    mapping.value = seen.mapping;
    return h('div', { class: 'import-options' }, box('sync'), box('overwrite'), h('details', {}, h('summary', {}, t('mapping')), mapping));
  }

  private outcome(own: api.Import, done: api.Report): HTMLElement {
    const counts: [Word, number][] = [
      ['rowsRead', done.rows.read],
      ['rowsAdded', done.rows.added],
      ['rowsChanged', done.rows.changed],
      ['rowsUnchanged', done.rows.unchanged],
      ['rowsRetired', done.rows.retired],
      ['rowsRejected', done.rows.rejected],
    ];
    const count = ([word, n]: [Word, number]): HTMLElement => h('div', { class: word }, h('dt', {}, t(word)), h('dd', {}, number(n)));
    const reason = ({ title, count, examples: [first] }: api.Report['rejected'][number]): HTMLElement =>
      h('li', {}, h('strong', {}, `${words(title)} ${number(count)}`), first && h('p', {}, `${t('row', { n: first.row })} ${first.column}: ${words(first.reason)}`));
    const party = ({ name, rows, nearest }: api.Report['unknown_parties'][number]): HTMLElement =>
      h(
        'li',
        {},
        t('unknownParty', { name, n: rows }),
        nearest !== null && h('button', { onclick: () => this.change({ aliases: { [name]: nearest } }) }, t('isParty', { name: nearest })),
      );
    const finding = ({ count, list: [first] }: api.Report['findings'][number]): HTMLElement =>
      h('li', {}, h('strong', {}, number(count)), first && h('p', {}, words(first.detail)));
    const file = (rel: 'rejects' | 'changes'): HTMLElement | false =>
      own.links.some((link) => link.rel === rel) &&
      h('a', { class: 'button', href: `imports/${own.id}/${rel}`, download: '' }, icon(icons.download), t(rel));
    return h(
      'section',
      { class: 'outcome' },
      done.dry_run && h('p', { class: 'note' }, t('triedOnly')),
      ...done.notes.map((note) => h('p', { class: 'note' }, words(note))),
      h('dl', {}, ...counts.map(count)),
      h('ul', {}, ...done.unknown_parties.slice(0, 20).map(party), ...done.rejected.map(reason), ...done.findings.map(finding)),
      h('div', { class: 'import-files' }, file('rejects'), file('changes'), done.rows.rejected > 0 && h('small', {}, t('correctHint'))),
    );
  }
}

const stage = (own: api.Import): string => t(own.stage === 'done' && own.dry_run ? 'stageTried' : STAGES[own.stage]);

function progressOf(data: string): Pick<api.Import, 'stage' | 'progress'> {
  const { stage, read, size } = JSON.parse(data) as { stage: api.Import['stage']; read: number; size: number };
  return { stage, progress: { read, size } };
}

function failed({ detail, errors }: NonNullable<api.Import['error']>): HTMLElement {
  const lines = errors.map((fault) => h('p', {}, `${fault.parameter}: ${words(fault.detail)}`));
  return h('div', { class: 'decide failed' }, h('strong', {}, words(detail)), ...lines);
}

function bytes(n: number): string {
  const steps = [' B', ' kB', ' MB', ' GB'];
  const step = Math.min(3, Math.floor(Math.log10(Math.max(1, n)) / 3));
  return number(Number((n / 1000 ** step).toPrecision(3))) + (steps[step] ?? '');
}

/** Who holds what of a component, on its card: the three roles, what is open on each, and what whoever is signed in may do about it. */

import * as api from './api';
import type { Book, Claim, Role } from './api';
import { h } from './dom';
import { day, t, type Word } from './i18n';
import { report, toast } from './toast';

const ROLES: Role[] = ['authority', 'owner', 'maintainer'];
const OPEN = ['open', 'reviewed', 'announced'];

/** The section of the card. `changed` is called after each step that was taken. */
export function claimsSection(id: number, books: Record<Role, Book>, changed: () => void): HTMLElement {
  const reason = h('input', { class: 'reason', 'aria-label': t('why'), placeholder: t('why'), maxlength: 1000 });
  const act = async (button: HTMLButtonElement, work: () => Promise<unknown>): Promise<void> => {
    button.disabled = true;
    try {
      await work();
      changed();
    } catch (error) {
      report(error);
      button.disabled = false;
    }
  };
  const step = (claim: Claim, word: api.ClaimAct): HTMLElement => {
    const button: HTMLButtonElement = h(
      'button',
      {
        'data-act': word,
        onclick: () => void act(button, () => api.actOnClaim(claim.id, { act: word, reason: reason.value || undefined })),
      },
      t(`act_${word}`),
    );
    return button;
  };
  const editing = api.mayEdit();
  const rows = ROLES.map((role) => {
    const book = books[role];
    const open = book.claims.filter(({ stage }) => OPEN.includes(stage));
    return h(
      'li',
      { 'data-role': role },
      h('p', { class: 'role' }, h('strong', {}, t(role)), h('span', { class: `chip claim-${book.status}` }, book.status_name), book.party?.name ?? '—'),
      book.dispute &&
        h(
          'p',
          { class: book.dispute.overdue ? 'dispute overdue' : 'dispute' },
          t('disputeHolds', { who: book.dispute.interim?.name ?? '—', until: book.dispute.deadline ? day(book.dispute.deadline) : '—' }),
        ),
      ...open.map((claim) =>
        h(
          'div',
          { class: 'claim', 'data-claim': claim.id },
          h('p', {}, `${claim.kind_name} ${claim.id} · ${names(claim)} · ${t('since', { day: day(claim.from) })} · ${claim.stage_name}`),
          h('p', { class: 'note' }, joined(claim)),
          editing && h('p', { class: 'actions' }, ...steps(claim, book).map((word) => step(claim, word))),
        ),
      ),
    );
  });
  const anything = ROLES.some((role) => books[role].claims.some(({ stage }) => OPEN.includes(stage)));
  return h(
    'section',
    { class: 'claims' },
    h('h3', {}, t('claims')),
    h('ul', {}, ...rows),
    editing && anything && reason,
    editing && form(id, changed),
    h(
      'p',
      { class: 'actions' },
      h('a', { class: 'button', href: `components/${id}/file`, target: '_blank' }, t('printFile')),
      books.owner.party?.code &&
        h('a', { class: 'button', href: `parties/${encodeURIComponent(books.owner.party.code)}/confirmation`, target: '_blank' }, t('printConfirmation')),
    ),
  );
}

const names = ({ parties }: Claim): string => parties.map(({ name, code }) => name ?? code).join('、') || '—';

const joined = (claim: Claim): string =>
  [
    t('handedInBy', { who: claim.handed_in_by }),
    claim.reviewed_by && t('reviewedBy', { who: claim.reviewed_by }),
    ...claim.evidence.map(({ kind, number }) => [kind, number].filter(Boolean).join(' ')),
  ]
    .filter(Boolean)
    .join(' · ');

/** What can be done next. Whether this very person may, the server knows: three steps take three persons. */
function steps(claim: Claim, book: Book): api.ClaimAct[] {
  const judge = api.mayDecide();
  const disputed = book.status === 'disputed' && claim.kind === 'claim';
  const out: api.ClaimAct[] = [];
  if (claim.stage === 'open') out.push('review');
  if (claim.stage === 'reviewed' && judge) out.push(disputed ? 'rule' : 'confirm');
  if (judge && disputed && book.party) out.push('uphold');
  if (judge) out.push('reject');
  if (judge || claim.handed_in_by === api.who().name) out.push('withdraw');
  return out;
}

/** A new claim, with a photo or a scan if there is one. */
function form(id: number, changed: () => void): HTMLElement {
  const field = (word: Word, input: HTMLElement): HTMLElement => h('label', { class: 'asked' }, h('span', {}, t(word)), input);
  const role = h('select', { name: 'role' }, ...(['owner', 'authority', 'maintainer'] as const).map((own) => h('option', { value: own }, t(own))));
  const kind = h('select', { name: 'kind' }, ...api.KINDS.map((own) => h('option', { value: own }, t(`kind_${own}`))));
  const party = h('input', { name: 'party', autocomplete: 'organization', placeholder: t('partyHint') });
  const from = h('input', { name: 'from', type: 'date', required: true, value: api.today() });
  const document = h('input', { name: 'document', value: t('photo'), required: true });
  const number = h('input', { name: 'number' });
  const file = h('input', { name: 'file', type: 'file', accept: '.jpg,.jpeg,.png,.pdf,.ofd,.docx,.xlsx,.dwg' });
  const submit = h('button', { class: 'primary', type: 'submit' }, t('handIn'));
  const hand = async (): Promise<void> => {
    submit.disabled = true;
    try {
      const described = { kind: document.value.trim(), number: number.value.trim() || undefined };
      const chosen = file.files?.[0];
      const evidence = chosen ? { id: await api.addEvidence({ ...described, file: chosen }) } : described;
      const parties = party.value.split(/[、,，;；]/).map((name) => name.trim()).filter(Boolean);
      await api.handIn(id, { role: role.value, kind: kind.value, parties, from: from.value, evidence: [evidence] });
      toast(t('handedIn'), [], true);
      changed();
    } catch (error) {
      report(error);
      submit.disabled = false;
    }
  };
  return h(
    'details',
    { class: 'new-claim' },
    h('summary', {}, t('newClaim')),
    h(
      'form',
      {
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          void hand();
        },
      },
      field('role', role),
      field('kind', kind),
      field('party', party),
      field('from', from),
      field('document', document),
      field('documentNumber', number),
      field('scan', file),
      submit,
    ),
  );
}

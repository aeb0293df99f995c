/** Signing in and out. The cookie is the browser's; the page keeps only what shows that a change is its own. */

import * as api from './api';
import { byId, h, icon, icons } from './dom';
import { onLang, t } from './i18n';
import { report } from './toast';

/** The button that says who is signed in, and the dialogue behind it. */
export class Session {
  private readonly button = h('button', { class: 'who', onclick: () => this.open() });
  private readonly head = h('h2', { id: 'session-title' });
  private readonly body = h('form', { class: 'session-body', onsubmit: (event: SubmitEvent) => this.submit(event) });
  private readonly dialogue = h('dialog', { class: 'import session', 'aria-labelledby': 'session-title' });

  constructor() {
    const close = h('button', { class: 'plain close', 'data-t-label': 'close', onclick: () => this.dialogue.close() }, icon(icons.close));
    this.dialogue.append(this.head, close, this.body);
    this.dialogue.addEventListener('close', () => document.body.append(byId('toasts')));
    document.body.append(this.dialogue);
    byId('languages').before(this.button);
    document.addEventListener('sign-in', () => this.open());
    onLang(() => this.render());
    this.render();
  }

  /** Asks for what the reader lacks: a name where nothing is shown without one, a password of their own. */
  greet(): void {
    const { name, must_sign_in, must_change } = api.who();
    if ((!name && must_sign_in) || must_change) this.open();
  }

  open(): void {
    this.render();
    this.dialogue.append(byId('toasts'));
    this.dialogue.showModal();
  }

  private render(): void {
    const { name, must_change, access, party } = api.who();
    this.button.textContent = name ?? t('signIn');
    this.head.textContent = must_change ? t('changePassword') : (name ?? t('signIn'));
    const field = (id: string, label: string, type: string, autocomplete: string): HTMLElement =>
      h('label', { class: 'asked', for: id }, h('span', {}, label), h('input', { id, name: id, type, autocomplete, required: true }));
    if (!name) {
      this.body.replaceChildren(
        field('session-name', t('accountName'), 'text', 'username'),
        field('session-password', t('password'), 'password', 'current-password'),
        h('button', { class: 'primary', type: 'submit' }, t('signIn')),
      );
      return;
    }
    const change = [
      field('session-old', t('oldPassword'), 'password', 'current-password'),
      field('session-new', t('newPassword'), 'password', 'new-password'),
      h('button', { class: must_change ? 'primary' : '', type: 'submit' }, t('changePassword')),
    ];
    this.body.replaceChildren(
      h('p', { class: 'note' }, must_change ? t('firstPassword') : [access && t(`access_${access}`), party].filter(Boolean).join(' · ')),
      ...change,
      h('button', { type: 'button', onclick: () => this.leave() }, t('signOut')),
    );
  }

  private value(id: string): string {
    return byId<HTMLInputElement>(id).value;
  }

  private async submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    await this.attempt(async () => {
      if (api.who().name) await api.changePassword(this.value('session-old'), this.value('session-new'));
      else await api.signIn(this.value('session-name'), this.value('session-password'));
      if (api.who().must_change) this.render();
      // Whatever stands on the page was what another one may see.
      else location.reload();
    });
  }

  private leave(): Promise<void> {
    return this.attempt(async () => {
      await api.signOut();
      location.reload();
    });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.dialogue.classList.add('busy');
    // What was wrong with the last attempt is not with this one.
    byId('toasts').replaceChildren();
    try {
      await work();
    } catch (error) {
      report(error);
    }
    this.dialogue.classList.remove('busy');
  }
}

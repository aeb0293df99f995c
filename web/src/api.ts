/** The part of Lamppost's HTTP contract that the page uses. Every address is relative to the page. */

import type { StyleSpecification } from 'maplibre-gl';
import { lang, t } from './i18n';

export interface Layer {
  id: string;
  title_zh: string;
  title_en: string;
  group: 'facilities' | 'base' | 'grid';
  color: string;
  geometry: 'point' | 'line' | 'polygon';
  source: 'component' | 'cell' | 'area' | 'road' | 'land';
  count: number | null;
  visible: boolean;
  /** From this zoom on components are drawn one by one; below it in bins. */
  detail_zoom?: number | null;
}

export interface Basemap {
  id: string;
  title_zh: string;
  title_en: string;
  /** URL templates, each one raster layer, lowest first. */
  tiles: string[];
  datum: 'wgs84' | 'cgcs2000' | 'gcj02';
  attribution?: string | null;
}

export interface CityStyle extends StyleSpecification {
  metadata: { 'lamppost:layers': Layer[]; 'lamppost:basemaps'?: Basemap[]; 'lamppost:revision': number };
}

type Text = string | null | undefined;

export interface Properties {
  code: string;
  scheme: string;
  class: string;
  class_name: Text;
  name: Text;
  state: string;
  state_name: Text;
  ownership_status: string;
  ownership_status_name: Text;
  authority_name: Text;
  owner_name: Text;
  maintainer_name: Text;
  property_kind: Text;
  property_kind_name: Text;
  management_kind: Text;
  management_kind_name: Text;
  cell: Text;
  community: Text;
  community_name: Text;
  street_name: Text;
  road: Text;
  road_class: Text;
  road_class_name: Text;
  address: Text;
  part_of: number | null;
  surveyed_on: Text;
  source: Text;
  accuracy: Text;
  note: Text;
  attributes: Record<string, unknown> | null;
  /** The same in words, in answers about one component. */
  attributes_read?: { name: string; label: string; value: unknown; unit: string | null }[];
  version: number;
}

export interface Component {
  type: 'Feature';
  id: number;
  geometry: GeoJSON.Geometry;
  properties: Properties;
}

export interface Found {
  features: Component[];
  numberMatched?: number;
  numberReturned: number;
}

export interface Version {
  version: number;
  revision: number;
  recorded: string;
  by: Text;
  reason: Text;
  diff: { field: string; label: Text; old: unknown; new: unknown }[];
}

export type Role = 'authority' | 'owner' | 'maintainer';
export const KINDS = ['claim', 'transfer', 'designation', 'disclaimer'] as const;
export const STATUSES = ['unsurveyed', 'proposed', 'confirmed', 'disputed', 'unclaimed', 'designated'] as const;
export const STATES = ['intact', 'damaged', 'missing', 'abandoned'] as const;
export type ClaimAct = 'review' | 'confirm' | 'rule' | 'uphold' | 'reject' | 'withdraw';

interface Party {
  code: Text;
  name: Text;
}

export interface Claim {
  id: number;
  kind: (typeof KINDS)[number];
  kind_name: string;
  stage: string;
  stage_name: string;
  parties: Party[];
  from: string;
  evidence: { kind: string; number: Text }[];
  handed_in_by: string;
  reviewed_by: Text;
}

/** What is known of one role of a component. */
export interface Book {
  status: string;
  status_name: string;
  party: Party | null;
  claims: Claim[];
  dispute: { interim: Party | null; deadline: Text; overdue: boolean } | null;
}

/** An answer that is not the one asked for: RFC 9457 from the server, or none at all (status 0). */
export class Problem extends Error {
  override name = 'Problem';

  constructor(
    readonly status: number,
    readonly title: string,
    readonly details: string[] = [],
  ) {
    super(title);
  }

  /** Worth another try: the server is away, starting, or overloaded. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500;
  }

  static unreachable(): Problem {
    return new Problem(0, t('unreachable'), [t('unreachableDetail')]);
  }

  /** Reads a problem document; anything else (a proxy's HTML page) is told by its status alone. */
  static async from(status: number, body: Blob | Response): Promise<Problem> {
    const fallback = t('serverError', { status });
    try {
      const { title, detail, errors } = JSON.parse(await body.text()) as Record<string, unknown>;
      const faults = Array.isArray(errors) ? (errors as { detail?: unknown }[]).map((error) => error.detail) : [];
      const details = [detail, ...faults].filter((text): text is string => typeof text === 'string' && text !== '');
      return new Problem(status, typeof title === 'string' ? title : fallback, [...new Set(details)]);
    } catch {
      return new Problem(status, fallback);
    }
  }
}

/** A sentence in both languages, as reports have them. */
export interface Words {
  zh: string;
  en: string;
}

export interface Column {
  column: string;
  field: string | null;
  confidence: number;
  why: Words;
}

export interface Report {
  dry_run: boolean;
  rows: Record<'read' | 'added' | 'changed' | 'unchanged' | 'retired' | 'rejected', number>;
  rejected: { title: Words; count: number; examples: { row: number; column: string; reason: Words; expected: Words }[] }[];
  unknown_parties: { name: string; rows: number; nearest: string | null }[];
  findings: { kind: string; count: number; list: { detail: Words }[] }[];
  notes: Words[];
  seconds: number;
}

export interface Import {
  id: string;
  file: string;
  bytes: number;
  by: string;
  received: string;
  stage: 'open' | 'ready' | 'waiting' | 'running' | 'done' | 'failed' | 'undone';
  dry_run: boolean;
  progress: { read: number; size: number };
  delivery: number | null;
  settings: { class: string | null; crs: string | null; sync: boolean; overwrite: boolean; mapping: string | null };
  seen: {
    format: string;
    encoding: string | null;
    crs: string | null;
    notes: Words[];
    header: string[];
    rows: string[][];
    columns: Column[] | null;
    mapping: string;
    open: Words[];
  };
  report: Report | null;
  error: { detail: Words; errors: { parameter: string; detail: Words }[] } | null;
  links: { rel: string; href: string; title: string }[];
}

export type Access = 'reader' | 'clerk' | 'surveyor' | 'adjudicator' | 'admin';

export interface Who {
  /** None of a stranger. */
  name: string | null;
  access?: Access;
  party?: string | null;
  area?: string | null;
  must_change?: boolean;
  /** Whether strangers see public layers only. */
  must_sign_in: boolean;
  /** Shows that a change is the page's own. */
  csrf?: string;
}

let reader: Who = { name: null, must_sign_in: false };

/** Who is signed in, as far as the page knows. */
export const who = (): Who => reader;

/** Asks who is signed in. */
export async function findWho(): Promise<void> {
  reader = await get<Who>('session');
}

export async function signIn(name: string, password: string): Promise<void> {
  reader = (await (await ask('POST', 'session', { name, password })).json()) as Who;
}

export async function changePassword(old: string, fresh: string): Promise<void> {
  await ask('POST', 'session/password', { old, new: fresh });
  await findWho();
}

export async function signOut(): Promise<void> {
  await ask('DELETE', 'session');
}

/** What goes with a change. */
const headers = (): Record<string, string> => ({ 'Lamppost-CSRF': reader.csrf ?? '', 'Accept-Language': lang() });

async function sent(send: () => Promise<Response>): Promise<Response> {
  let response: Response;
  try {
    response = await send();
  } catch {
    throw Problem.unreachable();
  }
  if (!response.ok) throw await Problem.from(response.status, response);
  return response;
}

/** Asks as who is signed in. */
export const ask = (method: string, path: string, body?: object, more: Record<string, string> = {}): Promise<Response> =>
  sent(() => fetch(new URL(path, document.baseURI), { method, headers: { ...headers(), ...more }, body: body && JSON.stringify(body) }));

/** Makes of a component what it was in a version, if it is still what the page shows. */
export const restore = (id: number, version: number, current: number): Promise<Response> =>
  ask('POST', `components/${id}/restore`, { version }, { 'If-Match': `"${current}"` });

/** Sends a file. Only XMLHttpRequest tells how much of it is gone. */
export function send(file: File, progress: (share: number) => void): Promise<Import> {
  const form = new FormData();
  form.append('file', file);
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.open('POST', new URL('imports', document.baseURI));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => reject(Problem.unreachable());
    request.onload = async () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText) as Import);
      else reject(await Problem.from(request.status, new Blob([request.responseText])));
    };
    request.send(form);
  });
}

async function get<T>(path: string, query: Record<string, string> = {}, signal?: AbortSignal): Promise<T> {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(query).toString();
  url.hash = '';
  let response: Response;
  try {
    const headers = { Accept: 'application/geo+json, application/json', 'Accept-Language': lang() };
    response = await fetch(url, { signal, headers });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw Problem.unreachable();
  }
  if (!response.ok) throw await Problem.from(response.status, response);
  return (await response.json()) as T;
}

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

export const style = (): Promise<CityStyle> => get('styles/onemap', { lang: lang() });

let moment: string | null = null;

/** The day at whose end the register is looked at; none for now. */
export const asOf = (): string | null => moment;
export const setAsOf = (day: string | null): void => void (moment = day);
const then = (): Record<string, string> => (moment === null ? {} : { datetime: moment });

export const find = (q: string, signal: AbortSignal): Promise<Found> =>
  get('collections/components/items', { q, limit: '20', ...then() }, signal);

export const list = (layer: string, query: string, limit: number): Promise<Found> =>
  get(`collections/${layer}/items`, { ...Object.fromEntries(new URLSearchParams(query)), limit: String(limit) });

export const component = (id: number, signal: AbortSignal): Promise<Component> =>
  get(`collections/components/items/${id}`, then(), signal);

export const books = async (id: number, signal: AbortSignal): Promise<Record<Role, Book>> =>
  (await get<{ roles: Record<Role, Book> }>(`components/${id}/claims`, { lang: lang() }, signal)).roles;

export const mayEdit = (): boolean => moment === null && ['clerk', 'surveyor', 'adjudicator', 'admin'].includes(reader.access ?? '');
export const mayDecide = (): boolean => mayEdit() && ['adjudicator', 'admin'].includes(reader.access ?? '');

/** The day it is where the page is looked at. */
export const today = (): string => new Date().toLocaleDateString('sv-SE');

export const actOnClaim = (id: number, body: { act: ClaimAct; reason?: string }): Promise<Response> => ask('POST', `claims/${id}`, body);

export const handIn = (id: number, body: object): Promise<Response> => ask('POST', `components/${id}/claims`, body);

/** Hands in a document with its file. Its number. */
export async function addEvidence(own: { kind: string; number?: string; file: File }): Promise<number> {
  const form = new FormData();
  form.append('kind', own.kind);
  if (own.number) form.append('number', own.number);
  form.append('file', own.file);
  const response = await sent(() => fetch(new URL('evidence', document.baseURI), { method: 'POST', headers: headers(), body: form }));
  return ((await response.json()) as { id: number }).id;
}

export const rules = async <Rule>(): Promise<Rule[]> => (await get<{ rules: Rule[] }>('coverage', { lang: lang() })).rules;

export const coverage = <Answer>(rule: string, query: URLSearchParams, signal: AbortSignal): Promise<Answer> =>
  get(`coverage/${rule}`, { ...Object.fromEntries(query), by: 'street', lang: lang() }, signal);

export const siting = <Answer>(rule: string, query: URLSearchParams, signal: AbortSignal): Promise<Answer> =>
  get(`siting/${rule}`, { ...Object.fromEntries(query), lang: lang() }, signal);

export const change = <Answer>(rule: string, query: URLSearchParams, signal: AbortSignal): Promise<Answer> =>
  get(`coverage/${rule}/change`, { ...Object.fromEntries(query), by: 'street', lang: lang() }, signal);

export const scenarios = async <Scenario>(rule: string): Promise<Scenario[]> =>
  (await get<{ scenarios: Scenario[] }>('scenarios', { rule, lang: lang() })).scenarios;

export const keepScenario = async (body: object): Promise<{ id: number }> => (await ask('POST', 'scenarios', body)).json() as Promise<{ id: number }>;

export const history = async (id: number, signal: AbortSignal): Promise<Version[]> =>
  (await get<{ versions: Version[] }>(`components/${id}/history`, { lang: lang() }, signal)).versions;

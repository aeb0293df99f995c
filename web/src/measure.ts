/** Measures in words. */

import { lang, number, t } from './i18n';

/** A share from 0 to 1 in per cent. */
export const share = (value: number | null): string =>
  value === null ? '—' : new Intl.NumberFormat(lang() === 'zh' ? 'zh-CN' : 'en-GB', { style: 'percent', maximumFractionDigits: 2 }).format(value);

export const hectares = (m2: number): string => t('hectares', { n: number(Math.round(m2 / 1000) / 10) });

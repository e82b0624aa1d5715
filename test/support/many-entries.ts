import type { IndexEntry } from '../../lib/registry/define-indexes.ts';

/** The forms of the entries: two of five need the server to be compared, one for its expression, one for its operator class. */
export const MANY_FORMS = [
  '(tenant_id, created_at desc)',
  '(deleted_at) where deleted_at is not null',
  '(status, tenant_id) include (email)',
  "(lower(email)) where status in ('open', 'held')",
  '(email text_pattern_ops)',
];

/** The table of an entry: each has an entry of each form. */
export function tableOfEntry(position: number): string {
  return `orders_${Math.floor(position / MANY_FORMS.length)}`;
}

/**
 * A registry of any size, on a fifth as many tables.
 * @param wrong one entry in so many has another name in its statement @default none has
 */
export function manyEntries(count: number, wrong = 0): IndexEntry[] {
  return Array.from({ length: count }, (_, at) => {
    const isWrong = wrong > 0 && at % wrong === 0;
    const name = `idx_${at}`;
    const form = MANY_FORMS[at % MANY_FORMS.length];
    return {
      name,
      sql: `create index concurrently if not exists ${isWrong ? 'idx_wrong' : name} on ${tableOfEntry(at)} ${form}`,
      description: 'of many',
    };
  });
}

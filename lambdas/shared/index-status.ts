import * as z from './zod.ts';

/**
 * The result for one index. `missing`: it does not exist, and this deploy did not build it. `table-missing`, only in plans: its
 * table does not exist. `retired`: the entry is retired, and the index does not exist. `kept`: it is retired, and still exists.
 */
const INDEX_STATUSES = [
  'present',
  'equivalent',
  'built',
  'repaired',
  'drifted',
  'building',
  'failed',
  'missing',
  'table-missing',
  'retired',
  'kept',
] as const;

export const indexStatusSchema = z.enum(INDEX_STATUSES);

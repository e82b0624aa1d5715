import { PG_MIGRATE_LOCK_ID } from 'node-pg-migrate';
import { expect, test } from 'vitest';
import { indexLock, MIGRATION_LOCK, tableLock } from '../../lambdas/postgres/advisory-lock.ts';

test('the keys of locks that a running build holds do not change', () => {
  expect(indexLock({ schema: 'public', name: 'idx_deals' })).toBe('-4772670042759291565');
  expect(tableLock({ schema: 'public', table: 'deals' })).toBe('2582108699035412397');
});

test('the key of the migration lock is that of node-pg-migrate', () => {
  expect(MIGRATION_LOCK).toBe(String(PG_MIGRATE_LOCK_ID));
});

import { entryTarget } from '../../lambdas/postgres/build-target.ts';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { removeInvalidIndex } from '../../lambdas/postgres/index-ddl.ts';
import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstateOf } from '../../lambdas/postgres/sqlstate.ts';
import type { CompiledIndex } from '../../lambdas/shared/registry.ts';

/**
 * Removes an invalid index as a repair does, in a session named `pg-deploy-step repair`. It repeats an attempt that
 * did not acquire the lock: on a busy machine another build may hold the table for longer than one attempt waits.
 *
 * @returns what `removeInvalidIndex` returns: whether the index was removed
 */
export async function repairIndex(url: string, index: CompiledIndex): Promise<boolean> {
  return await withClient(databaseOf({ DATABASE_URL: url }), 'repair', async (client) => {
    for (;;) {
      try {
        return await removeInvalidIndex(client, entryTarget(index, index.name));
      } catch (error) {
        const sqlstate = sqlstateOf(error);
        if (sqlstate !== LOCK_NOT_AVAILABLE && sqlstate !== DEADLOCK_DETECTED) throw error;
      }
    }
  });
}

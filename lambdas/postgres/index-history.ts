import type { Client } from './client.ts';
import { indexKey, type Named } from './identifiers.ts';
import { LEDGER } from './ledger.ts';
import { MARK } from './read-only.ts';
import { type RecordedScans, readRecordedScans } from './recorded-scans.ts';
import { isConnectionError, isMissingTable } from './sqlstate.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { withTrustedTable } from './trusted-table.ts';

/** What deploys have recorded about the indexes of a database, by `indexKey`. */
export interface IndexHistory {
  /** When the ledger recorded the last build. An index of a partition counts as that of its table. */
  readonly built: ReadonlyMap<string, Date>;
  readonly scans: ReadonlyMap<string, RecordedScans>;
  /** Why it was not read. Null: it was, or no deploy has recorded anything. */
  readonly problem: string | null;
}

/** Reads what deploys have recorded. Call it outside of a transaction. */
export async function readIndexHistory(client: Client): Promise<IndexHistory> {
  try {
    return { built: await readBuilt(client), scans: await readRecordedScans(client), problem: null };
  } catch (error) {
    if (isConnectionError(error)) throw error;
    return {
      built: new Map(),
      scans: new Map(),
      problem: `the tables of the schema ${OWN_SCHEMA} cannot be read`,
    };
  }
}

async function readBuilt(client: Client): Promise<Map<string, Date>> {
  try {
    return await withTrustedTable(client, LEDGER, 'access share', async () => {
      const { rows } = await client.query<Named & { built: Date }>(
        `${MARK}
         select index_schema as schema, index_name as name, max(finished_at) as built
           from deploy_step.index_builds
          where status in ('built', 'repaired') and finished_at is not null
          group by index_schema, index_name`,
      );
      return new Map(rows.map((one) => [indexKey(one), one.built]));
    });
  } catch (error) {
    if (isMissingTable(error)) return new Map();
    throw error;
  }
}

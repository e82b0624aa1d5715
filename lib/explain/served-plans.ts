import type { RegistryEntry } from '../../lambdas/shared/registry.ts';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { explainQueries } from './explain-queries.ts';
import { queriesFrom, servedQueries } from './query-files.ts';

/** The plans of the queries in `serves`, as a report shows them. */
export type ServedPlans = NonNullable<Report['queries']>;

interface BuiltIndexes {
  readonly registry: readonly RegistryEntry[];
  readonly indexes: Report['indexes'];
  /** Folder with the files that `serves` names. */
  readonly folder: string;
  readonly searchPath: readonly string[] | undefined;
  /** See `ExplainOptions`. */
  readonly trustedRoles: readonly string[];
}

/**
 * Plans the queries of the indexes that a deploy has built or repaired. Null: there are none.
 * @throws DeployStepError if the database cannot be reached, UntrustedCode if a role that is not trusted owns code
 */
export async function plansAfterBuild(databaseUrl: string, built: BuiltIndexes): Promise<ServedPlans | null> {
  const { registry, indexes, folder, searchPath, trustedRoles } = built;
  const created = indexes.filter(({ status }) => status === 'built' || status === 'repaired');
  // With a schema per tenant, a query has as many plans as there are schemas.
  const serving = registry.filter(
    ({ name, schema, schemas, serves }) =>
      serves.length > 0 &&
      schemas === undefined &&
      created.some((index) => index.name === name && (schema === null || index.schema === schema)),
  );
  if (serving.length === 0) return null;
  const queries = servedQueries(
    serving.flatMap(({ serves }) => serves),
    queriesFrom(folder),
    folder,
  );
  const explained = await explainQueries(databaseUrl, queries, {
    ...{ searchPath, registry, minRows: null, tenantColumn: null, analyzeMs: null, propose: false },
    trustedRoles,
  });
  return explained.map(({ name, verdict, index, cost, message }) => ({
    name,
    servedBy: serving.filter(({ serves }) => serves.includes(name)).map((entry) => entry.name),
    ...{ verdict, index, cost, message },
  }));
}

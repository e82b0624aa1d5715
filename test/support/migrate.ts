import { randomUUID } from 'node:crypto';
import { databaseOf } from '../../lambdas/postgres/client.ts';
import { runMigrations } from '../../lambdas/run-migrations/run-migrations.ts';
import type { ShippedStatements } from '../../lambdas/shared/migration-statements.ts';
import type { RunMigrationsResult } from '../../lambdas/shared/payloads.ts';
import { shippedStatements } from '../../lib/functions/ship-migrations.ts';
import { asDeployRole } from './deploy-role.ts';
import { type Migrations, writeMigrations } from './migration-files.ts';

interface Run {
  databaseUrl: string;
  /** Applies them as the superuser of the URL. @default as a role with the least privileges: see deploy-role.ts */
  asSuperuser?: boolean;
  /** An empty folder for the files. */
  folder: string;
  migrations: Migrations;
  /** Name of the deploy. @default a new one for each call */
  deploy?: string;
  /** Number of this attempt, and attempts that the workflow makes. @default 1, 1 */
  attempt?: number;
  attempts?: number;
  /** Receives what the function logs. @default it is dropped */
  lines?: unknown[];
  /** The statements that the function was shipped with. @default those of the files */
  statements?: ShippedStatements;
  /** Sets database.showRowValues. @default false */
  showRowValues?: boolean;
}

/** Calls run-migrations once, in this process. The files are shipped as they are: synth does not check them. */
export async function migrate({
  databaseUrl,
  folder,
  migrations,
  ...run
}: Run): Promise<RunMigrationsResult> {
  const write = (...parts: unknown[]) => void run.lines?.push(parts);
  return await runMigrations({
    database: databaseOf({
      DATABASE_URL: run.asSuperuser ? databaseUrl : asDeployRole(databaseUrl),
      ...(run.showRowValues && { SHOW_ROW_VALUES: 'true' }),
    }),
    directory: writeMigrations(folder, migrations),
    deploy: run.deploy ?? randomUUID(),
    requested: { environment: 'test', at: new Date().toISOString() },
    statements: run.statements ?? shippedStatements(migrations),
    ...{ lockTimeoutSeconds: 5, attempt: run.attempt ?? 1, attempts: run.attempts ?? 1 },
    log: { info: write, warn: write, error: write },
  });
}

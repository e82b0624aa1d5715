import type { ExecutionInput } from '../../lambdas/shared/execution-input.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { LocalEnvironmentOptions } from '../local/local-environment.ts';

/** What the flags of `run` come to. */
export interface RunSettings {
  /** Null: embedded PostgreSQL, which lives as long as the run. */
  readonly databaseUrl: string | null;
  readonly registry: CompiledRegistry;
  /** Folder with SQL files, or "none". */
  readonly migrations: string;
  /** The application's own migration tool, for the shell; it takes the place of `migrations`. Null: there is none. */
  readonly migrationCommand: string | null;
  readonly services: 'demo' | 'none';
  readonly seed: 'demo' | 'none';
  readonly input: ExecutionInput;
  readonly builds: Omit<LocalEnvironmentOptions, 'migrations' | 'services'>;
  readonly reportFile: string | null;
  readonly json: boolean;
}

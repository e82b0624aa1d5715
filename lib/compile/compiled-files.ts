import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { ToolMigrations } from '../../lambdas/shared/tool-migrations.ts';
import type { ShippedMigrations } from '../functions/shipped-migrations.ts';

/** Something that lint reports about a registry or a migration. */
export interface CompiledFinding {
  /** Name of the rule: `create-index`. */
  readonly rule: string;
  /** Relative to the repository. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** What is wrong, why, and what to do. */
  readonly message: string;
}

/** The registry and the migrations of an environment, checked and ready to be shipped with the functions. */
export interface CompiledFiles {
  readonly registry: CompiledRegistry;
  /** Null: the environment applies no SQL files. */
  readonly migrations: ShippedMigrations | null;
  /** What is compared with the table of the application's own migration tool. Null or absent: the environment names no tool. */
  readonly toolMigrations?: ToolMigrations | null;
  /** What is in the folder of the migrations and is not applied, one line each. */
  readonly notes: readonly string[];
  /** What lint finds. */
  readonly findings: readonly CompiledFinding[];
}

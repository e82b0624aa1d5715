import { resolve } from 'node:path';
import { loadRegistry } from '../registry/load-registry.ts';
import { RegistryError } from '../registry/registry-error.ts';
import { withoutAllowed } from '../lint/allow.ts';
import type { Finding } from '../lint/finding.ts';
import { moveIntoRegistry } from '../lint/fix.ts';
import { countsOf, type Format, type LintResult, toGithub, toJson } from '../lint/format.ts';
import { toText } from '../lint/format-text.ts';
import { type LintedMigrations, lintMigrations } from '../lint/lint-migrations.ts';
import { Registered } from '../lint/registered.ts';
import { RULES } from '../lint/rules.ts';
import { FAILED, SUCCEEDED } from './exit-codes.ts';
import { lintProgress } from './lint-progress.ts';
import { type Linted, type LintFlags, type LintSettings, lintSettings } from './lint-settings.ts';
import { paint, takesColour } from './progress/text.ts';

export interface LintRun {
  readonly flags: LintFlags;
  /** Moves statements into the registry first. */
  readonly fix: boolean;
  /** Warnings fail as well. */
  readonly strict: boolean;
  readonly format: Format;
}

/**
 * Lints, and prints what it found on standard output.
 * @returns the exit code
 * @throws ConfigurationError, RegistryError where nothing can be linted.
 */
export async function lint({ flags, fix, strict, format }: LintRun): Promise<number> {
  const settings = lintSettings(flags);
  const progress = lintProgress(process.stderr);
  let result: LintResult = { findings: [], files: 0, moved: [] };
  try {
    for (const linted of settings.linted) {
      const more = await lintOne(linted, settings, fix, progress.onProgress);
      result = {
        findings: [...result.findings, ...more.findings],
        files: result.files + more.files,
        moved: [...result.moved, ...more.moved],
      };
    }
  } finally {
    progress.close();
  }
  print(result, format);
  const { errors, warnings } = countsOf(result.findings);
  return errors > 0 || (strict && warnings > 0) ? FAILED : SUCCEEDED;
}

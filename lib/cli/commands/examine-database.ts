import { acceptedColumns } from '../../doctor/accepted-columns.ts';
import { diagnose } from '../../doctor/diagnose.ts';
import { CONFIDENCES, type Confidence, type Finding, type Kind } from '../../doctor/finding.ts';
import { textLines, toJson } from '../../doctor/format-diagnosis.ts';
import { loadRegistryWithAccepted } from '../../doctor/load-accepted.ts';
import type { DoctorLimits } from '../../doctor/options.ts';
import { readDatabase, type Target } from '../../doctor/read-database.ts';
import type { PlaceholderValues } from '../../sources/sql-source.ts';
import { printOutput } from '../terminal/print-output.ts';
import { paint, takesColour } from '../terminal/styled-text.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import { lintScope } from './lint-scope.ts';

interface DoctorSettings {
  readonly database: Target;
  readonly replicas: readonly Target[];
  /** Registry file. Undefined: none. */
  readonly indexes: string | undefined;
  readonly migrations: readonly string[];
  /** `none`: the database has no tenants. Undefined: found by the names of columns. */
  readonly tenantColumn: string | undefined;
  readonly searchPath: string[] | undefined;
  readonly placeholder: PlaceholderValues | undefined;
  readonly runCode: boolean;
  readonly limits: DoctorLimits;
  readonly failOn: readonly Kind[];
  /** The least confidence that fails. */
  readonly confidence: Confidence;
  readonly all: boolean;
  readonly json: boolean;
}

/**
 * Examines a database and prints the findings.
 * @returns true when no finding fails the command
 * @throws UnreadableDatabase, RegistryError, ConfigurationError
 */
export async function examineDatabase(settings: DoctorSettings): Promise<boolean> {
  const { database, replicas, indexes, migrations, searchPath, runCode, limits, all } = settings;
  const scope = lintScope(
    {
      ...(settings.tenantColumn !== undefined && { tenantColumn: settings.tenantColumn }),
      ...(settings.placeholder !== undefined && { placeholder: settings.placeholder }),
    },
    [],
  );
  const registry = indexes === undefined ? null : await loadRegistryWithAccepted(indexes, runCode);
  const accepts = await acceptedColumns({
    ...{
      migrations,
      configured: scope.acceptedForeignKeys,
      runCode,
      placeholders: scope.placeholders,
      searchPath,
    },
  });
  const live = await readDatabase({ database, replicas, registry, searchPath, limits });
  const diagnosis = diagnose(live, { tenantColumn: scope.givenTenantColumn, accepts, limits });
  const failing = diagnosis.findings.filter((one) => isFailing(one, settings)).length;
  const colour = !settings.json && takesColour(process.stdout);
  const text = settings.json
    ? toJson(diagnosis, failing)
    : terminalText(
        textLines(diagnosis, { all, paint: (piece, style) => paint(piece, style, colour) }).join('\n'),
        colour,
      );
  const isPrinted = await printOutput('result', `${text}\n`);
  return isPrinted && failing === 0;
}

function isFailing({ kind, confidence: own }: Finding, { failOn, confidence }: DoctorSettings): boolean {
  return failOn.includes(kind) && CONFIDENCES.indexOf(own) <= CONFIDENCES.indexOf(confidence);
}

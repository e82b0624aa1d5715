import { statSync } from 'node:fs';
import type { RegistryEntry } from '../../../lambdas/shared/registry.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';
import { parseEnvironments } from '../../config/environment-config.ts';
import { type ExplainConfig, parseExplainConfig } from '../../config/explain-config.ts';
import { parseLintConfig } from '../../config/lint-config.ts';
import { baselineText, readBaseline } from '../../explain/baseline-file.ts';
import { explainQueries, type UnreadQuery } from '../../explain/explain-queries.ts';
import { toGithub, toJson, toText } from '../../explain/format-explained.ts';
import { baselineOf, type GatedQuery, gate } from '../../explain/gate.ts';
import { queriesFolder, queriesFrom, readOrProblem, servedQueries } from '../../explain/query-files.ts';
import { QueryProblem, type QuerySource, withParameters } from '../../explain/query-source.ts';
import { writeOutputFile } from '../../files/output-file.ts';
import { projectPath } from '../../files/project-path.ts';
import { loadRegistry } from '../../registry/load-registry.ts';
import { printOutput } from '../terminal/print-output.ts';
import { paint, takesColour } from '../terminal/styled-text.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import { readCdkJson } from './cdk-json.ts';
import type { ExplainFlags } from './explain-flags.ts';

/** What the project says about its queries. */
interface Project {
  readonly config: ExplainConfig;
  readonly tenantColumn: string | null;
  /** The registry files, with the search path of their environments. */
  readonly registries: readonly {
    readonly file: string;
    readonly searchPath: readonly string[] | undefined;
  }[];
}

/**
 * Plans the queries that the flags name, and prints the result.
 * @returns whether nothing fails the command
 */
export async function explainProject(databaseUrl: string, flags: ExplainFlags): Promise<boolean> {
  const project = readProject(flags);
  const baseline =
    flags.baseline !== undefined && !flags.updateBaseline ? readBaseline(flags.baseline) : null;
  const registry: RegistryEntry[] = [];
  for (const { file } of project.registries) {
    registry.push(...(await loadRegistry(file, { runCode: flags.code, searchPath: flags.searchPath })));
  }
  const explained = await explainQueries(databaseUrl, queriesOf(flags, project, registry), {
    searchPath: flags.searchPath ?? project.registries[0]?.searchPath,
    registry: [
      ...new Map(registry.map((entry) => [JSON.stringify([entry.schema, entry.name]), entry])).values(),
    ],
    minRows: flags.minRows ?? project.config.minRows ?? null,
    tenantColumn: project.tenantColumn,
    analyzeMs: flags.analyze ? flags.timeout * 1000 : null,
  });
  const { policies } = project.config;
  const accepted = flags.updateBaseline ? baselineOf(explained) : baseline;
  const gated = gate(explained, {
    policies: Object.fromEntries(
      Object.entries(policies).flatMap(([name, one]) => (one === undefined ? [] : [[name, one]])),
    ),
    failOn: flags.failOn ?? [],
    baseline: accepted,
  });
  if (flags.updateBaseline && flags.baseline !== undefined && accepted !== null) {
    await writeOutputFile(flags.baseline, baselineText(accepted));
  }
  const isPrinted = await print(gated, flags);
  return isPrinted && gated.every(({ policy }) => policy !== 'fail');
}

function readProject({ indexes, tenantColumn }: ExplainFlags): Project {
  const context = readCdkJson().context ?? {};
  const environments =
    indexes !== undefined || context.environments === undefined
      ? []
      : Object.values(parseEnvironments(context.environments));
  const configured = environments.map((one) => ({ file: one.indexes, searchPath: one.database.searchPath }));
  const registries = indexes !== undefined ? [{ file: indexes, searchPath: undefined }] : configured;
  return {
    config: parseExplainConfig(context.explain),
    tenantColumn:
      tenantColumn === 'none' ? null : (tenantColumn ?? parseLintConfig(context.lint).tenantColumn),
    registries: [...new Map(registries.map((one) => [one.file, one])).values()],
  };
}

function queriesOf(
  { query, param = [], queries }: ExplainFlags,
  { config, registries }: Project,
  registry: readonly RegistryEntry[],
): (QuerySource | UnreadQuery)[] {
  if (query !== undefined) return [oneQuery(query, param)];
  const [first] = registries;
  const folder = queries ?? queriesFolder(config.queries, first?.file);
  if (queries !== undefined && !statSync(queries).isDirectory()) {
    throw new ConfigurationError(`--queries: ${queries} is a file, not a folder.`);
  }
  const found = queriesFrom(folder);
  const served = servedQueries(
    registry.flatMap(({ serves }) => serves),
    found,
    folder,
  );
  if (queries !== undefined) return found;
  return [...served, ...found.filter(({ name }) => !served.some((one) => one.name === name))];
}

/** The name of the query of --query in the output. */
const QUERY = 'query';

function oneQuery(sql: string, values: readonly string[]): QuerySource | UnreadQuery {
  const read = readOrProblem(sql, { name: QUERY, file: null });
  if ('problem' in read) return read;
  try {
    return withParameters(read, values);
  } catch (error) {
    if (!(error instanceof QueryProblem)) throw error;
    return { name: QUERY, file: null, line: 1, problem: `The query cannot be planned: ${error.message}.` };
  }
}

async function print(queries: readonly GatedQuery[], { format, json }: ExplainFlags): Promise<boolean> {
  if (json || format === 'json') return await printOutput('result', `${toJson(queries)}\n`);
  if (format === 'github') {
    const text = toGithub(queries, projectPath);
    return text === '' || (await printOutput('result', `${text}\n`));
  }
  const colour = takesColour(process.stdout);
  const text = toText(queries, (piece, style) => paint(piece, style, colour));
  return await printOutput('result', `${terminalText(text, colour)}\n`);
}

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parseConnectionUri } from '../../../lambdas/postgres/connection-uri.ts';
import type { ExecutionInput } from '../../../lambdas/shared/execution-input.ts';
import type { CompiledRegistry } from '../../../lambdas/shared/registry.ts';
import { visible } from '../../../lambdas/shared/visible-text.ts';
import { ensureOwnFile } from '../../files/own-folder.ts';
import { RUNS_FROM_SOURCE } from '../../files/package-files.ts';
import { createTemporaryFolder, exposureOfTemporaryFolder } from '../../files/temporary-folder.ts';
import type { LocalEnvironmentOptions } from '../../local/local-environment.ts';
import { takesColour } from '../terminal/styled-text.ts';
import { terminalText } from '../terminal/terminal-text.ts';
import type { Interrupt } from './interrupt.ts';
import { RunLog } from './run-log.ts';

/** The flags of `run`, with their defaults applied. */
export interface RunSettings {
  /** Null: embedded PostgreSQL, which stops with the run. */
  readonly databaseUrl: string | null;
  /** The value of --database-url without its password. Null: embedded PostgreSQL. */
  readonly databaseFlag: string | null;
  readonly registry: CompiledRegistry;
  /** Folder with the queries that entries name in `serves`. */
  readonly queries: string;
  /** Folder with SQL files, or "none". */
  readonly migrations: string;
  /** Shell command that runs the migrations instead of `migrations`. Null: none. */
  readonly migrationCommand: string | null;
  readonly services: 'demo' | 'none';
  readonly seed: 'demo' | 'none';
  readonly input: ExecutionInput;
  readonly database: Pick<LocalEnvironmentOptions, 'searchPath' | 'trustedRoles' | 'showRowValues'>;
  readonly builds: Omit<
    LocalEnvironmentOptions,
    'migrations' | 'services' | 'searchPath' | 'trustedRoles' | 'showRowValues'
  >;
  /** Null: no report file. */
  readonly reportFile: string | null;
  readonly json: boolean;
}

/** Everything that the parts of one run share. */
export interface RunContext {
  readonly settings: RunSettings;
  readonly output: RunOutput;
  readonly paths: RunPaths;
  /** Log of the functions and of the migration command. */
  readonly log: RunLog;
  readonly interrupt: Interrupt;
  /** What the run opened. It is closed in reverse order when the run ends. */
  readonly resources: AsyncDisposableStack;
}

interface RunOutput {
  /** Where people read the progress: standard error when standard output carries JSON. */
  readonly stream: NodeJS.WriteStream;
  print(line: string): void;
  /** Prints lines with their colours. @param text its single values are visible, because all line ends stay */
  printLines(text: string): void;
}

interface RunPaths {
  /** State of the local AWS: the services that a deploy stopped. */
  readonly stateFile: string;
  /** The same for a run that must not change the services of another run. It is removed with the run. */
  readonly temporaryStateFile: string;
  /** The state file outlives the run, so that a later run can start services that this one left stopped. */
  readonly keepsState: boolean;
}

const STATE_FOLDER = '.pg-deploy-step';

/** Creates the context of a run, with its temporary folder. */
export function createRunContext(
  settings: RunSettings,
  interrupt: Interrupt,
  resources: AsyncDisposableStack,
): RunContext {
  const exposure = exposureOfTemporaryFolder();
  if (exposure !== null) process.stderr.write(`${terminalText(visible(`Warning: ${exposure}`))}\n`);
  const folder = createTemporaryFolder('run');
  resources.defer(() => rmSync(folder, { recursive: true, force: true }));
  const keptFile =
    settings.services === 'demo' && settings.databaseUrl !== null ? stateFileOf(settings.databaseUrl) : null;
  const temporaryStateFile = join(folder, 'aws.json');
  return {
    settings,
    output: outputOf(settings),
    paths: {
      stateFile: keptFile ?? temporaryStateFile,
      temporaryStateFile,
      keepsState: keptFile !== null,
    },
    log: new RunLog(),
    interrupt,
    resources,
  };
}

export function outputOf({ json }: RunSettings): RunOutput {
  const stream = json ? process.stderr : process.stdout;
  return {
    stream,
    print: (line) => void stream.write(`${terminalText(visible(line))}\n`),
    printLines: (text) => void stream.write(`${terminalText(text, !json && takesColour(stream))}\n`),
  };
}

/** Each database has a fixed state file in the working directory, so that it is found again after a killed run. */
function stateFileOf(databaseUrl: string): string {
  const { host = '', port = '', dbname = '' } = parseConnectionUri(databaseUrl);
  const key = createHash('sha256').update(`${host}:${port}/${dbname}`).digest('hex').slice(0, 12);
  return resolve(STATE_FOLDER, `aws-${key}.json`);
}

/**
 * Copies the state file of earlier runs for a run that must not change it.
 * @throws Error when it is a link, or belongs to another user
 */
export function copyStateFile({ stateFile, temporaryStateFile, keepsState }: RunPaths): void {
  if (!keepsState || !existsSync(stateFile)) return;
  ensureOwnFile(stateFile);
  copyFileSync(stateFile, temporaryStateFile);
}

/** Deletes the state file, and its folder if it is empty then. */
export function deleteStateFile({ stateFile }: RunPaths): void {
  rmSync(stateFile, { force: true });
  try {
    rmdirSync(dirname(stateFile));
  } catch {
    // The folder holds the state file of another database.
  }
}

/**
 * The command that starts services which a run left stopped, to be typed in the same directory.
 * @returns null when no command can: the services stop with the embedded database
 */
export function startServicesCommand({ databaseFlag, services }: RunSettings): string | null {
  if (databaseFlag === null) return null;
  const quoted = `'${databaseFlag.replaceAll("'", String.raw`'\''`)}'`;
  return (
    `${commandName()} run --database-url ${quoted} --services ${services} --mode start-services` +
    (databaseFlag.includes('***') ? ' (with the password in place of ***)' : '')
  );
}

/** How this command was called. A relative path is enough, because the state file is in the working directory too. */
function commandName(): string {
  const { npm_lifecycle_event: script } = process.env;
  if (script === 'start' || script === 'step') return 'npm run -s step --';
  if (!RUNS_FROM_SOURCE) return 'npx pg-deploy-step';
  return `node ${relative(process.cwd(), process.argv[1] ?? '')}`;
}

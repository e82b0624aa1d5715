import { messageOf } from '../../lambdas/shared/errors.ts';
import { withoutPassword } from '../local/database-url.ts';
import type { ExecutionResult } from '../local/engine.ts';
import type { LocalDeploy, LocalWorkflow } from '../local/local-workflow.ts';
import { seedDemo } from '../local/seed-demo.ts';
import { conclude } from './conclude.ts';
import { FAILED } from './exit-codes.ts';
import { type Interrupt, listenForInterrupt } from './interrupt.ts';
import { openDatabase, openView, openWorkflow } from './run-parts.ts';
import type { RunSettings } from './run-settings.ts';

/** Longest wait for the demo services to be connected before a deploy. */
const SERVICES_STEADY_MS = 30_000;

type Say = (line: string) => void;

/**
 * Runs the workflow on this machine, shows it while it runs and sums it up. Whatever it opened is closed when it ends,
 * also when it fails or is interrupted.
 * @returns the exit code
 */
export async function run(settings: RunSettings): Promise<number> {
  const out = settings.json ? process.stderr : process.stdout;
  const say = (line: string) => out.write(`${line}\n`);
  const interrupt = listenForInterrupt();
  try {
    await using parts = new AsyncDisposableStack();
    return await runWith(settings, parts, interrupt, out, say);
  } catch (error) {
    if (!interrupt.signal.aborted || error !== interrupt.signal.reason) throw error;
    say('Interrupted before the deploy began.');
    return FAILED;
  } finally {
    // Not before all is closed: a second Ctrl-C would leave processes behind.
    interrupt.release();
  }
}

async function runWith(
  settings: RunSettings,
  parts: AsyncDisposableStack,
  interrupt: Interrupt,
  out: NodeJS.WriteStream,
  say: Say,
): Promise<number> {
  const { signal } = interrupt;
  const databaseUrl = await openDatabase(settings, parts, say);
  signal.throwIfAborted();
  if (settings.seed === 'demo') await fill(databaseUrl, signal, say);
  say('Synthesising the workflow …');
  const { workflow, logFile, lastLines, observe } = await openWorkflow(databaseUrl, settings, parts);
  if (settings.services === 'demo') await startServices(workflow, signal, say);
  signal.throwIfAborted();

  const view = openView(databaseUrl, settings, out, parts);
  observe(view.onEvent);
  const { deploy, recovery } = await deployOnce(workflow, settings, interrupt, view.note);
  await view.close();
  return conclude({
    deploy,
    recovery,
    remembered: workflow.servicesWithSavedState,
    settings,
    logFile,
    lastLines,
    say,
  });
}

async function fill(databaseUrl: string, signal: AbortSignal, say: Say): Promise<void> {
  const shown = withoutPassword(databaseUrl);
  say(`Filling the demo database at ${shown} …`);
  const started = Date.now();
  let filled: boolean;
  try {
    filled = await seedDemo(databaseUrl, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(
      `The demo database at ${shown} could not be filled: ${messageOf(error)}. No deploy was started.`,
      { cause: error },
    );
  }
  say(filled ? `It took ${((Date.now() - started) / 1000).toFixed(1)} s.` : 'It was filled before.');
}

async function startServices(workflow: LocalWorkflow, signal: AbortSignal, say: Say): Promise<void> {
  say('Starting the demo services …');
  try {
    await workflow.aws.steady(AbortSignal.any([signal, AbortSignal.timeout(SERVICES_STEADY_MS)]));
  } catch {
    signal.throwIfAborted();
    say(`They are not connected after ${SERVICES_STEADY_MS / 1000} s; the deploy goes on.`);
  }
}

async function deployOnce(
  workflow: LocalWorkflow,
  settings: RunSettings,
  interrupt: Interrupt,
  note: Say,
): Promise<{ deploy: LocalDeploy; recovery: ExecutionResult | null }> {
  const { execution, ended } = workflow.start(settings.input, executionName());
  const services = settings.services === 'demo';
  const abort = () => {
    note(
      `Interrupted: the deploy is aborted${services ? ' and the services are started again' : ''}. ` +
        (settings.databaseUrl === null
          ? 'The embedded database ends with it.'
          : 'Builds that run go on in the database; what a migration has not committed is rolled back.'),
    );
    execution.abort();
  };
  interrupt.signal.addEventListener('abort', abort, { once: true });
  interrupt.onAgain(() => {
    note(
      services ? 'Still starting the services again; they would stay down otherwise.' : 'Ending the deploy.',
    );
  });
  const deploy = await ended;
  // As the recovery rule does in AWS for an aborted execution.
  return { deploy, recovery: interrupt.signal.aborted ? await workflow.recover() : null };
}

function executionName(): string {
  return `local-${new Date().toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}

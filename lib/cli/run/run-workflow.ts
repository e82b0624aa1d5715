import { messageOf } from '../../../lambdas/shared/errors.ts';
import { withoutPassword } from '../../local/database-url.ts';
import type { LocalWorkflow } from '../../local/local-workflow.ts';
import { seedDemo } from '../../local/seed-demo.ts';
import { concludeRun, type EndedRun } from './conclude-run.ts';
import { listenForInterrupt } from './interrupt.ts';
import { openDatabase, openView, openWorkflow } from './open-workflow.ts';
import { createRunContext, outputOf, type RunContext, type RunSettings } from './run-context.ts';

/** Longest wait for the demo services to connect before the deploy starts. */
const SERVICES_STEADY_MS = 30_000;

/**
 * Runs the workflow on this machine, shows its progress and prints a summary. Everything it opened is closed at the end,
 * also after an error or an interrupt.
 * @returns true when the deploy succeeded
 */
export async function runWorkflow(settings: RunSettings): Promise<boolean> {
  const interrupt = listenForInterrupt();
  try {
    await using resources = new AsyncDisposableStack();
    return await runWith(createRunContext(settings, interrupt, resources));
  } catch (error) {
    if (!interrupt.signal.aborted || error !== interrupt.signal.reason) throw error;
    outputOf(settings).print('Interrupted before the deploy started.');
    return false;
  } finally {
    // Only now, when everything is closed: an earlier Ctrl-C would leave processes behind.
    interrupt.release();
  }
}

async function runWith(run: RunContext): Promise<boolean> {
  const { settings, output, interrupt } = run;
  const databaseUrl = await openDatabase(run);
  interrupt.signal.throwIfAborted();
  if (settings.seed === 'demo') await fillDatabase(run, databaseUrl);
  output.print('Synthesising the workflow …');
  const { workflow, lastLines, observe } = await openWorkflow(run, databaseUrl);
  if (settings.services === 'demo') await startServices(run, workflow);
  interrupt.signal.throwIfAborted();

  const view = openView(run, databaseUrl);
  observe(view.onEvent);
  const ended = await deployOnce(run, workflow, view.note);
  await view.close();
  return concludeRun(run, { ...ended, stoppedServices: workflow.servicesWithSavedState, lastLines });
}

async function fillDatabase({ output, interrupt }: RunContext, databaseUrl: string): Promise<void> {
  const shown = withoutPassword(databaseUrl);
  output.print(`Filling the demo database at ${shown} …`);
  const started = Date.now();
  let filled: boolean;
  try {
    filled = await seedDemo(databaseUrl, interrupt.signal);
  } catch (error) {
    interrupt.signal.throwIfAborted();
    throw new Error(
      `Could not fill the demo database at ${shown}: ${messageOf(error)}. No deploy was started.`,
      { cause: error },
    );
  }
  output.print(
    filled ? `Filled in ${((Date.now() - started) / 1000).toFixed(1)} s.` : 'It already has the demo rows.',
  );
}

async function startServices({ output, interrupt }: RunContext, workflow: LocalWorkflow): Promise<void> {
  output.print('Starting the demo services …');
  try {
    await workflow.aws.steady(AbortSignal.any([interrupt.signal, AbortSignal.timeout(SERVICES_STEADY_MS)]));
  } catch {
    interrupt.signal.throwIfAborted();
    output.print(
      `The demo services did not connect within ${SERVICES_STEADY_MS / 1000} s. The deploy starts without them.`,
    );
  }
}

async function deployOnce(
  { settings, interrupt }: RunContext,
  workflow: LocalWorkflow,
  note: (line: string) => void,
): Promise<Pick<EndedRun, 'deploy' | 'recovery'>> {
  const { execution, ended } = workflow.start(settings.input, executionName());
  const services = settings.services === 'demo';
  const abort = () => {
    note(
      `Interrupted. Aborting the deploy${services ? ' and starting the services again' : ''}. ` +
        (settings.databaseUrl === null
          ? 'The embedded database stops with this command.'
          : 'Running index builds continue in the database; a migration that is not committed is rolled back.'),
    );
    execution.abort();
  };
  interrupt.signal.addEventListener('abort', abort, { once: true });
  interrupt.onRepeat(() => {
    note(
      services
        ? 'Still starting the services again. Please wait: otherwise they stay stopped.'
        : 'Still aborting the deploy.',
    );
  });
  const deploy = await ended;
  // In AWS, the recovery rule does the same for an aborted execution.
  return { deploy, recovery: interrupt.signal.aborted ? await workflow.recover() : null };
}

function executionName(): string {
  return `local-${new Date().toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}

import { messageOf } from '../../../lambdas/shared/errors.ts';
import { shownDatabase } from '../../connection/resolve-connection.ts';
import { removeAbandoned } from '../../local/clean-up.ts';
import { createDemoRole } from '../../local/demo-role.ts';
import type { LocalWorkflow } from '../../local/local-workflow.ts';
import { seedDemo } from '../../local/seed-demo.ts';
import type { RecoveryReason } from '../../workflow/start-services.ts';
import { concludeRun, type EndedRun } from './conclude-run.ts';
import { listenForInterrupt } from './interrupt.ts';
import { interruptedText, stillText } from './interrupt-texts.ts';
import {
  mayRunServices,
  type OpenedWorkflow,
  openDatabase,
  openLock,
  openView,
  openWorkflow,
} from './open-workflow.ts';
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
  await removeAbandoned();
  const databaseUrl = await openDatabase(run);
  interrupt.signal.throwIfAborted();
  const openedLock = await openLock(run, databaseUrl);
  const lock = openedLock?.lock ?? null;
  interrupt.signal.throwIfAborted();
  // Preflight refuses this run, or it is a plan.
  if (lock?.other != null) output.print('Another run deploys to this database.');
  else if (settings.seed === 'demo') await fillDatabase(run, databaseUrl);
  output.print('Synthesising the workflow …');
  const deployUrl = await deployUrlOf(run, databaseUrl);
  const opened = await openWorkflow(run, { databaseUrl: deployUrl, servicesUrl: databaseUrl }, lock);
  if (settings.services === 'demo' && mayRunServices(settings, lock))
    await startServices(run, opened.workflow);
  interrupt.signal.throwIfAborted();

  const view = openView(run, databaseUrl);
  openedLock?.warnWith(view.note);
  opened.observe(view);
  const ended = await deployOnce(run, opened, view.note);
  await view.close();
  return await concludeRun(run, { ...ended, lastLines: opened.lastLines, databaseUrl });
}

/** The role of an embedded server is a superuser. The demo deploys as your own database should: with a role of its own. */
async function deployUrlOf({ settings }: RunContext, databaseUrl: string): Promise<string> {
  const isDemo = settings.databaseUrl === null && settings.seed === 'demo';
  return isDemo ? await createDemoRole(databaseUrl, settings.registry) : databaseUrl;
}

async function fillDatabase({ settings, output, interrupt }: RunContext, databaseUrl: string): Promise<void> {
  // Nobody else can connect to the embedded server, so its address says nothing.
  const at = settings.databaseUrl === null ? '' : ` at ${shownDatabase(databaseUrl)}`;
  output.print(`Filling the demo database${at} …`);
  const started = Date.now();
  let filled: boolean;
  try {
    filled = await seedDemo(databaseUrl, interrupt.signal);
  } catch (error) {
    interrupt.signal.throwIfAborted();
    throw new Error(`Could not fill the demo database${at}: ${messageOf(error)}. No deploy was started.`, {
      cause: error,
    });
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
  { settings, output, interrupt }: RunContext,
  { workflow, servicesNow }: OpenedWorkflow,
  note: (line: string) => void,
): Promise<Pick<EndedRun, 'deploy' | 'interrupted'>> {
  const { execution, ended } = workflow.start(settings.input, executionName());
  const abort = () => {
    note(interruptedText(servicesNow(), settings.databaseUrl === null));
    execution.abort();
  };
  interrupt.signal.addEventListener('abort', abort, { once: true });
  interrupt.onRepeat(() => note(stillText(servicesNow())));
  const deploy = await ended;
  interrupt.signal.removeEventListener('abort', abort);
  // An execution that has ended by itself is not aborted any more.
  if (deploy.result.status !== 'ABORTED') {
    interrupt.signal.addEventListener('abort', () =>
      output.print('Interrupted after the end of the deploy. This command ends in a moment.'),
    );
    return { deploy, interrupted: null };
  }
  const before = servicesNow();
  // In AWS, a function runs to its end, and the recovery waits for it if it applies migrations. Here it ends with the command.
  workflow.lambdas.kill();
  // In AWS, the recovery rule does the same for an aborted execution.
  const recovery = await workflow.recover({ reason: 'deploy-ended' } satisfies { reason: RecoveryReason });
  return { deploy, interrupted: { before, after: servicesNow(), recovery } };
}

function executionName(): string {
  return `local-${new Date().toISOString().replace(/[-:]/g, '').replace('.', '-')}`;
}

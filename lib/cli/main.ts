import { Command, CommanderError } from 'commander';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { FAILED, SUCCEEDED, WRONG_USAGE } from './exit-codes.ts';
import { importCommand } from './import-command.ts';
import { lintCommand } from './lint-command.ts';
import { runCommand } from './run-command.ts';

/**
 * The command line.
 * @param args without the interpreter and the script
 * @returns the exit code: 0 succeeded, 1 failed, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  // A reader that is gone, as of `| head`, must not end a run whose services are stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  let exitCode = SUCCEEDED;
  const program = new Command('pg-deploy-step')
    .description('Stops services, runs migrations, builds indexes concurrently, starts services again.')
    .showHelpAfterError()
    .exitOverride();
  const onExitCode = (code: number) => {
    exitCode = code;
  };
  for (const command of [runCommand(onExitCode), lintCommand(onExitCode), importCommand(onExitCode)]) {
    program.addCommand(command.showHelpAfterError().exitOverride());
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has printed what is wrong, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? SUCCEEDED : WRONG_USAGE;
    process.stderr.write(`${messageOf(error)}\n`);
    return FAILED;
  }
}

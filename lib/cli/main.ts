import { Command, CommanderError } from 'commander';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { FAILED, SUCCEEDED, WRONG_USAGE } from './commands/command-line.ts';
import { importCommand } from './commands/import-command.ts';
import { lintCommand } from './commands/lint-command.ts';
import { runCommand } from './commands/run-command.ts';

/**
 * The command line.
 * @param args without the interpreter and the script
 * @returns the exit code: 0 succeeded, 1 failed, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  // A closed pipe, as of `| head`, must not end a run whose services are stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  let exitCode = SUCCEEDED;
  const program = new Command('pg-deploy-step')
    .description('Stop services, run migrations, build indexes concurrently, start services again.')
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
    // Commander has already printed the error, or the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? SUCCEEDED : WRONG_USAGE;
    process.stderr.write(`${messageOf(error)}\n`);
    return FAILED;
  }
}

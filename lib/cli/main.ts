import { Command, CommanderError, type OutputConfiguration } from 'commander';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { NO_CODE_CACHE } from '../files/code-caches.ts';
import { FAILED, SUCCEEDED, WRONG_USAGE } from './commands/command-line.ts';
import { doctorCommand } from './commands/doctor-command.ts';
import { explainCommand } from './commands/explain-command.ts';
import { importCommand } from './commands/import-command.ts';
import { initCommand } from './commands/init-command.ts';
import { lintCommand } from './commands/lint-command.ts';
import { runCommand } from './commands/run-command.ts';
import { errorText, terminalText } from './terminal/terminal-text.ts';

/** How commander writes. Its messages quote arguments and values of flags, which can come from a file or a branch name. */
const OUTPUT: OutputConfiguration = {
  writeOut: (text) => void process.stdout.write(terminalText(text)),
  writeErr: (text) => void process.stderr.write(terminalText(text)),
  outputError: (text, write) => {
    // Commander's own line end is the one before its proposal.
    const [, message = text, proposal = ''] = /^([\s\S]*?)(\n\(Did you mean [^\n]*\))?\n*$/.exec(text) ?? [];
    write(`${visible(message)}${proposal}\n`);
  },
};

/**
 * The command line.
 * @param args without the interpreter and the script
 * @returns the exit code: 0 succeeded, 1 failed, 2 wrong usage
 */
export async function main(args: readonly string[]): Promise<number> {
  Object.assign(process.env, NO_CODE_CACHE);
  // A closed pipe, as of `| head`, must not end a run whose services are stopped.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  let exitCode = SUCCEEDED;
  const program = new Command('pg-deploy-step')
    .configureOutput(OUTPUT)
    .description('Stop services, run migrations, build indexes concurrently, start services again.')
    .showHelpAfterError('(pg-deploy-step --help lists the commands)')
    .exitOverride();
  const onExitCode = (code: number) => {
    exitCode = code;
  };
  for (const command of [
    runCommand(onExitCode),
    lintCommand(onExitCode),
    importCommand(onExitCode),
    explainCommand(onExitCode),
    initCommand(onExitCode),
    doctorCommand(onExitCode),
  ]) {
    const help = `(pg-deploy-step ${command.name()} --help lists its flags)`;
    program.addCommand(command.configureOutput(OUTPUT).showHelpAfterError(help).exitOverride());
  }
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    // Commander has already printed the error, or the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? SUCCEEDED : WRONG_USAGE;
    process.stderr.write(`${errorText(error)}\n`);
    return FAILED;
  }
}

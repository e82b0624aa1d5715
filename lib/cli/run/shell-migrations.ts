import type { EnvironmentInput } from '../../config/environment-config.ts';
import type { LocalTask } from '../../local/aws/task-process.ts';

/** The local ECS task that runs the command. */
const TASK = { cluster: 'local', container: 'migration' };
const FAMILY = 'migration';

/** Lines of the command's output to show when it fails. The log file has all of them. */
const MOST_LINES = 20;

/** Configures the runner `ecs-task`, so that a local command takes the same path as a task in AWS. */
export const SHELL_MIGRATIONS: EnvironmentInput['migrations'] = {
  runner: 'ecs-task',
  ...{ ...TASK, taskDefinition: FAMILY },
  roles: { task: 'none', execution: 'none' },
  network: { subnetIds: ['subnet-local'], securityGroupIds: ['sg-local'] },
};

/** Runs a command in the shell and the working directory, with the variables of this process and DATABASE_URL. */
export function shellTask(command: string, databaseUrl: string): LocalTask {
  const variables = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  return {
    ...TASK,
    family: FAMILY,
    command: ['/bin/sh', '-c', command],
    variables: { ...Object.fromEntries(variables), DATABASE_URL: databaseUrl },
  };
}

/** Keeps the last lines of the command's output. */
export class LastLines {
  readonly #lines: string[] = [];

  add(functionName: string, line: string): void {
    if (functionName !== FAMILY) return;
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES) this.#lines.shift();
  }

  /** Indented lines. Empty: the command wrote nothing. */
  get text(): string {
    return this.#lines.map((line) => `\n  ${line}`).join('');
  }
}

import type { EnvironmentInput } from '../config/environment-config.ts';
import type { LocalTask } from '../local/aws/task-process.ts';

/** Names of the task that stands for one of ECS. */
const TASK = { cluster: 'local', container: 'migration' };
const FAMILY = 'migration';

/** Of what it writes, how much is shown when it fails; all of it is in the log. */
const MOST_LINES = 20;

/** The application's own migration tool, as an environment would have it run by a task. */
export const COMMAND_MIGRATIONS: EnvironmentInput['migrations'] = {
  runner: 'ecs-task',
  ...{ ...TASK, taskDefinition: FAMILY },
  roles: { task: 'none', execution: 'none' },
  network: { subnetIds: ['subnet-local'], securityGroupIds: ['sg-local'] },
};

/** The task: the command in the shell, in this folder, with this process's variables and the database's address. */
export function commandTask(command: string, databaseUrl: string): LocalTask {
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

/** Keeps the last lines that the command writes. */
export class LastLines {
  readonly #lines: string[] = [];

  add(functionName: string, line: string): void {
    if (functionName !== FAMILY) return;
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES) this.#lines.shift();
  }

  /** For people. Empty: it wrote nothing. */
  get text(): string {
    return this.#lines.map((line) => `\n  ${line}`).join('');
  }
}

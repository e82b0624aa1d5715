import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'vitest';

/** A user id without an account. It is neither root nor the user that runs the embedded server. */
export const OTHER_ACCOUNT = 54_321;

/** Only root can become another user, and give files to one. */
export const CAN_BE_OTHER_ACCOUNT = process.getuid?.() === 0;

/** A test that needs another account. */
export function testWithOtherAccount(name: string, body: () => Promise<void>): void {
  if (CAN_BE_OTHER_ACCOUNT) test(name, body);
  else console.warn(`NOT TESTED, because only root can become another user: ${name}.`);
}

/**
 * Runs a module as another user of this machine. The process starts as root, so that it can load Node.js and the module from
 * a folder that only root can enter, and gives up all rights before the code runs.
 * @param folder where the module is written
 * @param code the body of an async function with `fs` and `net`, which returns a value that can be sent as JSON
 * @param imports more imports of the module @default none
 */
export async function asOtherAccount(folder: string, code: string, imports = ''): Promise<unknown> {
  const module = path.join(folder, `as-other-account-${process.hrtime.bigint()}.mjs`);
  writeFileSync(
    module,
    `import fs from 'node:fs';
     import net from 'node:net';
     ${imports}
     process.setgroups([]);
     process.setgid(${OTHER_ACCOUNT});
     process.setuid(${OTHER_ACCOUNT});
     const attempt = (action) => { try { return action(); } catch (error) { return error.code ?? error.message; } };
     const connected = (...address) => new Promise((resolve) => {
       const socket = net.connect(...address);
       socket.on('connect', () => { socket.destroy(); resolve('connected'); });
       socket.on('error', (error) => resolve(error.code));
     });
     process.send({ value: await (async () => { ${code} })() }, () => process.exit(0));`,
  );
  const child = fork(module, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [message] = (await once(child, 'message')) as [{ value: unknown }];
  return message.value;
}

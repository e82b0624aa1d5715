import { type Disturbance, type Field, firstOf } from '../disturbance.ts';
import type { Random } from '../random.ts';

/** Ends a process of the runner: killed, or asked to end as by Ctrl-C. */
export function endRunner(random: Random): Disturbance {
  const signal = random.weighted<NodeJS.Signals>([
    [4, 'SIGKILL'],
    [1, 'SIGINT'],
    [1, 'SIGTERM'],
  ]);
  const which = random.integer(0, 1);
  return {
    text: `${signal} to the command`,
    run: async ({ running, journal }) => {
      const runs = running();
      const run = runs[which % runs.length];
      if (run === undefined || run.signalled !== null) return;
      run.signalled = signal;
      if (signal === 'SIGINT') run.command.interrupt();
      else run.command.signal(signal);
      journal.note(`  run ${run.number} got ${signal}`);
      journal.count(`runners ended (${signal})`);
    },
  };
}

/** Kills the process of one function, as a crash of its runtime does. */
export function killFunction(random: Random): Disturbance {
  const number = random.integer(0, 1000);
  return {
    text: 'kill a function',
    run: async (field) => {
      const { journal, running } = field;
      const found = await firstOf(field, async () => {
        if (running().length === 0) return null;
        const all = field.functions();
        return all[number % all.length];
      });
      if (found == null) return;
      for (const run of running()) run.killedFunctions.add(found.name);
      try {
        process.kill(found.pid, 'SIGKILL');
      } catch {
        // It has just ended.
        return;
      }
      journal.note(`  killed the function ${found.name}, process ${found.pid}`);
      journal.count('functions killed');
    },
  };
}

/** Sessions of the product that run a statement which builds, drops or renames an index. */
const AT_WORK = `application_name like 'pg-deploy-step%' and state = 'active' and query ~* '^\\s*(create|drop|reindex|alter)'`;
const PRODUCT = `application_name like 'pg-deploy-step%'`;
const ANY = 'pid <> pg_backend_pid()';

/** Ends a session of the server, cancels its statement, or kills its process, after which the server recovers. */
export function endBackend(random: Random): Disturbance {
  const how = random.weighted<'terminate' | 'cancel' | 'SIGKILL'>([
    [4, 'terminate'],
    [3, 'cancel'],
    [2, 'SIGKILL'],
  ]);
  const whose = random.weighted([
    [5, { text: 'a session that changes an index', condition: AT_WORK }],
    [2, { text: 'a session of the product', condition: PRODUCT }],
    [1, { text: 'any session', condition: ANY }],
  ]);
  const number = random.integer(0, 1000);
  return {
    text: `${how} ${whose.text}`,
    run: async (field) => {
      const { target, journal, running } = field;
      const found = await firstOf(field, async () => {
        if (running().length === 0) return null;
        const rows = await target.query<{ pid: number; application: string; query: string }>(
          `select pid, application_name as application, left(query, 90) as query from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend' and ${whose.condition} order by pid`,
        );
        return rows[number % rows.length];
      });
      if (found == null) return;
      if (!(await endOne(field, how, found.pid))) return;
      journal.note(`  ${how}: pid ${found.pid} (${found.application}), ${found.query}`);
      journal.count(how === 'SIGKILL' ? 'crash recoveries' : `backends ended (${how})`);
    },
  };
}

async function endOne(
  { target }: Field,
  how: 'terminate' | 'cancel' | 'SIGKILL',
  pid: number,
): Promise<boolean> {
  try {
    if (how === 'SIGKILL') return process.kill(pid, 'SIGKILL');
    await target.query(`select pg_${how}_backend($1)`, [pid]);
    return true;
  } catch {
    // The session has just ended, or the server is down.
    return false;
  }
}

export function restartServer(random: Random): Disturbance {
  const mode = random.pick(['fast', 'immediate'] as const);
  return {
    text: `restart the server (${mode})`,
    run: async ({ target, journal }) => {
      await target.restart(mode);
      journal.note(`  the server has restarted (${mode})`);
      journal.count(`restarts (${mode})`);
    },
  };
}

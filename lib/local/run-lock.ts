import { hostname, userInfo } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { acquire, lockHolder, RUN_LOCK, unlock } from '../../lambdas/postgres/advisory-lock.ts';
import {
  type Client,
  databaseOf,
  trustedRolesOf,
  withClient,
  withTransaction,
} from '../../lambdas/postgres/client.ts';
import { describeHolder } from '../../lambdas/postgres/lock-holders.ts';
import { OWN_SEARCH_PATH } from '../../lambdas/postgres/search-path.ts';
import { isTrustedRole } from '../../lambdas/postgres/trusted-roles.ts';
import { ConnectionLost } from '../../lambdas/shared/errors.ts';
import { setLongIdleSession } from './idle-session.ts';

/** Another run on the same database. */
export interface OtherRun {
  /** For messages: `process 4711 of root on build-7 (database session 812)`. */
  readonly name: string;
  /** Milliseconds since 1970. Null: unknown. */
  readonly startedAt: number | null;
}

interface RunLockOptions {
  readonly databaseUrl: string;
  /** Roles that the command trusts: see trusted-roles.ts. @default none */
  readonly trustedRoles?: readonly string[];
  /** Called when the lock was lost with its connection, and another run acquired it in the meantime. */
  readonly onTaken: (by: OtherRun) => void;
}

/** Pause between two attempts to acquire the lock again. A younger run must not be faster after a restart. */
const RETRY_MS = 200;

/** A server that is away for longer is not asked that often. */
const LONG_RETRY_MS = 2_000;
const LONG_AFTER_MS = 60_000;

/** Longest wait of `check` for a server that does not answer: the SDK's request in preflight ends after 5 s. */
const CHECK_MS = 3_000;

/** Longest time for which a session is listed after it has released its locks. */
const ENDING_MS = 1_500;

/** A run that acquires the lock while this run reconnects gives it back in its preflight, within this time. */
const YIELD_MS = 10_000;

/** Sessions that have held the lock show the run in their application_name. It has at most 63 bytes. */
const NAME = /^run (\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z (\d+) ([^@]*)@?(.*)$/;
const PREFIX = 'pg-deploy-step ';

/**
 * The lock that allows one run at a time on a database. It is an advisory lock of a session of this process, so it ends
 * with the process, however that ends. The session is idle outside of transactions, so it holds no snapshot.
 *
 * If the connection is lost, for example because the server restarts, the lock is acquired again. A younger run that
 * acquired it in between gives it back in its preflight, because it sees the session of this run.
 *
 * Sessions of roles that are not trusted are ignored, whatever their name is and whether they hold the lock.
 */
export class RunLock implements AsyncDisposable {
  /** Why the run cannot hold the lock, for a warning. Null: it holds the lock, or tries to. */
  notPossible: string | null = null;
  /** What holds the lock, is not trusted, and so is ignored, for a warning. */
  ignored: readonly string[] = [];
  readonly #options: RunLockOptions;
  readonly #name = nameOfThisRun(new Date());
  readonly #closing = new AbortController();
  #client: Client | null = null;
  #other: OtherRun | null = null;
  #hasHeld = false;
  #working: Promise<void> | null = null;

  private constructor(options: RunLockOptions) {
    this.#options = options;
  }

  /**
   * Tries to acquire the lock. It never fails: if the database cannot be reached, the lock is acquired as soon as it can
   * be. If the database refuses the connection, preflight reports why.
   */
  static async open(options: RunLockOptions): Promise<RunLock> {
    const lock = new RunLock(options);
    try {
      await lock.#attempt();
    } catch (error) {
      if (error instanceof ConnectionLost) lock.#keepTrying();
    }
    return lock;
  }

  /** The run that holds the lock. Null: none does, or this one. Once it is set, this run must not deploy. */
  get other(): OtherRun | null {
    return this.#other;
  }

  /** Reads again which other run is active, before this run stops or changes anything. */
  async check(): Promise<OtherRun | null> {
    const deadline = Date.now() + CHECK_MS;
    const limit = pause(CHECK_MS, undefined, { ref: false });
    await Promise.race([this.#working, limit]);
    if (this.#other === null && this.#client !== null) {
      await Promise.race([this.#yieldToReconnected(this.#client, deadline).catch(() => undefined), limit]);
    }
    return this.#other;
  }

  /** Releases the lock. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#working;
    await this.#client?.end().catch(() => undefined);
  }

  /** @throws when the database cannot be reached */
  async #attempt(): Promise<void> {
    const { databaseUrl, trustedRoles = [] } = this.#options;
    const variables = { DATABASE_URL: databaseUrl, TRUSTED_ROLES: [...trustedRoles] };
    const client = await databaseOf(variables).connect(this.#hasHeld ? this.#name : 'run starts');
    let kept = false;
    try {
      this.notPossible = await setLongIdleSession(client);
      if (this.notPossible !== null) this.#other = await holderThroughPooler(client);
      else kept = await this.#acquire(client);
    } finally {
      if (!kept) await client.end().catch(() => undefined);
    }
    if (!kept) return;
    this.#client = client;
    client.once('end', () => {
      this.#client = null;
      if (!this.#closing.signal.aborted) this.#keepTrying();
    });
  }

  /** @returns true when this session holds the lock, and must stay open */
  async #acquire(client: Client): Promise<boolean> {
    const deadline = Date.now() + YIELD_MS;
    let reported = false;
    while (!this.#closing.signal.aborted) {
      const acquired = await acquire(client, [RUN_LOCK]);
      if (acquired.kind === 'acquired') {
        this.ignored = acquired.despite.map(describeHolder);
        await client.query("select pg_catalog.set_config('application_name', $1, false)", [
          `${PREFIX}${this.#name}`,
        ]);
        this.#hasHeld = true;
        return true;
      }
      const holder = acquired.holder === null ? null : describe(acquired.holder);
      // Null: it was released between the two statements.
      if (holder !== null && !this.#hasHeld) {
        this.#other = holder;
        return false;
      }
      if (holder !== null && !reported && Date.now() > deadline) {
        reported = true;
        this.#options.onTaken(holder);
      }
      await this.#pause(RETRY_MS);
    }
    return false;
  }

  /** Ends early when the lock is released. Does not keep the process alive. */
  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
  }

  #keepTrying(): void {
    const since = Date.now();
    this.#working ??= (async () => {
      while (!this.#closing.signal.aborted) {
        try {
          await this.#attempt();
          break;
        } catch {
          await this.#pause(Date.now() - since > LONG_AFTER_MS ? LONG_RETRY_MS : RETRY_MS);
        }
      }
    })().finally(() => {
      this.#working = null;
    });
  }

  /** Gives the lock back to a run that has held it before: it lost its connection and is about to acquire it again. */
  async #yieldToReconnected(client: Client, deadline: number): Promise<void> {
    let holder = await reconnectedRun(client);
    // The session of a run that has just ended is still listed for a moment.
    for (let waited = 0; holder !== null && waited < ENDING_MS; waited += RETRY_MS) {
      await this.#pause(RETRY_MS);
      holder = await reconnectedRun(client);
    }
    // After the deadline `check` has returned, and this run deploys.
    if (holder === null || Date.now() > deadline) return;
    this.#other = holder;
    await unlock(client, RUN_LOCK);
    this.#closing.abort();
    await client.end().catch(() => undefined);
  }
}

/** The run that holds the lock now. Null: none does, or the database cannot be asked, and then preflight says why. */
export async function otherRunOf({
  databaseUrl,
  trustedRoles = [],
}: Omit<RunLockOptions, 'onTaken'>): Promise<OtherRun | null> {
  try {
    const variables = { DATABASE_URL: databaseUrl, TRUSTED_ROLES: [...trustedRoles] };
    return await withClient(databaseOf(variables), 'plan', holderThroughPooler);
  } catch {
    return null;
  }
}

/** Another session with the name of a run that holds or has held the lock. */
async function reconnectedRun(client: Client): Promise<OtherRun | null> {
  const { rows } = await client.query<{ pid: number; application: string }>(
    `select pid, coalesce(application_name, '') as application from pg_catalog.pg_stat_activity
      where datname operator(pg_catalog.=) pg_catalog.current_database()
        and pid operator(pg_catalog.<>) pg_catalog.pg_backend_pid()
        and ${isTrustedRole('usesysid', '$1')}`,
    [trustedRolesOf(client)],
  );
  const holder = rows.find(({ application }) => parse(application) !== null);
  return holder === undefined ? null : describe(holder);
}

async function holderOf(client: Client): Promise<OtherRun | null> {
  const holder = await lockHolder(client, RUN_LOCK);
  return holder === undefined ? null : describe(holder);
}

/** Reads the holder in a transaction of its own search path, because the session of a pooler has that of the role. */
async function holderThroughPooler(client: Client): Promise<OtherRun | null> {
  return await withTransaction(client, async () => {
    await client.query(`set local search_path = ${OWN_SEARCH_PATH}`);
    return await holderOf(client);
  });
}

function parse(application: string): RegExpExecArray | null {
  return application.startsWith(PREFIX) ? NAME.exec(application.slice(PREFIX.length)) : null;
}

function describe({ pid, application }: { pid: number; application: string }): OtherRun {
  const parsed = parse(application);
  if (parsed === null) return { name: `database session ${pid} (${application})`, startedAt: null };
  const [, year, month, day, hour, minute, second, process, user, host] = parsed;
  const on = host === '' ? '' : ` on ${host}`;
  return {
    name: `process ${process} of ${user}${on} (database session ${pid})`,
    startedAt: Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`),
  };
}

/** The part of the application_name after the product's name. The server cuts it at 63 bytes. */
function nameOfThisRun(startedAt: Date): string {
  const time = startedAt.toISOString().replace(/[-:]|\.\d+/g, '');
  // A host's domain is omitted, so that the name fits. Other characters than these appear as question marks.
  const who = `${userName()}@${hostname().split('.')[0]}`.replace(/[^\x21-\x7e]/g, '?');
  return `run ${time} ${process.pid} ${who}`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container a user id can have no name.
    return `uid-${process.getuid?.() ?? '?'}`;
  }
}

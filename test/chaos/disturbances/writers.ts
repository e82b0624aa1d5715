import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { ACCOUNTS, WRITERS } from '../world/tables.ts';

/*
 * Writers that insert, update and delete all the time. Each transaction keeps two invariants: the sum of all balances, and
 * the number of a writer's events, which is also in `counters`. A connection that is lost at the commit does not matter:
 * the transaction has either happened or not.
 */

type Write = (client: Client, writer: number, random: Random) => Promise<void>;

const transfer: Write = async (client, _writer, random) => {
  const [from, to, amount] = [
    random.integer(1, ACCOUNTS),
    random.integer(1, ACCOUNTS),
    random.integer(1, 50),
  ];
  await client.query('update accounts set balance = balance - $2 where id = $1', [from, amount]);
  await client.query('update accounts set balance = balance + $2 where id = $1', [to, amount]);
};

const changeOwner: Write = async (client, _writer, random) => {
  await client.query("update accounts set owner = 'owner ' || $2, note = md5(note) where id = $1", [
    random.integer(1, ACCOUNTS),
    random.integer(1, 900),
  ]);
};

const insertEvents: Write = async (client, writer, random) => {
  const count = random.integer(1, 20);
  await client.query(
    `insert into events (day, writer, kind, value)
     select (n * 53 + $3) % 300, $1, chr(97 + n % 5), (n * 97 + $3) % 1000 from generate_series(1, $2::int) n`,
    [writer, count, random.integer(0, 299)],
  );
  await client.query('update counters set events = events + $2 where writer = $1', [writer, count]);
};

const deleteEvents: Write = async (client, writer, random) => {
  await client.query(
    `with doomed as (select id, day from events where writer = $1 order by id limit $2),
          gone as (delete from events e using doomed d where e.id = d.id and e.day = d.day and e.writer = $1 returning 1)
     update counters set events = events - (select count(*) from gone) where writer = $1`,
    [writer, random.integer(1, 10)],
  );
};

const moveEvents: Write = async (client, writer, random) => {
  // An update of the partition key moves the row to another partition.
  await client.query('update events set day = $2 where id = (select min(id) from events where writer = $1)', [
    writer,
    random.integer(0, 299),
  ]);
};

/** Starts the writers. @returns a function that stops them, and the number of transactions that they committed */
export function startWriters(target: Target, seed: number): () => Promise<number> {
  const stopping = new AbortController();
  const writers = WRITERS.map((writer) => write(target, { writer, seed, signal: stopping.signal }));
  return async () => {
    stopping.abort();
    return (await Promise.all(writers)).reduce((sum, count) => sum + count, 0);
  };
}

async function write(
  target: Target,
  { writer, seed, signal }: { writer: number; seed: number; signal: AbortSignal },
): Promise<number> {
  const random = new Random(seed, -writer);
  let committed = 0;
  while (!signal.aborted) {
    let client: Client | undefined;
    try {
      client = await target.connect(`writer ${writer}`);
      await client.query("set statement_timeout = '20s'");
      while (!signal.aborted) {
        await transaction(client, writer, random);
        committed += 1;
        await pause(random.integer(20, 80));
      }
    } catch {
      // A deadlock, a timeout, a lost connection, a terminated session: begin again in a new session.
      await pause(100);
    } finally {
      await client?.end().catch(() => undefined);
    }
  }
  return committed;
}

async function transaction(client: Client, writer: number, random: Random): Promise<void> {
  const work = random.weighted<Write>([
    [4, transfer],
    [2, changeOwner],
    [3, insertEvents],
    [2, deleteEvents],
    [1, moveEvents],
  ]);
  const end = random.chance(90) ? 'commit' : 'rollback';
  await client.query('begin');
  await work(client, writer, random);
  await client.query(end);
}

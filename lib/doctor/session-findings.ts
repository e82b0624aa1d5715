import { quoteLiteral } from '../../lambdas/postgres/identifiers.ts';
import type { LiveSession, LiveSlot } from '../../lambdas/postgres/live-sessions.ts';
import { literalOf } from '../../lambdas/postgres/prepared-transactions.ts';
import { humanDuration, humanSize } from '../../lambdas/shared/human-units.ts';
import { counted, listed } from '../../lambdas/shared/text.ts';
import { type Confidence, type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import { maskedStatement } from './masked-statement.ts';
import type { DoctorLimits } from './options.ts';

/** Seconds after which nobody works in an open transaction any more. */
const LONG = 300;
/** The same for a prepared one, which its coordinator should end at once. */
const LONG_PREPARED = 30;
/** Transactions since the oldest one that a snapshot or a slot still sees: VACUUM cannot remove what changed since. */
const OLD_SNAPSHOT = 1_000_000;
/** WAL that a slot keeps, in bytes. */
const MUCH_WAL = 1024 ** 3;
/** A statement that begins later in its transaction than this is not its first one, in seconds. */
const FIRST_STATEMENT = 0.1;

/** Finds statements and transactions that have been running for long, slots that keep old rows, and prepared transactions. */
export function sessionFindings(
  live: LiveDatabase,
  { sessionSeconds }: Pick<DoctorLimits, 'sessionSeconds'>,
): Finding[] {
  return [
    ...live.sessions.flatMap((session) => activeSession(session, sessionSeconds)),
    ...live.sessions.flatMap((session) => longTransaction(session, sessionSeconds)),
    ...live.slots.flatMap(keepingSlot),
    ...live.prepared.map(({ gid, owner, ageSeconds, tables }) =>
      finding({
        kind: 'prepared-transaction',
        evidence:
          `${literalOf(gid)} of ${owner} was prepared ${humanDuration(ageSeconds * 1000)} ago. It keeps its locks` +
          `${tables.length === 0 ? '' : ` on ${listed(tables, 5)}`}, and old rows of all tables, until someone ends it, also ` +
          `after a restart. Only its coordinator knows whether to run COMMIT PREPARED. If it is unknown there, roll it back as ` +
          `${owner} or a superuser.`,
        fix: `ROLLBACK PREPARED ${literalOf(gid)};`,
        confidence: ageSeconds >= LONG_PREPARED ? 'high' : 'medium',
        weight: ageSeconds,
      }),
    ),
  ];
}

function activeSession(session: LiveSession, sessionSeconds: number): Finding[] {
  const { activeSeconds, waitsFor, blockedBy, maintenance, query } = session;
  if (activeSeconds === null || activeSeconds <= sessionSeconds) return [];
  const statement = maskedStatement(query ?? '');
  return [
    finding({
      kind: 'active-session',
      evidence:
        `${nameOf(session)} has been running a statement for ${humanDuration(activeSeconds * 1000)}` +
        `${waitsFor === null ? '' : ` and waits for ${waitsFor}`}` +
        `${blockedBy.length === 0 ? '' : `, blocked by ${blockersOf(blockedBy)}, which is to end first`}.` +
        `${maintenance === null ? '' : ` It ${maintenance}.`}${statement === '' ? '' : ` Statement: ${statement}`}`,
      fix: `SELECT pg_catalog.pg_cancel_backend(${session.pid});`,
      // It is not known whether the statement should take that long.
      confidence: maintenance === null ? 'medium' : 'unknown',
      weight: activeSeconds,
    }),
  ];
}

function longTransaction(session: LiveSession, sessionSeconds: number): Finding[] {
  const { transactionSeconds: seconds, statementAfterSeconds, snapshotAge, maintenance, state } = session;
  const isOld = (snapshotAge ?? 0) >= OLD_SNAPSHOT;
  // A transaction of one statement is an active session until it is really long.
  const isOneStatement = state === 'active' && (statementAfterSeconds ?? 0) < FIRST_STATEMENT;
  const least = isOneStatement ? Math.max(LONG, sessionSeconds) : sessionSeconds;
  if (seconds === null || (seconds <= least && !isOld)) return [];
  const keeps =
    snapshotAge === null
      ? ''
      : ` VACUUM keeps all rows since its snapshot (${counted(snapshotAge, 'transaction')} ago).`;
  return [
    finding({
      kind: 'long-transaction',
      evidence:
        `${nameOf(session)} has had a transaction open for ${humanDuration(seconds * 1000)}; its state is ${state ?? 'hidden'}. ` +
        `Its locks stay until then.${keeps}${maintenance === null ? '' : ` It ${maintenance}.`}`,
      fix: `SELECT pg_catalog.pg_terminate_backend(${session.pid});`,
      confidence: confidenceOf(seconds, isOld, maintenance),
      weight: seconds,
    }),
  ];
}

function confidenceOf(seconds: number, isOld: boolean, maintenance: string | null): Confidence {
  if (maintenance !== null) return 'unknown';
  return seconds >= LONG || isOld ? 'high' : 'medium';
}

function keepingSlot({ name, type, active, age, walBytes }: LiveSlot): Finding[] {
  const isKeeping = age !== null && (age >= OLD_SNAPSHOT || !active);
  const keepsWal = !active && (walBytes ?? 0) >= MUCH_WAL;
  if (!isKeeping && !keepsWal) return [];
  return [
    finding({
      kind: 'long-transaction',
      evidence:
        `The ${type} replication slot ${name} ${active ? 'is in use' : 'is used by nobody'}.` +
        `${age === null ? '' : ` VACUUM keeps all rows since ${counted(age, 'transaction')}.`}` +
        `${walBytes === null ? '' : ` It keeps ${humanSize(Math.max(0, walBytes))} of WAL.`}`,
      fix: active
        ? 'Find the long transaction on its standby, or turn hot_standby_feedback off there.'
        : `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)});`,
      confidence: 'medium',
      weight: age ?? 0,
    }),
  ];
}

function nameOf({ pid, application, role }: LiveSession): string {
  return `Session ${pid}${application === '' ? '' : ` (${application})`}${role === null ? '' : ` of ${role}`}`;
}

function blockersOf(pids: readonly number[]): string {
  // pg_blocking_pids shows a prepared transaction as 0.
  const names = pids.map((pid) => (pid === 0 ? 'a prepared transaction' : `session ${pid}`));
  return listed([...new Set(names)], 5);
}

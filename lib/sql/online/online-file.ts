import type { Node, RangeVar, VariableSetStmt } from 'libpg-query';
import { ONLINE_MARK } from '../../../lambdas/shared/online-migrations.ts';
import type { KnownObjects } from '../known-objects.ts';
import type { StatementNode } from '../parse-tree.ts';
import { nodesIn, stringsIn } from '../parse-tree.ts';
import type { Place } from '../places.ts';
import { quoteWhereNeeded } from '../quote-where-needed.ts';
import type { SqlStatement } from '../read-sql.ts';
import { keyOf } from '../schema/schema-objects.ts';
import { effectOf, isBlocking, type StatementLock } from './lock-modes.ts';
import { locksOf } from './statement-locks.ts';

/** Why a file cannot be applied while the services run. */
export interface OnlineProblem extends Place {
  readonly message: string;
}

/** Longest lock_timeout, in milliseconds: statements of the application wait behind one that waits for a lock. */
const LONGEST_TIMEOUT_MS = 10_000;

/** Examines the statements of a file that is marked as online, in their order. */
export class OnlineFile {
  private readonly file: string;
  private readonly known: KnownObjects;
  /** Milliseconds. Null: the file has not set it. 0: without limit. */
  private lockTimeout: number | null = null;
  /** The first statement that took a lock which blocks others: they are held until the file is committed. */
  private holder: { readonly what: string; readonly line: number; readonly table: string } | null = null;

  /** @param file its path, as that of the statements in `known` */
  constructor(file: string, known: KnownObjects) {
    this.file = file;
    this.known = known;
  }

  /** The problems of the next statement. Call it before the statement is applied to the known objects. */
  problemsOf(statement: SqlStatement): OnlineProblem[] {
    const { node, line, column } = statement;
    return this.messagesOf(node, statement).map((message) => ({ line, column, message }));
  }

  private messagesOf(node: StatementNode | undefined, statement: SqlStatement): string[] {
    const [kind = ''] = Object.keys(node ?? {});
    const name = kind.replace(/Stmt$/, '');
    if (node === undefined)
      return [`${NOT_ONLINE} It cannot be parsed, so its locks are not known. ${OTHERWISE}`];
    this.readTimeout(node);
    const [called] = this.known.functions.volatileIn(statement);
    if (called !== undefined)
      return [`${NOT_ONLINE} It runs ${called}(), whose locks are not examined. ${OTHERWISE}`];
    const locks = this.locksOf(node);
    if (locks === null)
      return [`${NOT_ONLINE} The locks of this statement (${name}) are not known. ${OTHERWISE}`];
    const existing = locks.filter(({ relation }) => relation === undefined || !this.isNew(relation));
    return [
      ...unique(existing.filter(blocks).filter(({ lasts }) => lasts === 'long')).map(tooLong),
      ...this.afterHolder(existing),
      ...this.timeoutProblem(existing, statement.line),
    ];
  }

  private locksOf(node: StatementNode): StatementLock[] | null {
    const { schema, withDefaultPartition, domains } = this.known;
    return locksOf(node, {
      isNew: (relation) => this.isNew(relation),
      hasDefaultPartition: (relation) => withDefaultPartition.has(keyOf(schema.nameOf(relation))),
      isDomain: (type) => domains.has(type),
    });
  }

  private isNew(relation: RangeVar | undefined): boolean {
    if (relation === undefined) return false;
    const { schema } = this.known;
    const table = schema.table(schema.nameOf(relation));
    if (relation.schemaname === 'pg_temp' || table?.temporary === true) return true;
    return table?.place.file === this.file && !table.inDoubt;
  }

  /** A lock that is held already must not wait for a long statement. */
  private afterHolder(locks: readonly StatementLock[]): string[] {
    const long = locks.find(({ lasts, ...lock }) => lasts === 'long' && !blocks({ lasts, ...lock }));
    if (this.holder === null || long === undefined) return [];
    const { what, line, table } = this.holder;
    return [
      `${NOT_ONLINE} ${long.what} takes as long as there are rows, and the lock of ${what}${table} in line ${line} is held until the file is committed. ` +
        'Put this statement into a file of its own, after this one or before it: each online file has its own transaction.',
    ];
  }

  private timeoutProblem(locks: readonly StatementLock[], line: number): string[] {
    const blocking = locks.find(blocks);
    if (blocking === undefined) return [];
    const isFirst = this.holder === null;
    this.holder ??= { what: blocking.what, line, table: onTable(blocking) };
    const set = "Write set local lock_timeout = '3s'; before it";
    if (this.lockTimeout === null && isFirst)
      return [
        `${NOT_ONLINE} ${blocking.what} waits for its lock${onTable(blocking)}, and meanwhile reads and writes wait behind it. ${set}: the deploy then tries again, and others continue in between.`,
      ];
    if (this.lockTimeout === 0 || (this.lockTimeout ?? 0) > LONGEST_TIMEOUT_MS)
      return [
        `${NOT_ONLINE} ${blocking.what} may wait ${this.lockTimeout === 0 ? 'without limit' : `${(this.lockTimeout ?? 0) / 1000} s`} for its lock${onTable(blocking)}, and meanwhile reads and writes wait behind it. ${set}, at most 10s: the deploy tries again, and others continue in between.`,
      ];
    return [];
  }

  private readTimeout(node: StatementNode): void {
    const set = node.VariableSetStmt;
    if (set !== undefined && (set.name?.toLowerCase() === 'lock_timeout' || set.kind === 'VAR_RESET_ALL'))
      this.lockTimeout = timeoutOf(set);
    for (const call of nodesIn(node.SelectStmt, 'FuncCall')) {
      const { funcname, args = [] } = call as { funcname?: Node[]; args?: Node[] };
      const [name, value] = args.map(textOf);
      if (stringsIn(funcname).at(-1) === 'set_config' && name?.toLowerCase() === 'lock_timeout')
        this.lockTimeout = value === undefined ? null : milliseconds(value);
    }
  }
}

const NOT_ONLINE = 'The file is marked as online, but this statement cannot run beside the application.';
const OTHERWISE = `Remove "${ONLINE_MARK}" from the top of the file, so that it is applied in a maintenance window, or put the statement into a file without it.`;

function blocks({ mode, isHarmless }: StatementLock): boolean {
  return isBlocking(mode) && isHarmless !== true;
}

function tooLong(lock: StatementLock): string {
  const isRows = lock.what.endsWith('without WHERE');
  const effect = isRows
    ? `${lock.what}${onTable(lock)} locks each of its rows.`
    : `${lock.what} holds ${lock.mode}${onTable(lock)}, which ${effectOf(lock.mode)}, for as long as it works on the rows.`;
  return [NOT_ONLINE, effect, lock.instead, OTHERWISE].filter((part) => part !== undefined).join(' ');
}

function onTable({ relation }: StatementLock): string {
  if (relation?.relname === undefined) return '';
  const parts = [relation.schemaname, relation.relname];
  return ` on ${parts.flatMap((part) => (part === undefined ? [] : quoteWhereNeeded(part))).join('.')}`;
}

function unique(locks: readonly StatementLock[]): StatementLock[] {
  const seen = new Map(locks.toReversed().map((lock) => [lock.what, lock]));
  return [...seen.values()].reverse();
}

/** Null: the value of the role, which is not known here. */
function timeoutOf({ kind, args = [] }: VariableSetStmt): number | null {
  if (kind !== 'VAR_SET_VALUE') return null;
  const [value] = args;
  const text = value === undefined ? undefined : textOf(value);
  return text === undefined ? null : milliseconds(text);
}

const UNITS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A time as PostgreSQL reads it. Null: it is none. */
function milliseconds(text: string): number | null {
  const [, number, unit = 'ms'] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)?\s*$/.exec(text) ?? [];
  const factor = UNITS[unit];
  return number === undefined || factor === undefined ? null : Math.round(Number(number) * factor);
}

/** The value of a constant. Undefined: it is not a constant. */
function textOf(value: Node): string | undefined {
  let node: Node | undefined = value;
  while (node !== undefined && 'TypeCast' in node) node = node.TypeCast.arg;
  if (node === undefined || !('A_Const' in node)) return undefined;
  const { sval, ival, fval } = node.A_Const;
  if (sval !== undefined) return sval.sval ?? '';
  if (fval !== undefined) return fval.fval ?? '';
  return ival === undefined ? undefined : String(ival.ival ?? 0);
}

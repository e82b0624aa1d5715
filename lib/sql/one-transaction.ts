import type { CreateSubscriptionStmt, Node, TransactionStmt, VariableSetStmt } from 'libpg-query';
import { shortened } from '../../lambdas/shared/text.ts';
import { wordsAtStart } from './lexer.ts';
import { nodesIn, type StatementNode } from './parse-tree.ts';
import type { Place } from './places.ts';
import type { SqlStatement, SqlText } from './read-sql.ts';

/**
 * What is wrong with a statement, by the names of lint's rules:
 *
 * - `transaction-control`: it starts, ends or changes the transaction;
 * - `outside-transaction`: PostgreSQL refuses it inside a transaction;
 * - `session-setting`: after it, the server reads the text of the file differently;
 * - `psql-only`: only psql understands it.
 */
type TransactionRule = 'transaction-control' | 'outside-transaction' | 'session-setting' | 'psql-only';

/** Why a part of a file cannot run in one transaction with other files, and its place. */
export interface TransactionProblem extends Place {
  readonly rule: TransactionRule;
  /** What it does, why that is wrong, and what to write instead. */
  readonly message: string;
}

type Problem = Omit<TransactionProblem, keyof Place>;

/**
 * Finds what keeps a file from running statement by statement in one transaction with other files. The code in strings
 * (DO blocks, functions) is not searched: there PostgreSQL itself refuses COMMIT and ROLLBACK, without ending the transaction.
 */
export function transactionProblems({ statements, commands, placeOf }: SqlText): TransactionProblem[] {
  const ofStatements = statements.flatMap((statement) => {
    const problem = problemOf(statement);
    return problem === null ? [] : [{ line: statement.line, column: statement.column, ...problem }];
  });
  const ofCommands = commands.map(({ start, text }) => ({ ...placeOf(start), ...psqlCommand(text) }));
  return [...ofStatements, ...ofCommands].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

function problemOf({ node, sql }: SqlStatement): Problem | null {
  // The server may be able to parse what this parser cannot, so the first words have to decide.
  if (node === undefined) return firstWords(sql);
  if (node.TransactionStmt !== undefined) return transactionControl(node.TransactionStmt);
  if (node.VariableSetStmt !== undefined) return settingProblem(node.VariableSetStmt);
  const refused = refusedInTransaction(node);
  if (refused !== null) return outsideTransaction(refused);
  const { CopyStmt: copy } = node;
  if (copy?.is_from && copy.filename === undefined) {
    return {
      rule: 'psql-only',
      message:
        'COPY … FROM STDIN reads data that only psql sends. Write the rows as INSERT … VALUES, or load them with your own tool.',
    };
  }
  return settingByFunction(node);
}

const ONE_TRANSACTION = 'The deploy applies all pending files in one transaction.';
const REMOVE =
  'Remove it. You can do so in an applied file too, because the content of applied files is not compared.';

const USE_EXCEPTION = 'To handle an error, use a DO block with EXCEPTION.';
const REFUSED = 'PostgreSQL refuses that inside a transaction.';

type TransactionKind = NonNullable<TransactionStmt['kind']>;

/** What each statement would do. */
const EFFECTS: Partial<Record<TransactionKind, string>> = {
  TRANS_STMT_BEGIN: 'BEGIN has no effect inside it, and the COMMIT that follows would end it.',
  TRANS_STMT_START: 'START TRANSACTION has no effect inside it, and the COMMIT that follows would end it.',
  TRANS_STMT_COMMIT:
    'COMMIT (or END) ends it: if a later statement fails, the earlier ones stay, but are not recorded as applied.',
  TRANS_STMT_ROLLBACK:
    'ROLLBACK (or ABORT) undoes this file and the files before it, and they would still be recorded as applied.',
  TRANS_STMT_SAVEPOINT: `SAVEPOINT prepares to undo a part of it. ${USE_EXCEPTION}`,
  TRANS_STMT_RELEASE: `RELEASE ends a SAVEPOINT. ${USE_EXCEPTION}`,
  TRANS_STMT_ROLLBACK_TO: `ROLLBACK TO undoes a part of it, which would still be recorded as applied. ${USE_EXCEPTION}`,
  TRANS_STMT_PREPARE:
    'PREPARE TRANSACTION ends it, and its locks stay until someone commits it or rolls it back.',
  TRANS_STMT_COMMIT_PREPARED: `COMMIT PREPARED ends another transaction. ${REFUSED}`,
  TRANS_STMT_ROLLBACK_PREPARED: `ROLLBACK PREPARED ends another transaction. ${REFUSED}`,
};

function transactionControl({ kind = 'TRANS_STMT_COMMIT' }: Pick<TransactionStmt, 'kind'>): Problem {
  const effect = EFFECTS[kind] ?? 'The statement changes it.';
  return { rule: 'transaction-control', message: `${ONE_TRANSACTION} ${effect} ${REMOVE}` };
}

/** Transaction control by its first words. */
const CONTROL_WORDS: readonly (readonly [string, TransactionKind])[] = [
  ['begin', 'TRANS_STMT_BEGIN'],
  ['start transaction', 'TRANS_STMT_START'],
  ['commit prepared', 'TRANS_STMT_COMMIT_PREPARED'],
  ['commit', 'TRANS_STMT_COMMIT'],
  ['end', 'TRANS_STMT_COMMIT'],
  ['rollback prepared', 'TRANS_STMT_ROLLBACK_PREPARED'],
  ['rollback to', 'TRANS_STMT_ROLLBACK_TO'],
  ['rollback', 'TRANS_STMT_ROLLBACK'],
  ['abort', 'TRANS_STMT_ROLLBACK'],
  ['savepoint', 'TRANS_STMT_SAVEPOINT'],
  ['release', 'TRANS_STMT_RELEASE'],
  ['prepare transaction', 'TRANS_STMT_PREPARE'],
];

function firstWords(sql: string): Problem | null {
  const text = wordsAtStart(sql, 2).join(' ');
  const found = CONTROL_WORDS.find(([control]) => text === control || text.startsWith(`${control} `));
  return found === undefined ? null : transactionControl({ kind: found[1] });
}

/** Settings that belong to the running transaction. SET accepts them under their names too. */
const OF_TRANSACTION = [
  'TRANSACTION',
  'TRANSACTION SNAPSHOT',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
];

function settingProblem({ kind, name = '', args = [] }: VariableSetStmt): Problem | null {
  if (kind === 'VAR_SET_VALUE' || kind === 'VAR_SET_MULTI') {
    if (OF_TRANSACTION.includes(name)) return ofTransaction('SET TRANSACTION');
    const [value] = args;
    return textSetting(name, value === undefined ? undefined : constantOf(value), 'SET');
  }
  return null;
}

function ofTransaction(what: string): Problem {
  return {
    rule: 'transaction-control',
    message: `${ONE_TRANSACTION} ${what} would change it for the other files, or fail, because it has already started. ${REMOVE}`,
  };
}

/** set_config('client_encoding', …) does what SET does. */
function settingByFunction(node: StatementNode): Problem | null {
  for (const [name, value] of settingCalls(node)) {
    if (OF_TRANSACTION.includes(name)) return ofTransaction(`set_config('${name}', …)`);
    const problem = textSetting(name, value, 'set_config');
    if (problem !== null) return problem;
  }
  return null;
}

/** The constant arguments of each call of set_config. */
function settingCalls(tree: unknown): (readonly [string, string | undefined])[] {
  return nodesIn(tree, 'FuncCall').flatMap((node) => {
    const { funcname = [], args = [] } = node as { funcname?: Node[]; args?: Node[] };
    const last = funcname.at(-1);
    const isCall = last !== undefined && 'String' in last && last.String.sval === 'set_config';
    const [name, setting] = isCall ? args.map(constantOf) : [];
    return name === undefined ? [] : [[name.toLowerCase(), setting] as const];
  });
}

/** Settings that change how the server reads the text of a statement, and their only valid values. */
function textSetting(name: string, value: string | undefined, verb: string): Problem | null {
  const shown = value === undefined ? '' : ` to ${shortened(value, 40)}`;
  if (name.toLowerCase() === 'client_encoding' && !isUtf8(value)) {
    return {
      rule: 'session-setting',
      message:
        `${verb} changes client_encoding${shown}. The deploy sends the file as UTF-8, so PostgreSQL would read other characters ` +
        'than the file contains. Remove it, and save the file as UTF-8.',
    };
  }
  if (name.toLowerCase() === 'standard_conforming_strings' && !isOn(value)) {
    return {
      rule: 'session-setting',
      message:
        `${verb} changes standard_conforming_strings${shown}. The file is split into statements by the rules of standard strings, ` +
        "so the server could see other statements. Remove it, and write strings with escapes as E'…'.",
    };
  }
  return null;
}

/** PostgreSQL ignores case and punctuation in the names of encodings. */
function isUtf8(value: string | undefined): boolean {
  return ['utf8', 'unicode'].includes((value ?? '').toLowerCase().replaceAll(/[^a-z0-9]/g, ''));
}

function isOn(value: string | undefined): boolean {
  return ['on', 'true', 'tru', 'tr', 't', 'yes', 'ye', 'y', '1'].includes((value ?? '').toLowerCase());
}

/** The value of a constant as text. Undefined: it is not a constant. */
function constantOf(value: Node): string | undefined {
  let node: Node | undefined = value;
  while (node !== undefined && 'TypeCast' in node) node = node.TypeCast.arg;
  if (node === undefined || !('A_Const' in node)) return undefined;
  const { sval, ival, boolval } = node.A_Const;
  if (sval !== undefined) return sval.sval ?? '';
  if (ival !== undefined) return String(ival.ival ?? 0);
  return boolval === undefined ? undefined : String(boolval.boolval ?? false);
}

function outsideTransaction(what: string): Problem {
  return {
    rule: 'outside-transaction',
    message: `PostgreSQL refuses ${what} inside a transaction. ${ONE_TRANSACTION} Run it yourself, outside of a migration.`,
  };
}

/** The name of a statement that PostgreSQL refuses inside a transaction. Null: it accepts the statement. */
function refusedInTransaction(node: StatementNode): string | null {
  if (node.CreatedbStmt !== undefined) return 'CREATE DATABASE';
  if (node.DropdbStmt !== undefined) return 'DROP DATABASE';
  if (node.CreateTableSpaceStmt !== undefined) return 'CREATE TABLESPACE';
  if (node.DropTableSpaceStmt !== undefined) return 'DROP TABLESPACE';
  if (node.AlterSystemStmt !== undefined) return 'ALTER SYSTEM';
  if (node.VacuumStmt?.is_vacuumcmd) return 'VACUUM';
  if (node.ClusterStmt !== undefined && node.ClusterStmt.relation === undefined)
    return 'CLUSTER without a table';
  if (node.DiscardStmt?.target === 'DISCARD_ALL') return 'DISCARD ALL';
  if (node.IndexStmt?.concurrent) return 'CREATE INDEX CONCURRENTLY';
  if (node.DropStmt?.concurrent) return 'DROP INDEX CONCURRENTLY';
  if (hasOption(node.AlterDatabaseStmt?.options, 'tablespace')) return 'ALTER DATABASE … SET TABLESPACE';
  return reindexRefused(node) ?? subscriptionRefused(node.CreateSubscriptionStmt) ?? detachRefused(node);
}

function reindexRefused({ ReindexStmt: reindex }: StatementNode): string | null {
  if (reindex === undefined) return null;
  if (isEnabled(reindex.params, 'concurrently', false)) return 'REINDEX CONCURRENTLY';
  const kinds: Readonly<Record<string, string>> = {
    REINDEX_OBJECT_SCHEMA: 'REINDEX SCHEMA',
    REINDEX_OBJECT_SYSTEM: 'REINDEX SYSTEM',
    REINDEX_OBJECT_DATABASE: 'REINDEX DATABASE',
  };
  return kinds[reindex.kind ?? ''] ?? null;
}

/** A subscription is created outside of a transaction if it creates its replication slot. */
function subscriptionRefused(create: CreateSubscriptionStmt | undefined): string | null {
  if (create === undefined) return null;
  const connects = isEnabled(create.options, 'connect', true);
  return isEnabled(create.options, 'create_slot', connects)
    ? 'CREATE SUBSCRIPTION with a new replication slot'
    : null;
}

function detachRefused({ AlterTableStmt: alter }: StatementNode): string | null {
  const isConcurrent = (alter?.cmds ?? []).some((command) => {
    const change = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
    return change !== undefined && 'PartitionCmd' in change && change.PartitionCmd.concurrent;
  });
  return isConcurrent ? 'DETACH PARTITION … CONCURRENTLY' : null;
}

function hasOption(options: readonly Node[] | undefined, name: string): boolean {
  return (options ?? []).some((option) => 'DefElem' in option && option.DefElem.defname === name);
}

/** The value of a boolean option. Without a value it is true. */
function isEnabled(options: readonly Node[] | undefined, name: string, absent: boolean): boolean {
  const found = (options ?? []).find((option) => 'DefElem' in option && option.DefElem.defname === name);
  if (found === undefined || !('DefElem' in found)) return absent;
  const { arg } = found.DefElem;
  if (arg === undefined) return true;
  if ('Boolean' in arg) return arg.Boolean.boolval === true;
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) !== 0;
  return !('String' in arg) || isOn(arg.String.sval);
}

function psqlCommand(text: string): Problem {
  return {
    rule: 'psql-only',
    message: `${shortened(text, 60)} is a command of psql. The deploy sends the file to the server, which does not know it. Remove it.`,
  };
}

import { basename } from 'node:path';
import type { Condition } from '../../../lambdas/shared/migration-manifest.ts';
import { shortened } from '../../../lambdas/shared/text.ts';
import { codeBodyOf } from '../code-body.ts';
import { type EmbeddedStatement, embeddedStatements } from '../embedded-statements.ts';
import type { KnownObjects } from '../known-objects.ts';
import type { StatementNode } from '../parse-tree.ts';
import type { SqlStatement, SqlText } from '../read-sql.ts';
import { statementsToRun } from '../statements-to-run.ts';
import { type RefusedStatement, refusedByFirstWords, refusedStatement } from './refused-statements.ts';
import { settingByFunction, settingProblem } from './session-settings.ts';
import { controlByFirstWords, transactionControl } from './transaction-control.ts';
import { ONE_TRANSACTION, type Problem, REMOVE, type TransactionProblem } from './transaction-problem.ts';

/** A problem that exists only if the database has an object of this kind. */
export interface ConditionalProblem extends TransactionProblem {
  readonly condition: Condition;
}

export interface TransactionProblems {
  readonly problems: readonly TransactionProblem[];
  /** Preflight asks the database about these. */
  readonly conditional: readonly ConditionalProblem[];
}

/**
 * Finds what keeps a file from running statement by statement in one transaction with other files: in its statements, in the code
 * of DO blocks, and in the functions of the migrations that a statement runs. Adds what the file creates to `known`.
 * @param file its path, for `known`
 * @param examine called for each statement, with what the statements before it have created @default nothing
 */
export function transactionProblems(
  file: string,
  sql: SqlText,
  known: KnownObjects,
  examine: (statement: SqlStatement) => void = () => {},
): TransactionProblems {
  // Each file begins with the settings of the session.
  known.schema.path.start();
  const found = sql.statements.flatMap((statement) => {
    const problems = problemsOf(statement, sql, known);
    examine(statement);
    known.apply(file, statement);
    return problems;
  });
  return inOrder([...found, ...commandProblems(sql)]);
}

type Found = TransactionProblem & { readonly condition?: Condition | null };

/** Splits problems into certain and conditional ones, in the order of the file. */
export function inOrder(found: readonly Found[]): TransactionProblems {
  const sorted = found.toSorted((a, b) => a.line - b.line || a.column - b.column);
  return {
    problems: sorted.filter(({ condition = null }) => condition === null),
    conditional: sorted.flatMap(({ condition = null, ...one }) =>
      condition === null ? [] : [{ ...one, condition }],
    ),
  };
}

/** The commands of psql, which the server does not know. */
export function commandProblems({ commands, placeOf }: SqlText): TransactionProblem[] {
  return commands.map(({ start, text }) => ({ ...placeOf(start), ...psqlCommand(text) }));
}

/** The problems of one statement. @param known what the statements before it have created */
export function problemsOf(statement: SqlStatement, { placeOf }: SqlText, known: KnownObjects): Found[] {
  const own = ofStatement(statement, known);
  const { line, column } = statement;
  const inCalls = known.functions
    .calledBy(statement)
    .bodies.flatMap(({ name, file, line: defined, embedded }) =>
      embedded.flatMap((one) => {
        const problem = ofCode(one, known);
        const message = `The statement runs ${name}() (${basename(file)}, line ${defined}). ${problem?.message}`;
        return problem === null ? [] : [{ ...problem, message, line, column }];
      }),
    );
  return [
    ...(own === null ? [] : [{ ...own, line, column }]),
    ...inDoBlock(statement, placeOf, known),
    ...inCalls,
  ];
}

function inDoBlock(statement: SqlStatement, placeOf: SqlText['placeOf'], known: KnownObjects): Found[] {
  const body = statement.node?.DoStmt === undefined ? undefined : codeBodyOf(statement);
  return embeddedStatements(body?.code ?? '').flatMap((one) => {
    const problem = ofCode(one, known);
    return problem === null ? [] : [{ ...problem, ...placeOf(body?.offsetOf(one.at) ?? statement.start) }];
  });
}

type FoundHere = Problem & { readonly condition?: Condition | null };

/** A statement in the code of a DO block or a function. */
function ofCode({ statement, words }: EmbeddedStatement, known: KnownObjects): FoundHere | null {
  const node = statement?.node;
  if (node?.TransactionStmt !== undefined) {
    return {
      rule: 'transaction-control',
      message: `${ONE_TRANSACTION} PostgreSQL refuses ${words.toUpperCase()} in code that runs inside a transaction. ${REMOVE}`,
    };
  }
  return ofRefused(
    node,
    node === undefined ? refusedByFirstWords(words) : refusedStatement(node, known),
    known,
  );
}

function ofStatement({ node, sql }: SqlStatement, known: KnownObjects): FoundHere | null {
  // The server may be able to parse what this parser cannot, so the first words have to decide.
  if (node === undefined) return controlByFirstWords(sql) ?? ofRefused(node, refusedByFirstWords(sql), known);
  if (node.TransactionStmt !== undefined) return transactionControl(node.TransactionStmt);
  if (node.VariableSetStmt !== undefined) return settingProblem(node.VariableSetStmt);
  const refused = ofRefused(node, refusedStatement(node, known), known);
  if (refused !== null) return refused;
  const { CopyStmt: copy } = node;
  if (copy?.is_from && copy.filename === undefined) {
    return {
      rule: 'psql-only',
      message:
        'COPY … FROM STDIN reads data that only psql sends. Write the rows as INSERT … VALUES, or load them with your own tool.',
    };
  }
  return settingByFunction(node, sql);
}

/** Longer ones do not help in a message. */
const LONGEST_STATEMENTS = 500;

function ofRefused(
  node: StatementNode | undefined,
  refused: RefusedStatement | null,
  { schema }: KnownObjects,
): FoundHere | null {
  if (refused === null) return null;
  const { name, instead, later, condition } = refused;
  const statements = node === undefined || !later ? null : statementsToRun(node, schema);
  const isShown = statements !== null && statements.length <= LONGEST_STATEMENTS;
  const message = [
    `PostgreSQL refuses ${name} inside a transaction.`,
    ONE_TRANSACTION,
    ...(later ? [`${RUN_LATER}${isShown ? `: ${statements}` : '.'}`] : []),
    instead,
  ];
  return { rule: 'outside-transaction', message: message.join(' ').trim(), condition };
}

const RUN_LATER = 'Remove it, and run it yourself after the deploy, outside of a transaction';

function psqlCommand(text: string): Problem {
  return {
    rule: 'psql-only',
    message: `${shortened(text, 60)} is a command of psql. The deploy sends the file to the server, which does not know it. Remove it.`,
  };
}

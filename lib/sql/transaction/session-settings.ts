import type { Node, VariableSetStmt } from 'libpg-query';
import { shortened } from '../../../lambdas/shared/text.ts';
import { isOn } from '../option-values.ts';
import { nodesIn, type StatementNode } from '../parse-tree.ts';
import { ONE_TRANSACTION, type Problem, REMOVE } from './transaction-problem.ts';

/** Settings that belong to the running transaction. SET accepts them under their names too. */
const OF_TRANSACTION = [
  'TRANSACTION',
  'TRANSACTION SNAPSHOT',
  'transaction_isolation',
  'transaction_read_only',
  'transaction_deferrable',
];

/** SET of a setting that the deploy needs as it is. Null: the statement is fine. */
export function settingProblem({ kind, name = '', args = [] }: VariableSetStmt): Problem | null {
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

/** A call of set_config, or a name whose characters are escaped: U&"set\005fconfig". */
const MAY_CALL = /set_config|u&"/i;

/** set_config('client_encoding', …) does what SET does. @param sql the text of the statement: most have no such call */
export function settingByFunction(node: StatementNode, sql: string): Problem | null {
  if (!MAY_CALL.test(sql)) return null;
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

import { codeBodyOf } from '../../sql/code-body.ts';
import { type EmbeddedStatement, embeddedStatements } from '../../sql/embedded-statements.ts';
import { stringsIn } from '../../sql/parse-tree.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import { identifierName, tokensOf } from '../../sql/tokens.ts';

/** A function or procedure that the migrations define. */
interface FunctionBody {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Its statements on indexes. */
  readonly embedded: readonly EmbeddedStatement[];
  /** Names of the functions that its code calls. */
  readonly calls: readonly string[];
}

/** Statements that run the functions that they name. In others, a name followed by `(` is a definition or a grant. */
const RUNNING = ['SelectStmt', 'CallStmt', 'DoStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** The functions that the migrations define so far. Only a migration that calls one of them runs its statements. */
export class FunctionBodies {
  private readonly byName = new Map<string, FunctionBody>();

  define(file: string, statement: SqlStatement): void {
    const name = stringsIn(statement.node?.CreateFunctionStmt?.funcname).at(-1);
    const body = codeBodyOf(statement);
    if (name === undefined || body === undefined) return;
    const embedded = embeddedStatements(body.code);
    this.byName.set(name, { name, file, line: statement.line, embedded, calls: callsIn(body.code) });
  }

  /** The functions with statements on indexes that a statement runs, directly or through other functions. */
  calledBy(statement: SqlStatement): FunctionBody[] {
    const kind = Object.keys(statement.node ?? {})[0] ?? '';
    if (this.byName.size === 0 || !RUNNING.includes(kind)) return [];
    const code = codeBodyOf(statement)?.code ?? statement.sql;
    const found = new Set<FunctionBody>();
    this.addCalled(callsIn(code), found);
    return [...found].filter((body) => body.embedded.length > 0);
  }

  private addCalled(names: readonly string[], found: Set<FunctionBody>): void {
    for (const name of names) {
      const body = this.byName.get(name);
      if (body === undefined || found.has(body)) continue;
      found.add(body);
      this.addCalled(body.calls, found);
    }
  }
}

function callsIn(code: string): string[] {
  const tokens = tokensOf(code);
  return tokens.flatMap((token, at) => {
    const isCall = !token.isString && tokens[at + 1]?.text === '(';
    return isCall ? [identifierName(token)] : [];
  });
}

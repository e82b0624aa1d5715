import { codeBodyOf } from '../../sql/code-body.ts';
import { type EmbeddedStatement, embeddedStatements } from '../../sql/embedded.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import { identifierName, tokensOf } from '../../sql/tokens.ts';

/** A function or procedure of the migrations that does something to indexes, itself or through another one. */
export interface FunctionBody {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly embedded: readonly EmbeddedStatement[];
  /** Names that its code calls. */
  readonly calls: readonly string[];
}

/** Statements that run the functions that they name; elsewhere a name followed by `(` is a definition or a grant. */
const RUNNING = ['SelectStmt', 'CallStmt', 'DoStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** What the migrations so far defined: it is not run by being defined, but by a migration that calls it. */
export class FunctionBodies {
  private readonly byName = new Map<string, FunctionBody>();

  define(file: string, statement: SqlStatement): void {
    const name = lastName(statement);
    const body = codeBodyOf(statement);
    if (name === undefined || body === undefined) return;
    const embedded = embeddedStatements(body.code);
    this.byName.set(name, { name, file, line: statement.line, embedded, calls: callsIn(body.code) });
  }

  /** Those that a statement runs, through others too. */
  calledBy(statement: SqlStatement): FunctionBody[] {
    const kind = Object.keys(statement.node ?? {})[0] ?? '';
    if (this.byName.size === 0 || !RUNNING.includes(kind)) return [];
    const code = codeBodyOf(statement)?.code ?? statement.sql;
    const found = new Set<FunctionBody>();
    this.follow(callsIn(code), found);
    return [...found].filter((body) => body.embedded.length > 0);
  }

  private follow(names: readonly string[], found: Set<FunctionBody>): void {
    for (const name of names) {
      const body = this.byName.get(name);
      if (body === undefined || found.has(body)) continue;
      found.add(body);
      this.follow(body.calls, found);
    }
  }
}

function lastName(statement: SqlStatement): string | undefined {
  const name = statement.node?.CreateFunctionStmt?.funcname?.at(-1);
  return name !== undefined && 'String' in name ? name.String.sval : undefined;
}

function callsIn(code: string): string[] {
  const tokens = tokensOf(code);
  return tokens.flatMap((token, at) => {
    const isCall = !token.isString && tokens[at + 1]?.text === '(';
    return isCall ? [identifierName(token)] : [];
  });
}

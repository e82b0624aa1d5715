import { codeBodyOf } from './code-body.ts';
import { type EmbeddedStatement, embeddedStatements } from './embedded-statements.ts';
import { optionText } from './option-values.ts';
import { stringsIn } from './parse-tree.ts';
import type { SqlStatement } from './read-sql.ts';
import { identifierName, tokensOf } from './tokens.ts';

/** A function or procedure that the migrations define. */
interface FunctionBody {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  /** Its statements that lint checks. */
  readonly embedded: readonly EmbeddedStatement[];
  /** Names of the functions that its code calls. */
  readonly calls: readonly string[];
  /** It may change or lock something: PostgreSQL refuses that in a function that is declared STABLE or IMMUTABLE. */
  readonly isVolatile: boolean;
}

/** Statements that run the functions that they name. In others, a name followed by `(` is a definition or a grant. */
const RUNNING = ['SelectStmt', 'CallStmt', 'DoStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** The functions that a statement runs. */
interface CalledFunctions {
  readonly bodies: readonly FunctionBody[];
  /** False: there are more, which were not followed. */
  readonly isComplete: boolean;
}

const NONE_CALLED: CalledFunctions = { bodies: [], isComplete: true };

/** A statement that runs more functions is reported. Otherwise n functions and n statements would need n * n steps. */
export const MOST_CALLED = 20;

/** The functions that the migrations define so far. Only a migration that calls one of them runs its statements. */
export class FunctionBodies {
  private readonly byName = new Map<string, FunctionBody>();
  /** Several rules ask about one statement. */
  private readonly answers = new WeakMap<SqlStatement, CalledFunctions>();

  define(file: string, statement: SqlStatement): void {
    const name = stringsIn(statement.node?.CreateFunctionStmt?.funcname).at(-1);
    const body = codeBodyOf(statement);
    if (name === undefined || body === undefined) return;
    const embedded = embeddedStatements(body.code);
    const volatility = optionText(statement.node?.CreateFunctionStmt?.options, 'volatility') ?? 'volatile';
    const isVolatile = volatility === 'volatile';
    this.byName.set(name, {
      name,
      file,
      line: statement.line,
      embedded,
      calls: callsIn(body.code),
      isVolatile,
    });
  }

  /** Names of the functions of the migrations that a statement runs itself and that may change or lock something. */
  volatileIn(statement: SqlStatement): string[] {
    if (this.byName.size === 0 || !RUNNING.includes(kindOf(statement))) return [];
    return callsIn(statement.sql).filter((name) => this.byName.get(name)?.isVolatile === true);
  }

  /** The functions with such statements that a statement runs, directly or through other functions. */
  calledBy(statement: SqlStatement): CalledFunctions {
    // Nearly all statements of a dump. They are no reason to keep an answer for each.
    if (this.byName.size === 0 || !RUNNING.includes(kindOf(statement))) return NONE_CALLED;
    const answer = this.answers.get(statement) ?? this.follow(statement);
    this.answers.set(statement, answer);
    return answer;
  }

  private follow(statement: SqlStatement): CalledFunctions {
    const code = codeBodyOf(statement)?.code ?? statement.sql;
    const found = new Set<FunctionBody>();
    const names = callsIn(code).reverse();
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const body = this.byName.get(name);
      if (body === undefined || found.has(body)) continue;
      if (found.size === MOST_CALLED) return { bodies: withStatements(found), isComplete: false };
      found.add(body);
      names.push(...body.calls.toReversed());
    }
    return { bodies: withStatements(found), isComplete: true };
  }
}

function kindOf({ node }: SqlStatement): string {
  return Object.keys(node ?? {})[0] ?? '';
}

function withStatements(bodies: Iterable<FunctionBody>): FunctionBody[] {
  return [...bodies].filter((body) => body.embedded.length > 0);
}

/** Each name once. */
function callsIn(code: string): string[] {
  const tokens = tokensOf(code);
  const calls = tokens.filter((token, at) => !token.isString && tokens[at + 1]?.text === '(');
  return [...new Set(calls.map(identifierName))];
}

import { shortened } from '../../../lambdas/shared/text.ts';
import { unitOffsetsIn } from '../byte-offsets.ts';
import { type CodeBody, codeBodyOf, contentOf } from '../code-body.ts';
import type { StatementNode } from '../parse-tree.ts';
import type { SourcePlace } from '../places.ts';
import { readSql, type SqlStatement } from '../read-sql.ts';
import { doubtNamed } from '../schema/doubtful-uses.ts';
import type { ApplyContext, Schema } from '../schema/schema-model.ts';
import type { SchemaFunction } from '../schema/schema-objects.ts';
import { identifierName, type SqlToken, tokensOf } from '../tokens.ts';
import { conditionHolds } from './catalog-conditions.ts';
import { CHANGES, CHANGING, hasEffect, isRelevant, languageOf, REMOVES, raises } from './code-effects.ts';
import { type CodeStatement, codeStructure } from './code-structure.ts';
import { constantText } from './constant-text.ts';
import { callsInCode, type FunctionCall, functionCalls, parametersOf } from './function-calls.ts';
import { failure } from './may-fail.ts';
import { assignedIn, declared, expressionIn, roundsOf } from './variables.ts';

/** Applies a statement of the code to the schema. */
type Apply = (schema: Schema, file: string, statement: SqlStatement) => void;

/** Functions that call each other, and DO blocks in strings, end here. */
const DEEPEST = 8;

/** Characters of code in one session: a function can be called by many statements. */
const MOST_CODE = 20_000_000;

/**
 * Runs the code of a DO block, or of the functions that a statement calls, on the schema. A statement that runs in any case is
 * applied. One that depends on a condition, a loop or an error that only the server knows is applied in doubt. Code that assembles
 * SQL at run time is recorded as not followed.
 */
export function runCode(context: ApplyContext, apply: Apply): void {
  const { node } = context.statement;
  if (node?.DoStmt !== undefined) new CodeRun(context, 'a DO block', apply).run();
  else if (node?.CreateFunctionStmt !== undefined) define(context);
  else callFunctions(context, callsOf(context), apply);
}

function define({ schema, statement, place }: ApplyContext): void {
  const { funcname = [], replace = false } = statement.node?.CreateFunctionStmt ?? {};
  const last = funcname.at(-1);
  const name = last !== undefined && 'String' in last ? (last.String.sval ?? '') : '';
  const others = replace ? [] : (schema.functions.get(name) ?? []);
  schema.functions.set(name, [...others, { file: place.file, statement }]);
}

const CALLING = ['SelectStmt', 'CallStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'];

/** The functions that a statement runs. In other statements, a name before a parenthesis is a definition or a grant. */
function callsOf({ schema, statement: { node } }: ApplyContext): readonly FunctionCall[] {
  const kind = Object.keys(node ?? {})[0] ?? '';
  return schema.functions.size === 0 || !CALLING.includes(kind) ? [] : functionCalls(node);
}

/** Runs the functions of the migrations that a statement calls. */
function callFunctions(context: ApplyContext, calls: readonly FunctionCall[], apply: Apply): void {
  const { schema, place } = context;
  for (const { name, values, isOnce } of calls) {
    const found = schema.functions.get(name) ?? [];
    for (const one of found) {
      const isCertain = isOnce && found.length === 1;
      const reason = `the statement at line ${place.line} may call the function ${name}, which changes it`;
      schema.inDoubt(isCertain ? undefined : { place, reason }, () => {
        runFunction(context, { name, values }, one, apply);
      });
    }
  }
}

function runFunction(
  { schema }: ApplyContext,
  { name, values }: Pick<FunctionCall, 'name' | 'values'>,
  { file, statement }: SchemaFunction,
  apply: Apply,
): void {
  const { line, column } = statement;
  schema.called.add(statement);
  const run = new CodeRun(
    { schema, statement, place: { file, line, column } },
    `the function ${name}`,
    apply,
  );
  const options = statement.node?.CreateFunctionStmt?.options ?? [];
  const settings = options.flatMap((option) =>
    'DefElem' in option && option.DefElem.defname === 'set' ? (option.DefElem.arg ?? []) : [],
  );
  const start = () => run.run(parametersOf(statement.node, values));
  if (settings.length === 0) start();
  else {
    schema.path.restoring(() => {
      for (const setting of settings) schema.path.apply(setting as StatementNode);
      start();
    });
  }
}

/** How the statements after one run. */
type Flow = 'continue' | 'may end' | 'end';

class CodeRun {
  private readonly context: ApplyContext;
  private readonly where: string;
  private readonly apply: Apply;
  private readonly code: string;
  private readonly body: CodeBody | undefined;
  private readonly bytesBefore: (units: number) => number;
  /** The variables whose value is known. */
  private readonly values = new Map<string, string>();
  private assigned: ReadonlySet<string> = new Set();
  /** False: it is unknown whether the current statement runs. */
  private isCertain = true;

  constructor(context: ApplyContext, where: string, apply: Apply) {
    this.context = context;
    this.where = where;
    this.apply = apply;
    this.body = codeBodyOf(context.statement);
    this.code = this.body?.code ?? '';
    this.bytesBefore = unitOffsetsIn(context.statement.sql);
  }

  /** @param values of the parameters that are known */
  run(values: ReadonlyMap<string, string> = new Map()): void {
    const { schema } = this.context;
    const tokens = tokensOf(this.code);
    this.assigned = assignedIn(tokens);
    for (const [name, value] of values) if (!this.assigned.has(name)) this.values.set(name, value);
    schema.codeRun += this.code.length;
    if (schema.codeDepth >= DEEPEST || schema.codeRun > MOST_CODE) {
      if (isRelevant(tokens)) this.unfollowed(0, 'it calls too many functions to follow all of them');
      return;
    }
    schema.codeDepth += 1;
    if (languageOf(this.context.statement.node) === 'sql') this.applySql(this.code, 0);
    else {
      const statements = languageOf(this.context.statement.node) === 'plpgsql' ? codeStructure(tokens) : null;
      if (statements !== null) this.runAll(statements);
      else if (isRelevant(tokens)) this.unfollowed(0, 'it cannot be read');
    }
    schema.codeDepth -= 1;
  }

  private runAll(statements: readonly CodeStatement[]): Flow {
    let mayEnd = false;
    for (const statement of statements) {
      const flow: Flow = this.inDoubtIf(mayEnd, () => this.runOne(statement));
      if (flow === 'end') return mayEnd ? 'may end' : 'end';
      mayEnd ||= flow === 'may end';
    }
    return mayEnd ? 'may end' : 'continue';
  }

  private runOne(statement: CodeStatement): Flow {
    switch (statement.kind) {
      case 'simple':
        return this.simple(statement.tokens);
      case 'branches':
        return this.branches(statement.branches);
      case 'loop':
        return this.loop(statement);
      case 'block':
        for (const declaration of statement.declarations) {
          const [name, value] = declared(declaration, this.code, this.values) ?? [];
          if (name !== undefined && value !== undefined && !this.assigned.has(name))
            this.values.set(name, value);
        }
        return statement.handlers === null
          ? this.runAll(statement.body)
          : this.handled(statement.body, statement.handlers);
    }
  }

  private loop({ head, body }: Extract<CodeStatement, { kind: 'loop' }>): Flow {
    this.calls(head);
    const known = roundsOf(head, this.code, this.values);
    if (known === undefined) {
      const flow = this.inDoubtIf(true, () => this.runAll(body));
      return flow === 'continue' ? 'continue' : 'may end';
    }
    const before = this.values.get(known.name);
    let mayEnd = false;
    for (const value of known.rounds) {
      this.values.set(known.name, value);
      const flow: Flow = this.inDoubtIf(mayEnd, () => this.runAll(body));
      mayEnd ||= flow !== 'continue';
    }
    if (before === undefined) this.values.delete(known.name);
    else this.values.set(known.name, before);
    return mayEnd ? 'may end' : 'continue';
  }

  private branches(branches: Extract<CodeStatement, { kind: 'branches' }>['branches']): Flow {
    let isSure = true;
    let mayEnd = false;
    for (const { condition, body } of branches) {
      const holds = this.holds(condition, body);
      if (holds === false) continue;
      const flow = this.inDoubtIf(!isSure || holds === undefined, () => this.runAll(body));
      if (isSure && holds) return flow;
      mayEnd ||= flow !== 'continue';
      if (holds) break;
      isSure = false;
    }
    return mayEnd ? 'may end' : 'continue';
  }

  /** @param condition undefined for ELSE, null for a branch of CASE */
  private holds(
    condition: readonly SqlToken[] | null | undefined,
    body: readonly CodeStatement[],
  ): boolean | undefined {
    if (condition === undefined) return true;
    // The migration ran, so it did not raise an error.
    if (this.handlers === 0 && body.some(raises)) return false;
    return condition === null ? undefined : conditionHolds(this.context.schema, this.textOf(condition));
  }

  private handlers = 0;

  /** A block that handles errors: if a statement fails, the server undoes all of the block. */
  private handled(body: readonly CodeStatement[], handlers: readonly CodeStatement[]): Flow {
    const failures = this.failures(body);
    const first = failures.find((one) => one !== 'no');
    if (first === 'yes' && failures[0] === 'yes')
      return this.runAll(handlers) === 'continue' ? 'continue' : 'may end';
    this.handlers += 1;
    const flow = this.inDoubtIf(first !== undefined, () => this.runAll(body));
    this.handlers -= 1;
    if (first === undefined) return flow;
    const other = this.inDoubtIf(true, () => this.runAll(handlers));
    return flow === 'continue' && other === 'continue' ? 'continue' : 'may end';
  }

  /** Whether the statements of a block fail, in their order. A condition that is unknown can do anything. */
  private failures(statements: readonly CodeStatement[]): ReturnType<typeof failure>[] {
    const { schema } = this.context;
    return statements.flatMap((statement) => {
      if (statement.kind === 'simple') {
        if (raises(statement)) return ['unknown' as const];
        return this.sqlOf(statement.tokens).map(({ node }) =>
          node === undefined ? 'unknown' : failure(schema, node),
        );
      }
      if (statement.kind === 'block') return this.failures(statement.body);
      if (statement.kind === 'loop') return hasEffect(statement.body) ? ['unknown' as const] : [];
      if (!statement.branches.some(({ body }) => hasEffect(body))) return [];
      for (const { condition, body } of statement.branches) {
        const holds =
          condition === undefined
            ? true
            : condition === null
              ? undefined
              : conditionHolds(schema, this.textOf(condition));
        if (holds === undefined) return ['unknown' as const];
        if (holds) return this.failures(body);
      }
      return [];
    });
  }

  private simple(tokens: readonly SqlToken[]): Flow {
    const [first, second] = tokens.map(({ text }) => text.toLowerCase());
    if (first === undefined) return 'continue';
    if (first === 'return') {
      this.calls(tokens);
      return second === 'next' || second === 'query' ? 'continue' : 'end';
    }
    if (first === 'exit' || first === 'continue') return 'may end';
    if (raises({ kind: 'simple', tokens })) return 'end';
    if (first === 'commit' || first === 'rollback') {
      this.unfollowed(tokens[0]?.start ?? 0, `${first.toUpperCase()} in it ends the transaction`);
      return 'continue';
    }
    const statements = this.sqlOf(tokens);
    for (const statement of statements) this.applyOne(statement);
    if (statements.length === 0) {
      if (first === 'execute') this.dynamic(tokens);
      else this.calls(tokens);
    }
    return 'continue';
  }

  /** The SQL that a simple statement runs. Empty: it changes no table and no index, or its text is unknown. */
  private sqlOf(tokens: readonly SqlToken[]): SqlStatement[] {
    const [first] = tokens;
    if (first === undefined) return [];
    const word = first.text.toLowerCase();
    if (word === 'execute') {
      const text = this.executed(tokens.slice(1));
      return text === undefined ? [] : this.read(text, () => first.start);
    }
    if (word === 'perform') {
      if (!tokens.some((token) => token.text.toLowerCase() === 'set_config')) return [];
      return this.read(`select ${this.textOf(tokens.slice(1))}`, () => first.start);
    }
    if (!CHANGING.includes(word)) return [];
    return this.read(this.textOf(tokens), (at) => first.start + at);
  }

  /** The text that EXECUTE runs. Undefined: it is assembled from more than literals. */
  private executed(tokens: readonly SqlToken[]): string | undefined {
    const end = tokens.findIndex((token) => ['into', 'using'].includes(token.text.toLowerCase()));
    const expression = this.textOf(end === -1 ? tokens : tokens.slice(0, end));
    return constantText(expressionIn(expression), this.values);
  }

  /** EXECUTE of a text that the code assembles. */
  private dynamic(tokens: readonly SqlToken[]): void {
    const text = tokens.some((token) => token.isString) ? this.textOf(tokens) : this.code;
    if (!CHANGES.test(text)) return;
    const [first] = tokens;
    const what = shortened(this.textOf(tokens).replaceAll(/\s+/g, ' '), 60);
    const reason = `"${what}" runs SQL that the code assembles at run time`;
    this.unfollowed(first?.start ?? 0, reason);
    if (!REMOVES.test(text)) return;
    const doubt = { place: this.placeOf(first?.start ?? 0), reason: `${reason}, and may change or drop it` };
    doubtNamed(
      this.context.schema,
      tokensOf(this.code)
        .filter((token) => token.isString)
        .map(({ text: one }) => contentOf(one).text),
      doubt,
    );
  }

  private calls(tokens: readonly SqlToken[]): void {
    const { functions } = this.context.schema;
    const isCall = tokens.some(
      (token, at) => tokens[at + 1]?.text === '(' && functions.has(identifierName(token)),
    );
    if (!isCall) return;
    const calls = callsInCode(this.textOf(tokens), this.values);
    this.applied(this.placeOf(tokens[0]?.start ?? 0), this.textOf(tokens), () =>
      callFunctions(this.context, calls, this.apply),
    );
  }

  private applySql(code: string, start: number): void {
    for (const statement of this.read(code, (at) => start + at)) this.applyOne(statement);
  }

  private applyOne(statement: SqlStatement): void {
    const { file } = this.context.place;
    this.applied({ file, line: statement.line, column: statement.column }, statement.sql, () =>
      this.apply(this.context.schema, file, statement),
    );
  }

  /** Applies something, in doubt if it is unknown whether it runs. */
  private applied(place: SourcePlace, text: string, apply: () => void): void {
    const what = shortened(text.replaceAll(/\s+/g, ' '), 60);
    const reason = `${this.where} runs "${what}" only under a condition that is unknown here`;
    this.context.schema.inDoubt(this.isCertain ? undefined : { place, reason }, apply);
  }

  /** The statements of a text, with their places in the file. @param unitOf the offset in the code of an offset in the text */
  private read(text: string, unitOf: (at: number) => number): SqlStatement[] {
    return [...readSql(text, (at) => this.placeOf(unitOf(at))).statements];
  }

  private placeOf(at: number): SourcePlace {
    const { statement, place } = this.context;
    const unit = this.body === undefined ? 0 : this.body.offsetOf(at) - statement.start;
    return { file: place.file, ...statement.placeAt(this.bytesBefore(unit)) };
  }

  private textOf(tokens: readonly SqlToken[]): string {
    return this.code.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
  }

  private unfollowed(at: number, reason: string): void {
    this.context.schema.unfollowed.push({ place: this.placeOf(at), what: `code in ${this.where}`, reason });
  }

  private inDoubtIf<Result>(isDoubtful: boolean, run: () => Result): Result {
    const before = this.isCertain;
    this.isCertain = before && !isDoubtful;
    const result = run();
    this.isCertain = before;
    return result;
  }
}

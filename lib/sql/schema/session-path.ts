import type { Node } from 'libpg-query';
import { parseIdentifierList } from '../../../lambdas/postgres/identifiers.ts';
import { type StatementNode, stringsIn } from '../parse-tree.ts';

/** The path of a database that configures none. `"$user"` is left out: it is rare that the role has a schema of its own. */
export const DEFAULT_SEARCH_PATH: readonly string[] = ['public'];

/** Schemas in which no migration creates tables without naming them. */
const LEFT_OUT = ['$user', 'pg_temp', 'pg_catalog'];

/** The search path of the session that runs migrations: as configured, until a statement changes it. */
export class SessionPath {
  private readonly configured: readonly string[];
  private session: readonly string[];
  /** Until the transaction ends. */
  private local: readonly string[] | null = null;

  /** @param configured `database.searchPath`, `--search-path` */
  constructor(configured: readonly string[] = DEFAULT_SEARCH_PATH) {
    this.configured = orDefault(configured, DEFAULT_SEARCH_PATH);
    this.session = this.configured;
  }

  /** At least one schema. */
  get schemas(): readonly string[] {
    return this.local ?? this.session;
  }

  /** Where a table is created whose name has no schema. */
  get first(): string {
    return this.schemas[0] ?? 'public';
  }

  /** The same of the configured path: what a registry and new sessions mean by a name without a schema. */
  get firstConfigured(): string {
    return this.configured[0] ?? 'public';
  }

  /** Begins a session: each file has its own. */
  start(): void {
    this.session = this.configured;
    this.local = null;
  }

  /** Searches a schema first, as CREATE SCHEMA does for its elements. */
  prepend(schema: string): void {
    this.local = [schema, ...this.schemas];
  }

  /** Runs `apply`, and then has the same path as before: CREATE SCHEMA, a function with SET. */
  restoring(apply: () => void): void {
    const { session, local } = this;
    apply();
    this.session = session;
    this.local = local;
  }

  /** Applies SET, RESET, DISCARD, set_config, and the end of a transaction, after which SET LOCAL is over. */
  apply({ VariableSetStmt: set, DiscardStmt, TransactionStmt, SelectStmt }: StatementNode): void {
    if (set?.name === 'search_path') {
      if (set.kind !== 'VAR_SET_CURRENT') this.set(namesOf(set.args), set.is_local === true);
    } else if (set?.kind === 'VAR_RESET_ALL' || DiscardStmt?.target === 'DISCARD_ALL') this.start();
    else if (ENDS.has(TransactionStmt?.kind ?? '')) this.local = null;
    // pg_dump sets the path like this: select pg_catalog.set_config('search_path', '', false).
    for (const target of SelectStmt?.targetList ?? []) {
      const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
      if (value === undefined || !('FuncCall' in value)) continue;
      const { funcname, args } = value.FuncCall;
      if (stringsIn(funcname).at(-1) !== 'set_config' || textOf(args?.[0])?.toLowerCase() !== 'search_path')
        continue;
      const text = textOf(args?.[1]);
      if (text !== undefined) this.set(parseIdentifierList(text) ?? [], isTrue(args?.[2]));
    }
  }

  /** @param names null: the configured path again. Empty: every name has a schema, so that it does not matter */
  private set(names: readonly string[] | null, isLocal: boolean): void {
    const schemas = names === null ? this.configured : orDefault(names, DEFAULT_SEARCH_PATH);
    if (isLocal) this.local = schemas;
    else {
      this.session = schemas;
      this.local = null;
    }
  }
}

const ENDS: ReadonlySet<string> = new Set(['TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK', 'TRANS_STMT_PREPARE']);

/** The names of SET search_path. Null: of SET … TO DEFAULT and RESET. */
function namesOf(args: readonly Node[] | undefined): string[] | null {
  if (args === undefined) return null;
  const names = args.flatMap((arg) => textOf(arg) ?? []);
  // SET search_path = 'app, public' is one name for the server, and it was not meant so.
  return names.length === 1 ? (parseIdentifierList(names[0] ?? '') ?? names) : names;
}

function orDefault(names: readonly string[], otherwise: readonly string[]): readonly string[] {
  const schemas = names.filter((name) => name !== '' && !LEFT_OUT.includes(name));
  return schemas.length === 0 ? otherwise : schemas;
}

function textOf(node: Node | undefined): string | undefined {
  if (node !== undefined && 'TypeCast' in node) return textOf(node.TypeCast.arg);
  return node !== undefined && 'A_Const' in node
    ? (node.A_Const.sval?.sval ?? (node.A_Const.sval ? '' : undefined))
    : undefined;
}

function isTrue(node: Node | undefined): boolean {
  return node !== undefined && 'A_Const' in node && node.A_Const.boolval?.boolval === true;
}

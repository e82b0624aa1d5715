import type { IndexStmt, InsertStmt } from 'libpg-query';
import { codeBodyOf, contentOf } from '../../sql/code-body.ts';
import { nodesIn, stringsIn, textsIn } from '../../sql/parse-tree.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import { Groups } from '../../sql/schema/groups.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import { keyOf } from '../../sql/schema/schema-objects.ts';
import { identifierName, tokensOf } from '../../sql/tokens.ts';
import {
  DEEPEST_STRINGS,
  type UniqueKeys,
  type UniqueNeed,
  uniqueKeys,
  uniqueNeedsOf,
} from '../../sql/unique-needs.ts';

/** An index that a migration creates, as far as later statements can use it. */
export interface UsableIndex {
  readonly name: string;
  /** What its uses are recorded for, such as the statement that creates it. */
  readonly owner: object;
}

/** A statement that uses an index, and how. */
export interface LaterUse {
  readonly file: string;
  readonly line: number;
  readonly kind: 'drops' | 'names' | 'needs';
  /** What needs it: `ON CONFLICT (email)`. Empty: it only names the index. */
  readonly what: string;
  /** The function whose code uses it. Null: the statement itself. */
  readonly inFunction: string | null;
}

/** Kinds of statements that fail if an index that they name does not exist. */
const NAMING = [
  'AlterTableStmt',
  'AlterObjectSchemaStmt',
  'ClusterStmt',
  'CommentStmt',
  'DropStmt',
  'ReindexStmt',
  'RenameStmt',
];

/** A unique index, with what decides whether it serves a need. */
interface UniqueIndex extends UsableIndex, SoughtIndex {}

/** What a need seeks. */
export interface SoughtIndex extends UniqueKeys {
  /** `keyOf` its table. */
  readonly table: string;
  readonly partial: boolean;
  /** Whether it is the index of the primary key. */
  readonly primary: boolean;
}

/** A need, as of the schema at its statement. */
interface ResolvedNeed {
  readonly need: UniqueNeed;
  /** `keyOf` its table. Null: unknown. */
  readonly table: string | null;
  readonly use: LaterUse;
}

/**
 * Records which later statements use an index that could move into the registry: those that name it, and those that work only with
 * a unique index, which PostgreSQL finds by its columns. On a new database they would fail, because the migrations run before the
 * deploy builds the index.
 */
export class LaterUses {
  private readonly byName = new Map<string, UsableIndex>();
  /* A migration can have thousands of indexes and needs, so both are found by what they have in common. */
  private readonly unique = new Groups<UniqueIndex>();
  /** Of the code of functions, which can run at any later time: the first one of each kind. */
  private readonly functionNeeds = new Map<string, ResolvedNeed>();
  private readonly uses = new Map<object, LaterUse>();

  /**
   * Starts to record the uses of an index.
   * @param sought what else can need it; null: it is not unique
   * @param schema the schema before its statement
   */
  add(index: UsableIndex, sought: SoughtIndex | null, schema: Schema): void {
    this.byName.set(index.name, index);
    if (sought === null) return;
    const unique = { ...index, ...sought };
    for (const key of keysOf(unique)) {
      this.unique.add(key, unique);
      const earlier = this.functionNeeds.get(key);
      if (earlier !== undefined) this.recordNeed(earlier, [unique], schema);
    }
  }

  /** @param schema the schema before the statement */
  record(file: string, statement: SqlStatement, schema: Schema): void {
    const created = statement.node?.CreateFunctionStmt;
    const inFunction = created === undefined ? null : (stringsIn(created.funcname).at(-1) ?? '');
    if (this.byName.size > 0) this.recordNames(file, statement, inFunction);
    for (const need of uniqueNeedsOf(statement)) {
      const use = { file, line: statement.line, kind: 'needs', what: need.what, inFunction } as const;
      const table = need.table === null ? null : keyOf(schema.nameOf(need.table));
      for (const key of lookUpKeys(need, table)) {
        const resolved = { need, table, use };
        if (inFunction !== null && !this.functionNeeds.has(key)) this.functionNeeds.set(key, resolved);
        this.recordNeed(resolved, this.unique.of(key), schema);
      }
    }
  }

  /** The first statement that needs an index, otherwise the first that names it. */
  of(owner: object): LaterUse | undefined {
    return this.uses.get(owner);
  }

  private recordNames(file: string, statement: SqlStatement, inFunction: string | null): void {
    const { node, line } = statement;
    const kind = node?.DropStmt === undefined ? 'names' : 'drops';
    const isNaming = NAMING.includes(Object.keys(node ?? {})[0] ?? '');
    const names = isNaming
      ? textsIn(node)
      : [...namesIn(codeBodyOf(statement)?.code ?? ''), ...conflictNames(statement)];
    for (const name of names) {
      const index = this.byName.get(name);
      if (index === undefined || this.uses.has(index.owner)) continue;
      this.uses.set(index.owner, { file, line, kind, what: '', inFunction });
    }
  }

  private recordNeed({ need, use }: ResolvedNeed, indexes: readonly UniqueIndex[], schema: Schema): void {
    for (const index of indexes) {
      if (hasConstraint(need, schema, index.name)) continue;
      for (const key of keysOf(index)) this.unique.remove(key, index);
      this.uses.set(index.owner, use);
    }
  }
}

/** What a CREATE INDEX statement creates. Null: the index is not unique. */
export function soughtIndex(created: IndexStmt | undefined, schema: Schema): SoughtIndex | null {
  if (created?.unique !== true) return null;
  return {
    table: keyOf(schema.nameOf(created.relation)),
    ...uniqueKeys(created.indexParams),
    partial: created.whereClause !== undefined,
    primary: false,
  };
}

/** The keys under which a unique index is found: by its table or without it, by its expressions or their number. */
function keysOf({ table, columns, expressions, partial, primary }: UniqueIndex): string[] {
  const elements = [expressions, expressions.length].flatMap((some) => [
    keyOfElements(table, { columns, expressions: some, partial }),
    keyOfElements(null, { columns, expressions: some, partial }),
  ]);
  const isForRefresh = expressions.length === 0 && !partial;
  const ofTable = isForRefresh ? [keyOfTable(table), keyOfTable(null)] : [];
  return [...elements, ...ofTable, ...(primary ? [keyOfPrimary(table)] : [])];
}

/** The keys of the indexes that serve a need. @param table `keyOf` its table; null: unknown */
function lookUpKeys({ keys, partial }: UniqueNeed, table: string | null): string[] {
  if (keys === null) return [keyOfTable(table)];
  if (keys === 'primary key') return [keyOfPrimary(table)];
  const { columns, expressions } = keys;
  // An expression whose tree is unknown may be any.
  const some = expressions.includes(null) ? expressions.length : expressions;
  const kinds = partial ? [false, true] : [false];
  return kinds.map((kind) => keyOfElements(table, { columns, expressions: some, partial: kind }));
}

function keyOfTable(table: string | null): string {
  return JSON.stringify([table]);
}

function keyOfPrimary(table: string | null): string {
  return JSON.stringify(['primary key', table]);
}

interface Elements {
  readonly columns: readonly string[];
  readonly expressions: readonly (string | null)[] | number;
  readonly partial: boolean;
}

function keyOfElements(table: string | null, { columns, expressions, partial }: Elements): string {
  const sorted = typeof expressions === 'number' ? expressions : expressions.toSorted();
  return JSON.stringify([table, [...new Set(columns)].sort(), sorted, partial]);
}

/** Whether another index, that of a primary key or unique constraint, serves the need. */
function hasConstraint({ table, keys }: UniqueNeed, schema: Schema, index: string): boolean {
  if (table === null || keys === null || keys === 'primary key' || keys.expressions.length > 0) return false;
  return schema
    .indexesOf(schema.nameOf(table))
    .some(
      ({ name, constraint, unique, columns }) =>
        name !== index && constraint !== null && unique && isSameSet(columns, keys.columns),
    );
}

function isSameSet(one: readonly unknown[], other: readonly unknown[]): boolean {
  const set = new Set(one);
  return set.size === new Set(other).size && other.every((member) => set.has(member));
}

/** The constraints of ON CONFLICT ON CONSTRAINT. */
function conflictNames({ node, sql }: SqlStatement): string[] {
  if (!/\bconflict\b/i.test(sql)) return [];
  const inserts = nodesIn(node, 'InsertStmt') as InsertStmt[];
  return inserts.flatMap(({ onConflictClause }) => onConflictClause?.infer?.conname ?? []);
}

/**
 * The names of indexes and constraints in code: after INDEX or CONSTRAINT, also in strings, and strings that are only a name. Other
 * identifiers are columns and variables, and an index can have the name of a column.
 */
function* namesIn(code: string, level = 0): Generator<string> {
  const tokens = tokensOf(code);
  const isName = level > 0 && (tokens.length === 1 || (tokens.length === 3 && tokens[1]?.text === '.'));
  /** Tokens since INDEX or CONSTRAINT. */
  let since = Number.POSITIVE_INFINITY;
  for (const token of tokens) {
    since += 1;
    if (token.isString) {
      if (level < DEEPEST_STRINGS) yield* namesIn(contentOf(token.text).text, level + 1);
    } else if (token.keyword === 'index' || token.keyword === 'constraint') since = 0;
    else if (token.text === ';' || token.text === '(') since = Number.POSITIVE_INFINITY;
    // A list of names continues after each comma.
    else if (token.text === ',' && since <= MOST_BEFORE_NAME) since = 0;
    else if (isName || since <= MOST_BEFORE_NAME) yield identifierName(token);
  }
}

/** CONCURRENTLY IF EXISTS SCHEMA . NAME */
const MOST_BEFORE_NAME = 6;

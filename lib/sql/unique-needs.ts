import type { Constraint, IndexElem, InferClause, InsertStmt, Node, RangeVar } from 'libpg-query';
import { codeBodyOf, contentOf } from './code-body.ts';
import { nodesIn, stringsIn, treeText } from './parse-tree.ts';
import type { SqlStatement } from './read-sql.ts';
import { statementText } from './statement-text.ts';
import { identifierName, type SqlToken, tokensOf } from './tokens.ts';

/** The keys of a unique index: names of columns, and expressions. */
export interface UniqueKeys {
  readonly columns: readonly string[];
  /** The trees of the expressions as text. Null: unknown, but of this number. */
  readonly expressions: readonly (string | null)[];
}

/** What works only with a unique index: a foreign key, ON CONFLICT, REFRESH MATERIALIZED VIEW CONCURRENTLY. */
export interface UniqueNeed {
  /** Null: it is unknown, because code assembles the statement. */
  readonly table: RangeVar | null;
  /** Null: any columns will do. */
  readonly keys: UniqueKeys | 'primary key' | null;
  /** Whether an index with a predicate will do. */
  readonly partial: boolean;
  /** `ON CONFLICT (email)` */
  readonly what: string;
}

/** Strings in strings in code are read up to this depth: each level reads the text again. */
export const DEEPEST_STRINGS = 3;

/** Statements without these words need no unique index, however long they are. */
const WORDS = /\b(?:conflict|references|concurrently)\b/i;

/** What a statement needs, also in the code of a DO block or a function that it creates. */
export function uniqueNeedsOf(statement: SqlStatement): UniqueNeed[] {
  if (!WORDS.test(statement.sql)) return [];
  const { node } = statement;
  const refresh = node?.RefreshMatViewStmt;
  return [
    ...(nodesIn(node, 'Constraint') as Constraint[]).flatMap(ofForeignKey),
    ...(nodesIn(node, 'InsertStmt') as InsertStmt[]).flatMap(ofInsert),
    ...(refresh?.concurrent && refresh.relation !== undefined ? [ofRefresh(refresh.relation)] : []),
    ...inCode(codeBodyOf(statement)?.code ?? ''),
  ];
}

/** The keys of the elements of an index, or of ON CONFLICT. */
export function uniqueKeys(elements: readonly Node[] | undefined): UniqueKeys {
  const all = (elements ?? []).flatMap((element) => ('IndexElem' in element ? [element.IndexElem] : []));
  return {
    columns: all.flatMap(({ name }) => name ?? []),
    expressions: all.flatMap(({ expr }: IndexElem) => (expr === undefined ? [] : [treeText(expr)])),
  };
}

function ofForeignKey({ contype, pktable, pk_attrs }: Constraint): UniqueNeed[] {
  if (contype !== 'CONSTR_FOREIGN' || pktable === undefined) return [];
  return [pk_attrs === undefined ? primaryKey(pktable) : foreignKey(pktable, stringsIn(pk_attrs))];
}

/** Without columns, a foreign key references the primary key. */
function primaryKey(table: RangeVar): UniqueNeed {
  return {
    table,
    keys: 'primary key',
    partial: false,
    what: `FOREIGN KEY … REFERENCES ${table.relname ?? ''}`,
  };
}

function foreignKey(table: RangeVar | null, columns: readonly string[]): UniqueNeed {
  const what = `FOREIGN KEY … REFERENCES ${table?.relname ?? '…'} (${columns.join(', ')})`;
  return { table, keys: { columns, expressions: [] }, partial: false, what };
}

function ofInsert({ relation, onConflictClause }: InsertStmt): UniqueNeed[] {
  const infer = onConflictClause?.infer;
  if (relation === undefined || infer?.indexElems === undefined) return [];
  const partial = infer.whereClause !== undefined;
  return [{ table: relation, keys: uniqueKeys(infer.indexElems), partial, what: conflictInWords(infer) }];
}

function conflictInWords({ indexElems }: InferClause): string {
  const insert: InsertStmt = { relation: { relname: 't', inh: true, relpersistence: 'p' } };
  const onConflictClause = { action: 'ONCONFLICT_NOTHING', infer: { indexElems } } as const;
  const text = statementText({ InsertStmt: { ...insert, onConflictClause, override: 'OVERRIDING_NOT_SET' } });
  return text?.match(/ON CONFLICT \(.*\)/)?.[0] ?? 'ON CONFLICT';
}

function ofRefresh(table: RangeVar | null): UniqueNeed {
  const what = `REFRESH MATERIALIZED VIEW CONCURRENTLY ${table?.relname ?? '…'}`;
  return { table, keys: null, partial: false, what };
}

/**
 * What code of any language needs, also in strings that it runs. It is read as tokens: the parser does not know INSERT … RETURNING …
 * INTO, and a string for EXECUTE is often a part of a statement.
 */
function inCode(code: string, level = 0): UniqueNeed[] {
  if (!WORDS.test(code)) return [];
  const tokens = tokensOf(code);
  const found: UniqueNeed[] = [];
  /** The table of the last INSERT at each depth of parentheses. */
  const inserts: (RangeVar | null)[] = [null];
  for (const [at, token] of tokens.entries()) {
    const next = tokens[at + 1];
    if (token.isString) {
      if (level < DEEPEST_STRINGS) found.push(...inCode(contentOf(token.text).text, level + 1));
    } else if (token.text === '(') inserts.push(null);
    else if (token.text === ')') inserts.pop();
    else if (token.keyword === 'insert' && next?.keyword === 'into') {
      inserts[Math.max(0, inserts.length - 1)] = nameAt(tokens, at + 2).relation;
    } else if (token.keyword === 'on' && next?.keyword === 'conflict' && tokens[at + 2]?.text === '(') {
      found.push(conflictAt(tokens, at + 2, inserts.at(-1) ?? null));
    } else if (token.keyword === 'references') {
      const { relation, end } = nameAt(tokens, at + 1);
      if (tokens[end]?.text === '(') found.push(foreignKey(relation, elementsAt(tokens, end).columns));
      else if (relation !== null) found.push(primaryKey(relation));
    } else if (startsRefresh(tokens, at)) found.push(ofRefresh(nameAt(tokens, at + 4).relation));
  }
  return found;
}

function startsRefresh(tokens: readonly SqlToken[], at: number): boolean {
  const words = ['refresh', 'materialized', 'view', 'concurrently'];
  return words.every((word, position) => tokens[at + position]?.keyword === word);
}

function conflictAt(tokens: readonly SqlToken[], open: number, table: RangeVar | null): UniqueNeed {
  const { columns, expressions, end, text } = elementsAt(tokens, open);
  const partial = tokens[end]?.keyword === 'where';
  return { table, keys: { columns, expressions }, partial, what: `ON CONFLICT (${text})` };
}

/** The name of a table, and the position after it. The relation is null if the code assembles the name: %I. */
function nameAt(tokens: readonly SqlToken[], start: number): { relation: RangeVar | null; end: number } {
  const first = tokens[start];
  if (first === undefined || !isName(first)) return { relation: null, end: start + 2 };
  const second = tokens[start + 2];
  return tokens[start + 1]?.text === '.' && second !== undefined
    ? { relation: { schemaname: identifierName(first), relname: identifierName(second) }, end: start + 3 }
    : { relation: { relname: identifierName(first) }, end: start + 1 };
}

function isName({ text }: SqlToken): boolean {
  return /^["a-z_\u0080-\uffff]/i.test(text);
}

/** The elements in parentheses. @param open the position of the opening one */
function elementsAt(
  tokens: readonly SqlToken[],
  open: number,
): UniqueKeys & { readonly end: number; readonly text: string } {
  const columns: string[] = [];
  const expressions: null[] = [];
  const texts: string[] = [];
  let element: SqlToken[] = [];
  let depth = 0;
  let end = open;
  for (; end < tokens.length; end += 1) {
    const token = tokens[end];
    if (token === undefined) break;
    if (token.text === '(') depth += 1;
    if (token.text === ')') depth -= 1;
    if (depth === 0 || (depth === 1 && token.text === ',')) {
      const [first] = element;
      const isColumn = first !== undefined && isName(first) && !element.some(({ text }) => text === '(');
      if (isColumn) columns.push(identifierName(first));
      else expressions.push(null);
      texts.push(element.map(({ text }) => text).join(''));
      element = [];
    } else if (end > open) element.push(token);
    if (depth === 0) break;
  }
  return { columns, expressions, end: end + 1, text: texts.join(', ') };
}

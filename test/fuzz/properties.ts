import fc from 'fast-check';
import { parseSync } from 'libpg-query';
import { BadInput } from '../../lambdas/shared/errors.ts';
import { parseExecutionInput } from '../../lambdas/shared/execution-input.ts';
import { MODES } from '../../lambdas/shared/modes.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { importSources } from '../../lib/import/import-sources.ts';
import { withoutAllowed } from '../../lib/lint/allow-comments.ts';
import { toGithub, toJson, toText } from '../../lib/lint/format-result.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { foreignKeysWithoutIndex } from '../../lib/lint/registry/foreign-keys.ts';
import { appendEntries, NoListError } from '../../lib/registry/append-entries.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { readModuleValue } from '../../lib/registry/module-value.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import { newRegistryFile } from '../../lib/registry/registry-text.ts';
import { upMigration } from '../../lib/sources/migration-files.ts';
import { placesIn } from '../../lib/sql/places.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import { splitText } from '../../lib/sql/split-sql.ts';
import { TextCursor } from '../../lib/sql/text-cursor.ts';
import { CountingCursor } from '../support/counting-cursor.ts';
import { hostileEntries } from './entries.ts';
import { anyText, validSql } from './sql-texts.ts';

interface Checked {
  readonly cases: number;
  readonly failure: string | null;
}

/** A rule, and how to check it for a number of random texts. */
export interface Rule {
  readonly name: string;
  /** @returns how many texts were tried, and what broke the rule. Null: none did */
  check(settings: { readonly seed: number; readonly numRuns: number }): Promise<Checked>;
}

function rule<Values extends [unknown, ...unknown[]]>(name: string, property: fc.IRawProperty<Values>): Rule {
  return {
    name,
    check: async (settings) => {
      const details = await fc.check(property, settings);
      const failure = details.failed ? (fc.defaultReportMessage(details) ?? 'failed') : null;
      return { cases: details.numRuns, failure };
    },
  };
}

/** The rules that hold for every text. A property throws, or returns false, when its rule is broken. */
export const RULES: readonly Rule[] = [
  rule(
    'splitter: statements are in order, do not overlap, and nothing but white space, comments and commands is between them',
    fc.property(anyText, (text) => {
      const { pieces } = splitText(new TextCursor(text));
      let at = 0;
      for (const { start, end, next, sql } of pieces) {
        if (start < at || end < start || next < end || sql.length !== end - start) return false;
        at = next;
      }
      const rebuilt = pieces.map(({ start, next }, number) => {
        const before = number === 0 ? 0 : (pieces[number - 1]?.next ?? 0);
        return text.slice(before, start) + text.slice(start, next);
      });
      const rest = text.slice(at);
      // Without commands of psql and the data of COPY, a text between two statements is not SQL.
      const isPlain = !text.includes('\\') && !/copy/i.test(text);
      return rebuilt.join('') + rest === text && (!isPlain || isBlank(rest));
    }),
  ),

  rule(
    'splitter: reads each character a limited number of times',
    fc.property(anyText, (text) => {
      const cursor = new CountingCursor(text);
      splitText(cursor);
      return cursor.read <= MOST_READS * text.length + 10;
    }),
  ),

  rule(
    "splitter: has as many statements as PostgreSQL's parser, with the same texts",
    fc.property(validSql, (text) => {
      const own = readSql(text).statements;
      const wrong = own.find(({ error }) => error !== undefined);
      if (wrong !== undefined) throw new Error(`${wrong.error?.message} in ${wrong.sql}`);
      // The parser refuses a text without a statement.
      if (own.length === 0) return isBlank(text);
      const bytes = Buffer.from(text);
      const expected = (parseSync(text).stmts ?? []).map(
        ({ stmt, stmt_location: from = 0, stmt_len: length = 0 }) => ({
          kind: Object.keys(stmt ?? {})[0],
          text: withoutBlank(bytes.toString('utf8', from, length === 0 ? bytes.length : from + length)),
        }),
      );
      const found = own.map(({ sql, node }) => ({
        kind: Object.keys(node ?? {})[0],
        text: withoutBlank(sql),
      }));
      return JSON.stringify(found) === JSON.stringify(expected);
    }),
  ),

  rule(
    'linter: never throws, and each finding is in the file',
    fc.asyncProperty(anyText, async (text) => {
      const findings = lintText(text);
      const lines = text.split('\n').length;
      return findings.every(
        ({ line, column, message }) => line >= 1 && line <= lines && column >= 1 && message !== '',
      );
    }),
  ),

  rule(
    'linter: reports the same for a text with each statement in place',
    fc.property(validSql, (text) => {
      const placeOf = placesIn(text);
      return readSql(text).statements.every(({ start, line, column }) => {
        const place = placeOf(start);
        return place.line === line && place.column === column;
      });
    }),
  ),

  rule(
    'import: never throws',
    fc.asyncProperty(anyText, async (text) => {
      await importSources({
        files: [{ file: 'a.sql', text: upMigration(text), hasLines: true }],
        skipped: [],
      });
    }),
  ),

  rule(
    'execution input: throws nothing but BadInput, in one short line, and accepts what it returns',
    fc.property(inputAndNames(), fc.constantFrom('public', null), ({ raw, names }, schema) => {
      try {
        const registry = names.map((name) => ({ schema, name }));
        const input = parseExecutionInput(raw, registry);
        const again = parseExecutionInput(JSON.parse(JSON.stringify(input)), registry);
        const isKnown = (one: string) =>
          names.some((name) => one === name || (schema === null && one.endsWith(`.${name}`)));
        return JSON.stringify(again) === JSON.stringify(input) && input.indexes.every(isKnown);
      } catch (error) {
        if (!(error instanceof BadInput)) throw error;
        return error.message.length <= 4_000 && visible(error.message) === error.message;
      }
    }),
  ),

  rule(
    'registry writer: a module has the same entries after it is written',
    fc.property(hostileEntries, hostileEntries, (first, second) =>
      sameEntries(valueIn(appendEntries(newRegistryFile(first, 'ts'), 'ts', second)), [...first, ...second]),
    ),
  ),

  rule(
    'registry writer: a JavaScript module runs with the same entries',
    fc.asyncProperty(hostileEntries, hostileEntries, async (first, second) => {
      const text = appendEntries(newRegistryFile(first, 'ts'), 'ts', second);
      const bare = text.replace(/^import .*$/m, 'const defineIndexes = (entries) => entries;');
      const url = `data:text/javascript;base64,${Buffer.from(bare).toString('base64')}`;
      return sameEntries((await import(url)).default, [...first, ...second]);
    }),
  ),

  rule(
    'registry writer: a JSON file has the same entries after it is written',
    fc.property(hostileEntries, hostileEntries, (first, second) =>
      sameEntries(JSON.parse(appendEntries(newRegistryFile(first, 'json'), 'json', second)), [
        ...first,
        ...second,
      ]),
    ),
  ),

  rule(
    'registry reader: throws nothing but a syntax error on a text that is no module',
    fc.property(anyText, (text) => {
      for (const kind of ['ts', 'json'] as const) {
        try {
          appendEntries(text, kind, []);
        } catch (error) {
          if (!(error instanceof NoListError)) throw error;
        }
      }
      try {
        readModuleValue(text);
      } catch (error) {
        if (!(error instanceof SyntaxError) || !('pos' in error)) throw error;
      }
    }),
  ),
];

/** How often the splitter may read a character. */
const MOST_READS = 16;

function lintText(text: string) {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  const source = { file: 'a.sql', text: upMigration(text), hasLines: true };
  const { findings, allowances, moves } = linter.lint(source, true);
  for (const move of moves) linter.obstacleOf(move);
  const left = [
    ...withoutAllowed(findings, allowances),
    ...foreignKeysWithoutIndex(linter.schema, [], { tenantColumn: 'tenant_id' }),
  ];
  const result = { findings: left, files: 1, moved: [], kept: [], notRun: [] };
  toText(result, { paint: (piece) => piece });
  JSON.parse(toJson(result));
  toGithub(result);
  return left;
}

/** Names of a registry, and a value that is an input for it, or looks like one. */
function inputAndNames(): fc.Arbitrary<{ raw: unknown; names: string[] }> {
  const text = fc.string({ unit: 'binary' });
  return fc.uniqueArray(fc.oneof(text, fc.constantFrom('a', 'a.b', 'b')), { maxLength: 5 }).chain((names) => {
    const known = fc.subarray(names);
    const record = fc.record(
      {
        mode: fc.oneof(fc.constantFrom(...MODES), fc.anything()),
        indexes: fc.oneof(known, fc.array(fc.oneof(text, fc.anything())), fc.anything()),
        force: fc.oneof(fc.boolean(), fc.anything()),
        Comment: fc.anything(),
        other: fc.anything(),
      },
      { requiredKeys: [] },
    );
    const valid = fc.record({ indexes: known, mode: fc.constantFrom(...MODES), force: fc.boolean() });
    return fc.record({ raw: fc.oneof(fc.anything(), record, valid), names: fc.constant(names) });
  });
}

function valueIn(module: string): unknown {
  const read = readModuleValue(module);
  if ('unknown' in read) throw new Error(read.unknown.map(({ message }) => message).join('; '));
  return read.value;
}

/** As JSON, with sorted fields: `__proto__` is an own field of both. */
function sameEntries(read: unknown, written: readonly IndexEntry[]): boolean {
  return JSON.stringify(read) === JSON.stringify(written.map(inOrder));
}

function inOrder(entry: IndexEntry): IndexEntry {
  const { name, sql, critical, description, serves, onDrift, constraint, accept } = entry;
  return {
    name,
    sql,
    ...(critical === undefined ? {} : { critical }),
    description,
    ...(serves === undefined ? {} : { serves }),
    ...(onDrift === undefined ? {} : { onDrift }),
    ...(constraint === undefined ? {} : { constraint: { name: constraint.name, type: constraint.type } }),
    ...(accept === undefined ? {} : { accept }),
  };
}

function isBlank(text: string): boolean {
  return withoutBlank(text) === '';
}

/** Without the white space and the comments at both ends. */
function withoutBlank(text: string): string {
  const { pieces } = splitText(new TextCursor(text));
  return pieces.map(({ sql }) => sql).join(';');
}

import { basename } from 'node:path';
import type { IndexStmt, RangeVar } from 'libpg-query';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import { entryFromStatement } from '../../registry/entry-from-statement.ts';
import type { RegisteredIndexes } from '../../registry/registered-indexes.ts';
import { entryText } from '../../registry/registry-text.ts';
import type { SqlSource } from '../../sources/sql-source.ts';
import { UnknownPlaceholders } from '../../sources/unknown-placeholders.ts';
import { codeBodyOf } from '../../sql/code-body.ts';
import { descriptionFromComments } from '../../sql/comment-description.ts';
import { type EmbeddedStatement, embeddedStatements } from '../../sql/embedded-statements.ts';
import { MOST_CALLED } from '../../sql/function-bodies.ts';
import { indexName } from '../../sql/index-name.ts';
import type { KnownObjects } from '../../sql/known-objects.ts';
import type { StatementNode } from '../../sql/parse-tree.ts';
import type { Place, SourcePlace } from '../../sql/places.ts';
import type { SqlStatement, SqlText } from '../../sql/read-sql.ts';
import type { Finding } from '../finding.ts';
import {
  type AddedConstraint,
  addedConstraints,
  constraintMessage,
  entryOfConstraint,
} from './added-constraints.ts';
import { createIndexProblem, dynamicProblem, type IndexProblem } from './index-statement-problems.ts';
import { lockingProblems } from './locking-statements.ts';
import { inFile, type Move } from './movable-index.ts';
import { ReplacedIndexes } from './replaced-indexes.ts';

/** What the linters of all files share. */
export interface History {
  readonly registered: RegisteredIndexes;
  readonly known: KnownObjects;
}

/** A constraint that a statement of the file adds to an existing table. */
export interface FoundConstraint {
  readonly added: AddedConstraint;
  readonly finding: Finding;
}

/** Lints the statements of one file, in their order. */
export class FileLinter {
  readonly findings: Finding[] = [];
  readonly moves: Move[] = [];
  readonly constraints: FoundConstraint[] = [];
  private readonly source: SqlSource;
  private readonly sql: SqlText;
  private readonly history: History;
  private readonly placeholders: UnknownPlaceholders;
  private readonly replaced: ReplacedIndexes;

  constructor(source: SqlSource, sql: SqlText, history: History) {
    this.source = source;
    this.placeholders = new UnknownPlaceholders(source.text);
    this.sql = sql;
    this.history = history;
    this.replaced = new ReplacedIndexes(sql.statements);
  }

  visit(statement: SqlStatement): void {
    const { node, error } = statement;
    if (node === undefined && statement.placeholders.length > 0) {
      this.placeholders.add(statement);
      return;
    }
    if (node === undefined) {
      const message = `The statement cannot be parsed, so it is not checked: ${error?.message ?? 'it is empty'}.`;
      const place = this.inFile(error ?? statement);
      this.findings.push({ ...place, rule: 'unreadable', severity: 'warning', message });
      return;
    }
    for (const problem of this.problemsOf(statement, statement)) {
      const finding = this.report(statement, problem);
      if (problem.added !== undefined) this.constraints.push({ added: problem.added, finding });
      if (problem.created !== undefined)
        this.moves.push({
          ...{ entry: problem.created.entry, created: problem.created, finding, statement },
          inFile: inFile(this.source, statement),
        });
    }
    this.visitElements(statement, (node.CreateSchemaStmt?.schemaElts ?? []) as StatementNode[]);
    if (node.DoStmt !== undefined) this.visitCode(statement);
    this.visitCalls(statement);
  }

  /** Reports what concerns the whole file. Call it after the last statement. */
  finish(): void {
    const { first, what, reason } = this.placeholders;
    if (first === null) return;
    const message = `${what} cannot be parsed and checked: ${reason}.`;
    this.findings.push({ ...this.inFile(first), rule: 'unreadable', severity: 'warning', message });
  }

  /** The elements of CREATE SCHEMA. The parser returns no text for them, so their indexes get no entry. */
  private visitElements(place: Place, elements: readonly StatementNode[]): void {
    for (const { IndexStmt: index } of elements) {
      if (index === undefined) continue;
      const message =
        `CREATE SCHEMA creates an index on ${index.relation?.relname ?? 'a table'}. Write an entry for it in the registry ` +
        'and remove it here; the deploy then builds it concurrently.';
      this.report(place, { rule: 'create-index-on-new-table', message });
    }
  }

  private visitCode(statement: SqlStatement): void {
    const body = codeBodyOf(statement);
    for (const embedded of embeddedStatements(body?.code ?? '')) {
      const place = this.sql.placeOf(body?.offsetOf(embedded.at) ?? statement.start);
      for (const problem of this.problemsOfEmbedded(embedded, place)) this.report(place, problem);
    }
  }

  private visitCalls(statement: SqlStatement): void {
    const { bodies, isComplete } = this.history.known.functions.calledBy(statement);
    if (!isComplete) {
      const message = `The statement runs more than ${MOST_CALLED} functions, directly or through each other. Only these are checked.`;
      this.findings.push({ ...this.inFile(statement), rule: 'unreadable', severity: 'warning', message });
    }
    for (const { name, file, line, embedded } of bodies) {
      const found = embedded.flatMap((one) => this.problemsOfEmbedded(one, statement));
      for (const problem of found) {
        const message = `The statement runs ${name}() (${basename(file)}, line ${line}). ${problem.message}`;
        this.report(statement, { ...problem, message });
      }
    }
  }

  private problemsOfEmbedded({ statement, verb }: EmbeddedStatement, place: Place): IndexProblem[] {
    return statement?.node === undefined ? dynamicProblem(verb) : this.problemsOf(statement, place);
  }

  private problemsOf(statement: SqlStatement, place: Place): IndexProblem[] {
    const { registered, known } = this.history;
    const { schema } = known;
    const index = statement.node?.IndexStmt;
    if (index === undefined) return this.problemsOfOthers(statement, place);
    const table = schema.table(schema.nameOf(index.relation));
    // A temporary table ends with its session, so the registry cannot list its indexes.
    if (table?.temporary || index.relation?.schemaname === 'pg_temp') return [];
    const dropLine = this.replaced.dropLineOf(statement);
    const entry: IndexEntry = {
      ...this.entryOf(statement, index, place),
      ...(dropLine !== null && { onDrift: 'rebuild' }),
    };
    const match = registered.matchOf(entry, (one) => schema.table(one) !== undefined);
    const onNewTable = table?.place.file === this.source.file;
    const movable = statement === place && this.source.hasLines;
    const { placeholders } = statement;
    const { idxname, unique, concurrent, if_not_exists, relation } = index;
    const created = {
      statement: { idxname, unique, concurrent, if_not_exists, relation },
      entry,
      match,
      onNewTable,
      movable,
      placeholders,
      dropLine,
    };
    return [createIndexProblem(created)];
  }

  /** Statements other than CREATE INDEX. */
  private problemsOfOthers(statement: SqlStatement, { line }: Place): IndexProblem[] {
    const { node = {}, comments } = statement;
    const replaced = this.replaced.createdAfter(statement);
    const { registered, known } = this.history;
    const { schema } = known;
    const isNew = (relation: RangeVar | undefined) => {
      const table = schema.table(schema.nameOf(relation));
      return (
        table?.temporary === true ||
        table?.place.file === this.source.file ||
        relation?.schemaname === 'pg_temp'
      );
    };
    const added = isNew(node.AlterTableStmt?.relation) ? [] : addedConstraints(node, schema);
    const constraints = added.map((one): IndexProblem => {
      const description =
        descriptionFromComments(comments) ??
        `From the constraint in ${basename(this.source.file)}, line ${line}. Describe what it protects.`;
      const entry = entryOfConstraint(one, { description, firstSchema: schema.path.firstConfigured });
      const match =
        entry === null ? null : registered.matchOf(entry, (one) => schema.table(one) !== undefined);
      return {
        rule: one.kind === 'exclusion' ? 'exclusion-constraint' : 'unique-constraint',
        message: constraintMessage(one, entry, match),
        added: one,
        entry: match === null ? (entry ?? undefined) : undefined,
      };
    });
    return [
      ...constraints,
      ...lockingProblems(node, { registered: registered.names, schema, isNew, replaced }),
    ];
  }

  private entryOf(statement: SqlStatement, index: IndexStmt, { line }: Place): IndexEntry {
    const { schema } = this.history.known;
    const table = schema.nameOf(index.relation);
    const name = indexName(index, schema.namesIn(table.schema));
    const description =
      descriptionFromComments(statement.comments) ??
      `Moved from ${basename(this.source.file)}, line ${line}. Describe what uses this index.`;
    const { firstConfigured: firstSchema } = schema.path;
    const details = { name, description, table, firstSchema };
    return entryFromStatement({ sql: statement.sql, statement: index }, details);
  }

  private report(place: Place, { rule, message, entry }: IndexProblem): Finding {
    const text = entry === undefined ? undefined : entryText(entry, this.history.registered.kind);
    const finding: Finding = { ...this.inFile(place), rule, severity: 'error', message, entry: text };
    this.findings.push(finding);
    return finding;
  }

  private inFile({ line, column }: Place): SourcePlace {
    return { file: this.source.file, line, column };
  }
}

import type { IndexStmt } from 'libpg-query';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import type { Standing } from '../../registry/registered-indexes.ts';
import type { IndexVerb } from '../../sql/embedded.ts';
import type { StatementNode } from '../../sql/read-sql.ts';
import type { MigrationRuleName } from './rules.ts';

/** What is wrong with a statement about indexes, without its place. */
export interface IndexProblem {
  readonly rule: MigrationRuleName;
  readonly message: string;
  /** What takes its place in the registry. Undefined: nothing can be told to. */
  readonly created?: CreatedIndex | undefined;
}

/** What a CREATE INDEX is about. */
export interface CreatedIndex {
  readonly statement: IndexStmt;
  readonly entry: IndexEntry;
  readonly standing: Standing;
  /** The table is made in the same file. */
  readonly onNewTable: boolean;
  /** It is a statement of the file, not of code that a statement runs. */
  readonly movable: boolean;
  /** Of a migration tool, which fills them in when it runs the statement. */
  readonly placeholders: readonly string[];
}

/** CREATE INDEX, of whatever form: the registry is where it belongs. */
export function createIndexProblem(created: CreatedIndex): IndexProblem {
  const { statement, entry, onNewTable, placeholders } = created;
  const named = nameWritten(created);
  const unnamed =
    statement.idxname === undefined && placeholders.length === 0
      ? ` It has no name; PostgreSQL calls it ${entry.name}, and so does the entry.`
      : '';
  const why = onNewTable
    ? 'The table is made in this file, so that building it would cost nothing here; but an index that the registry does ' +
      'not list is not watched over: nobody notices when it goes invalid, is dropped or defined otherwise.'
    : statement.concurrent
      ? 'CONCURRENTLY cannot run inside the transaction of the migrations, and without one a lock that it meets fails ' +
        'the deploy with the services down and leaves an invalid index.'
      : 'It locks writers out of the table until the migrations are committed, and a lock that it meets fails the whole ' +
        'deploy with the services down.';
  return {
    rule: onNewTable ? 'create-index-on-new-table' : 'create-index',
    message: `A migration creates ${named}. ${why}${unnamed} ${remedy(created)}`,
    created: placeholders.length === 0 ? created : undefined,
  };
}

function nameWritten({ statement: { idxname, relation }, placeholders }: CreatedIndex): string {
  // With placeholders in it, the names are not those of the text.
  if (placeholders.length > 0) return 'an index';
  return `${idxname === undefined ? 'an index' : `index ${idxname}`} on ${relation?.relname ?? ''}`;
}

function remedy({ entry, standing, movable, placeholders }: CreatedIndex): string {
  if (placeholders.length > 0) {
    return `What it is with ${placeholders.join(', ')} filled in is not known here: write its entry by hand, and remove it here.`;
  }
  if (standing === 'same') return `The registry lists ${entry.name} already: remove the statement here.`;
  if (standing === 'other')
    return `The registry lists ${entry.name} with another definition: remove the statement here, and see which one is right.`;
  return movable
    ? 'Move it into the registry (lint --fix does), and the deploy builds it concurrently.'
    : 'Write the entry into the registry and remove it here, and the deploy builds it concurrently.';
}

/** DROP INDEX and REINDEX that lock. */
export function lockingProblem(node: StatementNode, registered: readonly string[]): IndexProblem[] {
  const drop = node.DropStmt;
  if (drop?.removeType === 'OBJECT_INDEX' && !drop.concurrent) {
    return [dropProblem((drop.objects ?? []).map(nameOf), registered)];
  }
  const isConcurrent = node.ReindexStmt?.params?.some(
    (param) => 'DefElem' in param && param.DefElem.defname === 'concurrently',
  );
  return node.ReindexStmt === undefined || isConcurrent ? [] : [REINDEX_PROBLEM];
}

function dropProblem(names: readonly string[], registered: readonly string[]): IndexProblem {
  const listed = names.filter((name) => registered.includes(name.split('.').at(-1) ?? ''));
  const back =
    listed.length > 0
      ? ` The registry lists ${listed.join(', ')}: remove the entry too, or the next deploy builds it again.`
      : '';
  return {
    rule: 'drop-index',
    message:
      `DROP INDEX ${names.join(', ')} without CONCURRENTLY locks readers and writers out of the table until the ` +
      'migrations are committed. Drop it after the deploy, outside of a transaction: ' +
      `drop index concurrently if exists ${names[0]};${back}`,
  };
}

const REINDEX_PROBLEM: IndexProblem = {
  rule: 'reindex',
  message:
    'REINDEX without CONCURRENTLY locks writers out of the table, and readers that would use the index, until the ' +
    'migrations are committed. Run REINDEX CONCURRENTLY by hand, outside of a transaction; indexes of the registry ' +
    'that are invalid are built anew by the deploy.',
};

function nameOf(object: object): string {
  const items = 'List' in object ? (object.List as { items?: { String?: { sval?: string } }[] }).items : [];
  return (items ?? []).map((item) => item.String?.sval ?? '').join('.');
}

/** A text that is put together while it runs. */
export function dynamicProblem(verb: IndexVerb): IndexProblem {
  const rules = { 'create index': 'create-index', 'drop index': 'drop-index', reindex: 'reindex' } as const;
  const remedy = {
    'create index': 'Write each index that it makes into the registry, and remove it here.',
    'drop index': 'Drop them after the deploy, concurrently.',
    reindex: 'Run REINDEX CONCURRENTLY by hand.',
  };
  return {
    rule: rules[verb],
    message: `EXECUTE runs a text that begins with ${verb.toUpperCase()} and is put together while it runs, so that nobody can tell which index it is about. ${remedy[verb]}`,
  };
}

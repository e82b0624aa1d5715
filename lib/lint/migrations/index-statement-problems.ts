import type { IndexStmt } from 'libpg-query';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import type { RegistryMatch } from '../../registry/registered-indexes.ts';
import type { Verb } from '../../sql/embedded-statements.ts';
import type { AddedConstraint } from './added-constraints.ts';
import type { MigrationRuleName } from './migration-rules.ts';
import { REBUILDS } from './replaced-indexes.ts';

/** What is wrong with a statement on indexes, without its place. */
export interface IndexProblem {
  readonly rule: MigrationRuleName;
  readonly message: string;
  /** The index that belongs in the registry. Undefined: there is none, or it is unknown. */
  readonly created?: CreatedIndex | undefined;
  /** The constraint that belongs in the registry. Undefined: the problem concerns none. */
  readonly added?: AddedConstraint | undefined;
  /** The entry to paste. Undefined: there is none. */
  readonly entry?: IndexEntry | undefined;
}

/** The index of a CREATE INDEX statement. */
export interface CreatedIndex {
  /** What messages need of it. A tree is large, and a dump can have thousands. */
  readonly statement: Pick<IndexStmt, 'idxname' | 'unique' | 'concurrent' | 'if_not_exists' | 'relation'>;
  readonly entry: IndexEntry;
  /** Whether the registry lists it. */
  readonly match: RegistryMatch;
  /** Whether the same file creates its table. */
  readonly onNewTable: boolean;
  /** Whether it is a statement of the file, and not of code that a statement runs. */
  readonly movable: boolean;
  /** The placeholders of a migration tool in it. Their values are unknown here. */
  readonly placeholders: readonly string[];
  /** The line at which the same file drops an index of this name before it. Null: it does not. */
  readonly dropLine: number | null;
}

/**
 * The message for an index that cannot move into the registry. Null: the migration is right.
 * @param needed whether a later statement would fail on a new database without the index
 */
export function staysMessage(created: CreatedIndex, reason: string, needed: boolean): string | null {
  const { statement, entry, match } = created;
  const head = `A migration creates ${indexInWords(created)}. ${danger(created)}`;
  if (!needed) return `${head} The index does not belong in the registry as it is: ${reason}.`;
  const stays = `Leave it here: ${reason}.`;
  if (match !== 'same') return `${head} ${stays} ${buildFirst(created)}`.trim();
  if (statement.if_not_exists === true) return null;
  return `${head} ${stays} The registry lists ${entry.name} too: write IF NOT EXISTS here, because a deploy can have built it.`;
}

function buildFirst({ onNewTable, statement }: CreatedIndex): string {
  if (onNewTable) return '';
  const exists = statement.if_not_exists === true ? '' : ', and write IF NOT EXISTS here';
  const unique = statement.unique === true ? 'UNIQUE ' : '';
  return `If the table is large, build the same index before this deploy with CREATE ${unique}INDEX CONCURRENTLY${exists}.`;
}

/** CREATE INDEX in any form belongs in the registry. */
export function createIndexProblem(created: CreatedIndex): IndexProblem {
  const { statement, entry, onNewTable, placeholders } = created;
  const unnamed =
    statement.idxname === undefined && placeholders.length === 0
      ? ` The statement does not name the index; PostgreSQL names it ${entry.name}, and so does the entry.`
      : '';
  return {
    rule: onNewTable ? 'create-index-on-new-table' : 'create-index',
    message: `A migration creates ${indexInWords(created)}. ${danger(created)}${unnamed} ${fix(created)}`,
    created: placeholders.length === 0 ? created : undefined,
    entry: placeholders.length === 0 && created.match === null ? entry : undefined,
  };
}

function indexInWords({ statement: { idxname, relation }, placeholders }: CreatedIndex): string {
  // The names contain the placeholders.
  if (placeholders.length > 0) return 'an index';
  return `${idxname === undefined ? 'an index' : `index ${idxname}`} on ${relation?.relname ?? ''}`;
}

function danger({ statement, onNewTable }: CreatedIndex): string {
  if (onNewTable) {
    return (
      'This file creates the table, so the build would be fast. But the deploy checks only indexes in the registry: ' +
      'it cannot report that this one is invalid, missing or has another definition.'
    );
  }
  return statement.concurrent
    ? 'CONCURRENTLY cannot run in the transaction of the migrations. Outside of a transaction, a lock timeout fails the ' +
        'deploy while the services are stopped, and leaves an invalid index.'
    : 'It blocks writes to the table until the migrations are committed, and a lock timeout fails the deploy while the ' +
        'services are stopped.';
}

function fix({ entry, match, movable, placeholders, dropLine }: CreatedIndex): string {
  if (placeholders.length > 0) {
    return `The value of ${placeholders.join(', ')} is unknown here: write the entry yourself, and remove this statement.`;
  }
  if (dropLine !== null) {
    const both = `Line ${dropLine} drops the index of this name: remove both statements, and`;
    if (match === null) return `${both} add this entry to the registry. ${REBUILDS}`;
    return `${both} set onDrift: "rebuild" in the entry ${entry.name}, with this definition. ${REBUILDS}`;
  }
  if (match === 'same') return `The registry lists ${entry.name} already: remove this statement.`;
  if (match === 'different')
    return `The registry lists ${entry.name} with another definition: check which one is correct, and remove this statement.`;
  return movable
    ? 'Move it into the registry with lint --fix; the deploy then builds it concurrently.'
    : 'Add the entry to the registry and remove the index here; the deploy then builds it concurrently.';
}

/** A statement that code assembles when it runs. Empty: it concerns no index. */
export function dynamicProblem(verb: Verb): IndexProblem[] {
  if (verb !== 'create index' && verb !== 'drop index' && verb !== 'reindex') return [];
  const rules = { 'create index': 'create-index', 'drop index': 'drop-index', reindex: 'reindex' } as const;
  const fixes = {
    'create index': 'Add an entry to the registry for each index that it creates, and remove it here.',
    'drop index': 'Drop the indexes after the deploy, with CONCURRENTLY.',
    reindex: 'Run REINDEX CONCURRENTLY yourself.',
  };
  return [
    {
      rule: rules[verb],
      message:
        `EXECUTE runs ${verb.toUpperCase()} in a string that the code assembles at run time, so the index is unknown here. ` +
        fixes[verb],
    },
  ];
}

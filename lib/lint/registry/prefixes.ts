import type { KeyShape } from '../../registry/index-shape.ts';
import type { EntryShape } from './entry-rule.ts';

interface Candidate {
  readonly shape: EntryShape;
  /** In the table's list of entries. */
  readonly position: number;
}

/**
 * The indexes of one table by the keys that they start with, so that those which could replace another one are found without
 * comparing each with each: a table can have thousands of entries.
 */
export class Prefixes {
  /** By the first keys and the predicate, and a column that the index contains, or none: in the order of the table. */
  private readonly candidates = new Map<string, Candidate[]>();

  constructor(table: readonly EntryShape[]) {
    const identities = new Map<string, Set<string>>();
    for (const [position, shape] of table.entries()) {
      // Of equal definitions two different names are enough: each entry has another name than one of them.
      const names = identities.get(shape.identity) ?? new Set();
      identities.set(shape.identity, names);
      if (names.has(shape.entry.index.name) || names.size === 2) continue;
      names.add(shape.entry.index.name);
      this.add({ shape, position });
    }
  }

  private add(candidate: Candidate): void {
    const { shape } = candidate;
    const columns = new Set([undefined, ...shape.keys.map(({ column }) => column), ...shape.include]);
    let prefix = shape.where;
    for (const key of shape.keys) {
      prefix += textOf(key, false);
      for (const column of columns) {
        const text = bucketOf(prefix, column);
        const bucket = this.candidates.get(text) ?? [];
        this.candidates.set(text, bucket);
        bucket.push(candidate);
      }
    }
  }

  /** The first index of the table that starts with the keys of this one, forwards or backwards, and that `suits`. */
  firstWith(
    { where, keys, include }: EntryShape,
    suits: (candidate: EntryShape, position: number) => boolean,
  ): EntryShape | undefined {
    const found = [false, true].flatMap((backwards) => {
      const prefix = where + keys.map((key) => textOf(key, backwards)).join('');
      const columns = include.length === 0 ? [undefined] : include;
      const buckets = columns.map((column) => this.candidates.get(bucketOf(prefix, column)) ?? []);
      // Each of the columns is needed, so that the smallest list contains all that can suit.
      const [bucket = []] = buckets.toSorted((one, other) => one.length - other.length);
      return bucket.find(({ shape, position }) => suits(shape, position)) ?? [];
    });
    return found.toSorted((one, other) => one.position - other.position)[0]?.shape;
  }
}

function textOf({ tree, descending, nullsFirst }: KeyShape, backwards: boolean): string {
  return `\0${tree}\0${descending !== backwards}\0${nullsFirst !== backwards}`;
}

function bucketOf(prefix: string, column: string | undefined): string {
  return `${prefix}\0\0${column ?? ''}`;
}

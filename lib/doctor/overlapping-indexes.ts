import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import type { IndexTexts, LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { indexId } from '../../lambdas/shared/registry.ts';
import { counted } from '../../lambdas/shared/text.ts';
import { dropStatement, registryNote, restoreStatement } from './drop-index.ts';
import { type Finding, finding } from './finding.ts';
import { IndexTotals } from './index-totals.ts';
import type { LiveDatabase } from './live-database.ts';
import { RegisteredState } from './registry-state.ts';

/** An index with its texts, which can be compared. */
interface Compared {
  readonly index: LiveIndex;
  readonly texts: IndexTexts;
}

/** The greatest part of the shorter index that the longer one may have, so that scans of it cost about the same. */
const MUCH_LARGER = 3;

/**
 * Finds indexes of which another one of the table makes a second copy, or that another one can replace. Of indexes with the same
 * definition one is always kept: that of a constraint, then one that the registry has, then the one that is scanned most.
 */
export function overlappingIndexes(live: LiveDatabase): Finding[] {
  const registered = new RegisteredState(live.registry);
  const totals = new IndexTotals(live);
  const compared = live.indexes.flatMap((index): Compared[] => {
    const texts = live.texts.get(index.oid);
    // An index of a partition follows that of its table.
    return texts === undefined || index.attached || !index.valid ? [] : [{ index, texts }];
  });
  const rank = ranking({ registered, totals });
  return [...Map.groupBy(compared, ({ index }) => tableKey(index)).values()].flatMap((table) => {
    const groups = [...Map.groupBy(table, definitionOf).values()].map((group) => group.toSorted(rank));
    const kept = groups.flatMap(([first]) => first ?? []);
    return [
      ...groups.flatMap((group) => duplicates(live, group, { registered, totals })),
      ...kept.flatMap((one) => redundancy(live, one, kept, { registered, totals })),
    ];
  });
}

interface Context {
  readonly registered: RegisteredState;
  readonly totals: IndexTotals;
}

function duplicates(live: LiveDatabase, [keep, ...others]: readonly Compared[], context: Context): Finding[] {
  if (keep === undefined) return [];
  return others.flatMap(({ index }) => {
    // A foreign key or a replica identity needs exactly this index.
    if (index.foreignKeys > 0 || index.replicaIdentity) return [];
    if (context.registered.accepts(index, 'duplicate-index')) return [];
    const sameOptions = JSON.stringify(index.options) === JSON.stringify(keep.index.options);
    const isSimple = index.constraint === null && sameOptions && !index.clustered;
    return [
      overlap(live, index, context, {
        kind: 'duplicate',
        confidence: isSimple ? 'high' : 'medium',
        evidence:
          `It has the same definition as ${indexId(keep.index)}, and every write updates both.` +
          (index.constraint === null
            ? ''
            : ` It enforces the constraint ${index.constraint}, which the other one enforces too.`) +
          (sameOptions ? '' : ' Their storage options differ.'),
      }),
    ];
  });
}

function redundancy(
  live: LiveDatabase,
  shorter: Compared,
  all: readonly Compared[],
  context: Context,
): Finding[] {
  const { index } = shorter;
  if (!isReplaceable(index) || context.registered.accepts(index, 'redundant-index')) return [];
  const rank = ranking(context);
  const [longer] = all
    .filter(
      (candidate) =>
        candidate !== shorter &&
        replaces(candidate, shorter) &&
        // If each can replace the other, one of them stays.
        (!isReplaceable(candidate.index) || !replaces(shorter, candidate) || rank(candidate, shorter) < 0),
    )
    // The longest one is not replaced by another one itself.
    .toSorted((one, other) => other.index.keys.length - one.index.keys.length || rank(one, other));
  if (longer === undefined) return [];
  const [bytes, other] = [context.totals.bytesOf(index), context.totals.bytesOf(longer.index)];
  const isClose = other <= bytes * MUCH_LARGER || longer.index.unique;
  return [
    overlap(live, index, context, {
      kind: 'redundant',
      confidence: isClose && !index.clustered ? 'high' : 'medium',
      evidence:
        `${indexId(longer.index)} starts with the same columns, so the same queries can use it, and every write updates both.` +
        (isClose ? '' : ` It is much larger (${humanSize(other)}), so that scans of it read more pages.`),
    }),
  ];
}

function overlap(
  live: LiveDatabase,
  index: LiveIndex,
  { registered, totals }: Context,
  found: Pick<Finding, 'kind' | 'confidence' | 'evidence'>,
): Finding {
  const bytes = totals.bytesOf(index);
  const scans = totals.scansOf(index);
  return finding({
    ...found,
    ...{ schema: index.schema, table: index.table, index: index.name },
    columns: live.texts.get(index.oid)?.keys ?? [],
    evidence:
      `${found.evidence}${bytes === 0 ? '' : ` It has ${humanSize(bytes)}.`}` +
      `${scans === null ? '' : ` The other one can serve its ${counted(scans, 'scan')}.`}${registryNote(registered, index)}`,
    fix: dropStatement(index),
    restore: restoreStatement(live, index),
    weight: bytes,
  });
}

/** Nothing but queries needs it. */
function isReplaceable({ unique, constraint, foreignKeys, replicaIdentity }: LiveIndex): boolean {
  return !unique && constraint === null && foreignKeys === 0 && !replicaIdentity;
}

/** Equal for indexes of a table that are the same but for name and storage. */
function definitionOf({ index, texts }: Compared): string {
  const { method, unique, kind, keyKinds, include } = index;
  return JSON.stringify([method, unique, kind, keyKinds, texts.keys, include.toSorted(), texts.predicate]);
}

/** Which of two indexes with the same definition is kept: it comes first. */
function ranking({ registered, totals }: Context): (one: Compared, other: Compared) => number {
  const scores = ({ index }: Compared) => [
    Number(index.foreignKeys > 0),
    Number(index.replicaIdentity),
    Number(index.constraint !== null),
    Number(registered.entryOf(index) !== undefined),
    Number(index.clustered),
    totals.scansOf(index) ?? 0,
    -index.oid,
  ];
  return (one, other) => {
    const [left, right] = [scores(one), scores(other)];
    const at = left.findIndex((score, position) => score !== right[position]);
    return at === -1 ? 0 : (right[at] ?? 0) - (left[at] ?? 0);
  };
}

/** Whether every query that can use the shorter index can use the longer one. */
function replaces(longer: Compared, shorter: Compared): boolean {
  const [one, other] = [longer.index, shorter.index];
  if (one.method !== 'btree' || other.method !== 'btree') return false;
  if (longer.texts.predicate !== shorter.texts.predicate) return false;
  if (one.keys.length < other.keys.length) return false;
  const columns = [...one.keys, ...one.include];
  if (!other.include.every((column) => columns.includes(column))) return false;
  // PostgreSQL scans an index in both directions.
  return [false, true].some((backwards) =>
    shorter.texts.keys.every(
      (key, at) =>
        key === longer.texts.keys[at] &&
        isSameKind(other.keyKinds[at] ?? '', one.keyKinds[at] ?? '', backwards),
    ),
  );
}

/** Bits of pg_index.indoption. */
const DESCENDING = 1;
const NULLS_FIRST = 2;

/** Operator class, collation, and options of a key: see live-indexes.ts. The third one is the sort order. */
function isSameKind(one: string, other: string, backwards: boolean): boolean {
  const [left, right] = [one.split(' '), other.split(' ')];
  const flipped = Number(right[2]) ^ (DESCENDING | NULLS_FIRST);
  right[2] = String(backwards ? flipped : Number(right[2]));
  return left.join(' ') === right.join(' ');
}

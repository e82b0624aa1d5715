import { listed } from '../../lambdas/shared/text.ts';
import { oneLine } from '../../lambdas/shared/visible-text.ts';
import type { Proposal } from './proposals/propose.ts';
import type { Profile } from './query-source.ts';
import type { PlanVerdict, ReadTable } from './verdict.ts';

interface Described {
  readonly decisive: PlanVerdict;
  readonly generic: PlanVerdict;
  readonly profiles: readonly (PlanVerdict & { readonly profile: Profile })[];
  readonly serving: readonly string[];
  /** Parameters without a value. */
  readonly missing: readonly string[];
  readonly minRows: number;
  readonly proposal: Proposal | null;
  /** Entries that name the query in `serves`, whose indexes the database does not have. */
  readonly toDeploy: readonly string[];
}

/** What the plan does, why, and what to do next. */
export function describeVerdict(described: Described): string {
  return oneLine(
    [main(described), ofValues(described), next(described)].filter((text) => text !== '').join(' '),
  );
}

function main({ decisive, serving, minRows }: Described): string {
  const { verdict, index, tables, indexes } = decisive;
  if (verdict === 'index') return `It uses index ${index}.`;
  if (verdict === 'other-index') {
    return `It uses index ${listed(indexes)}, not ${listed(serving)}, which names it in serves.`;
  }
  if (verdict === 'too-small') {
    const [largest] = tables.toSorted((one, two) => two.rows - one.rows);
    if (largest === undefined) return 'It reads no table.';
    return `${nameOf(largest)} has ${rowsOf(largest)}, fewer than ${format(minRows)}: too small to judge.`;
  }
  const scanned = tables.filter(({ scan, rows }) => scan === 'seq' && rows >= minRows);
  const what = scanned.map((table) => {
    const filter = table.filter === null ? 'without a condition' : `with the filter ${table.filter}`;
    return `all of ${nameOf(table)} (${rowsOf(table)}) ${filter}`;
  });
  const text = `It reads ${listed(what)}.`;
  if (verdict === 'seq-scan') return text;
  return `Not provable for any values: the generic plan reads ${listed(what)}, but an index of the table can be used for some values.`;
}

function nameOf({ schema, table }: ReadTable): string {
  return schema === 'public' ? table : `${schema}.${table}`;
}

function rowsOf({ rows, counted }: ReadTable): string {
  return counted ? `${format(rows)} rows` : `about ${format(rows)} rows by its size; it was never analyzed`;
}

function format(rows: number): string {
  return rows.toLocaleString('en-US');
}

function ofValues({ decisive, generic, profiles, missing }: Described): string {
  if (profiles.length === 0) {
    return missing.length === 0
      ? ''
      : `Only the generic plan is known, because ${listed(missing)} ${missing.length === 1 ? 'has' : 'have'} no value: give values with --param, or in comments such as -- ${missing[0]}: 17.`;
  }
  const others = profiles
    .filter((one) => one.verdict !== decisive.verdict)
    .map(({ profile }) => profile.name);
  const first =
    profiles.length > 1 && others.length > 0
      ? `With the values of ${listed(others)} the plan is another one.`
      : '';
  if (generic.verdict === decisive.verdict || generic.verdict === 'index') return first;
  const text: Partial<Record<PlanVerdict['verdict'], string>> = {
    'not-provable':
      'It is not provable for a generic plan, which cannot use a partial or a pattern index for a parameter.',
    'seq-scan': 'A generic plan reads a whole table.',
    'other-index': `A generic plan uses index ${listed(generic.indexes)}.`,
  };
  return `${first} ${decisive.verdict === 'index' ? (text[generic.verdict] ?? '') : ''}`.trim();
}

function next({ proposal, toDeploy }: Described): string {
  if (proposal === null) return ofEntries(toDeploy);
  const { entry, tried, costAfter, costBefore, widens, registered } = proposal;
  const gain =
    tried && costAfter !== null
      ? ` It lowers the cost from ${cost(costBefore)} to ${cost(costAfter)}.`
      : ' It was not tried, because hypopg is not installed, belongs to a role that is not trusted, or does not support it.';
  if (registered)
    return `Deploy entry ${entry.name} of the registry, which this database does not have.${gain}`;
  if (widens !== null) return `Widen entry ${widens} of the registry to the proposed one.${gain}`;
  return `Add the proposed entry ${entry.name} to the registry.${gain}`;
}

function ofEntries(names: readonly string[]): string {
  if (names.length === 0) return '';
  return names.length === 1
    ? `Entry ${names[0]} of the registry names this query in serves, and this database does not have its index: deploy it, then explain again.`
    : `Entries ${listed(names)} of the registry name this query in serves, and this database does not have their indexes: deploy them, then explain again.`;
}

function cost(value: number): string {
  return (value < 10 ? value.toFixed(2) : Math.round(value)).toLocaleString('en-US');
}

import { counted } from '../../lambdas/shared/text.ts';
import { oneLine, visible, visibleJson, visibleLines } from '../../lambdas/shared/visible-text.ts';
import { githubAnnotation } from '../files/github-annotation.ts';
import { entryText } from '../registry/registry-text.ts';
import type { GatedQuery } from './gate.ts';

type Paint = (text: string, style: 'red' | 'yellow' | 'dim' | 'bold') => string;

/** For people: a line for each query, the proposed entry below it, and the totals. */
export function toText(queries: readonly GatedQuery[], paint: Paint): string {
  return [...queries.flatMap((query) => queryLines(query, paint)), totals(queries)].join('\n');
}

function queryLines(query: GatedQuery, paint: Paint): string[] {
  const { name, verdict, message, policy, accepted, proposal, profiles } = query;
  const shown =
    policy === 'fail' ? paint(verdict, 'red') : policy === 'warn' ? paint(verdict, 'yellow') : verdict;
  const head = `${paint(visible(oneLine(name)), 'bold')}: ${shown}${accepted ? ' (accepted by the baseline)' : ''}: ${oneLine(message)}`;
  const actual = profiles.flatMap(({ profile, actual: one }) =>
    one === undefined
      ? []
      : [`    executed with the values of ${visible(profile)}: ${one.rows} rows in ${one.ms.toFixed(1)} ms`],
  );
  // An entry that the registry has needs no paste.
  if (proposal === null || proposal.registered) return [head, ...actual];
  const entry = visibleLines(`${entryText(proposal.entry, 'ts')},`).split('\n');
  return [head, ...actual, ...entry.map((line) => paint(`    ${line}`, 'dim'))];
}

function totals(queries: readonly GatedQuery[]): string {
  const failed = queries.filter(({ policy }) => policy === 'fail').length;
  const warned = queries.filter(({ policy }) => policy === 'warn').length;
  const proposed = queries.filter(({ proposal }) => proposal !== null).length;
  return `${counted(queries.length, 'query').replace(/querys$/, 'queries')}: ${failed} failed, ${counted(warned, 'warning')}, ${counted(proposed, 'proposal')}.`;
}

/** For programs: `{ queries, failed, warnings }`. */
export function toJson(queries: readonly GatedQuery[]): string {
  const failed = queries.filter(({ policy }) => policy === 'fail').length;
  const warnings = queries.filter(({ policy }) => policy === 'warn').length;
  return visibleJson({ queries, failed, warnings }, 2);
}

/** Workflow commands for GitHub, which shows each at the query of a pull request. */
export function toGithub(queries: readonly GatedQuery[], pathOf: (file: string) => string): string {
  return queries
    .filter(({ policy }) => policy !== 'off')
    .map(({ name, file, line, verdict, message, policy, proposal }) => {
      const head = `${oneLine(name)}: ${oneLine(message)}`;
      const text =
        proposal === null || proposal.registered
          ? head
          : `${head}\n${visibleLines(entryText(proposal.entry, 'ts'))}`;
      return githubAnnotation({
        severity: policy === 'fail' ? 'error' : 'warning',
        file: file === null ? null : pathOf(file),
        ...{ line, title: verdict, text },
      });
    })
    .join('\n');
}

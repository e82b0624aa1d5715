import { counted, listed } from '../../lambdas/shared/text.ts';
import { oneLine, visible, visibleJson } from '../../lambdas/shared/visible-text.ts';
import type { Diagnosis } from './diagnose.ts';
import { type Confidence, type Finding, KINDS, type Kind } from './finding.ts';

/** For programs. @param failing findings that fail the command */
export function toJson({ findings, ...diagnosis }: Diagnosis, failing: number): string {
  const shown = findings.map(({ weight: _, ...one }) => one);
  return visibleJson({ ...diagnosis, failing, findings: shown }, 2);
}

interface TextOptions {
  readonly paint: (text: string, style: 'red' | 'yellow' | 'dim' | 'bold') => string;
  /** Print every finding with its whole evidence. False: what fits on a screen. */
  readonly all: boolean;
}

/** Findings of one kind on one screen, and lines of evidence. */
const MOST_OF_KIND = 3;
const MOST_FINDINGS = 12;
const EVIDENCE_LENGTH = 160;
const FIX_LENGTH = 240;

const HEADINGS: Readonly<Record<Kind, string>> = {
  invalid: 'Invalid indexes',
  'not-in-database': 'In the registry, not in the database',
  'foreign-key-without-index': 'Foreign keys without an index',
  'tenant-table-without-index': 'Tenant tables without an index for the tenant',
  'sequential-scans': 'Large tables that are read whole',
  'slow-statement': 'Slow statements',
  duplicate: 'Duplicate indexes',
  redundant: 'Indexes that another one can replace',
  unused: 'Unused indexes',
  bloated: 'Bloated indexes',
  'not-in-registry': 'In the database, not in the registry',
  'prepared-transaction': 'Prepared transactions',
  'long-transaction': 'Long transactions',
  'active-session': 'Statements that have been running for long',
};

/** For people, line by line. */
export function textLines(diagnosis: Diagnosis, options: TextOptions): string[] {
  const { database, version, statisticsSince, findings, unknown, tablesMissing } = diagnosis;
  const since = statisticsSince.slice(0, 10);
  const lines = [visible(`Database ${database}, PostgreSQL ${version}, statistics since ${since}.`)];
  const certain = options.all ? findings : findings.filter(({ confidence }) => confidence !== 'unknown');
  let room = options.all ? Number.POSITIVE_INFINITY : MOST_FINDINGS;
  for (const kind of KINDS) {
    const some = certain.filter((one) => one.kind === kind);
    if (some.length === 0) continue;
    const shown = some.slice(0, Math.min(room, options.all ? some.length : MOST_OF_KIND));
    room -= shown.length;
    const rest = shown.length === some.length ? '' : `, ${shown.length} shown`;
    lines.push('', options.paint(`${HEADINGS[kind]} (${kind}): ${some.length}${rest}`, 'bold'));
    for (const one of shown) lines.push(...findingLines(one, options));
  }
  if (findings.length > 0) lines.push('');
  lines.push(totals(findings, options));
  if (tablesMissing.length > 0) {
    const what = tablesMissing.length === 1 ? 'this entry' : 'these entries';
    lines.push(`The tables of ${what} of the registry do not exist: ${listed(tablesMissing, 5)}.`);
  }
  for (const { kinds, reason, fix } of unknown)
    lines.push(
      options.paint(
        visible(`Not known: ${reason}${fix === null ? '' : ` ${fix}`} (${kinds.join(', ')})`),
        'dim',
      ),
    );
  return lines;
}

const STYLES: Readonly<Record<Confidence, 'red' | 'yellow' | 'dim'>> = {
  high: 'red',
  medium: 'yellow',
  unknown: 'dim',
};

function findingLines(one: Finding, { paint, all }: TextOptions): string[] {
  const evidence = oneLine(one.evidence);
  const fix = oneLine(one.fix);
  const name = nameOf(one);
  const confidence = paint(one.confidence.padEnd(7), STYLES[one.confidence]);
  return [
    `  ${confidence} ${name === '' ? '' : `${paint(name, 'bold')}: `}${all ? evidence : cut(evidence, EVIDENCE_LENGTH)}`,
    `          ${all ? fix : cut(fix, FIX_LENGTH)}`,
    ...(all && one.restore !== null
      ? [paint(`          To create it again: ${oneLine(one.restore)}`, 'dim')]
      : []),
  ];
}

/** The index or the table, with its schema unless it is public. */
function nameOf({ schema, table, index, columns }: Finding): string {
  if (table === null) return '';
  const of = schema === null || schema === 'public' ? '' : `${schema}.`;
  const on = columns.length === 0 ? '' : ` (${columns.join(', ')})`;
  return oneLine(index === null ? `${of}${table}${on}` : `${of}${index} on ${table}${on}`);
}

function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  // It ends after a word, so that no number is cut.
  const words = text.slice(0, most).replace(/\s+\S*$/, '');
  return `${words.replace(/[\ud800-\udbff]$/, '')} …`;
}

function totals(findings: readonly Finding[], { all }: TextOptions): string {
  if (findings.length === 0) return 'No findings.';
  const of = (confidence: Confidence) => findings.filter((one) => one.confidence === confidence).length;
  const unknown = of('unknown');
  const hint = all ? '' : ' --all shows all of them with the whole evidence, --json for programs.';
  return `${counted(findings.length, 'finding')}: confidence high ${of('high')}, medium ${of('medium')}, unknown ${unknown}.${hint}`;
}

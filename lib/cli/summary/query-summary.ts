import type { Report } from '../../../lambdas/shared/report-schema.ts';
import { shortened } from '../../../lambdas/shared/text.ts';
import { oneLine } from '../../../lambdas/shared/visible-text.ts';
import { paint, plain } from '../terminal/styled-text.ts';

const MOST_QUERIES = 20;
/** Characters of the name of a query, which can be its text, and of what is said about it. */
const LONGEST_NAME = 120;
const LONGEST_MESSAGE = 600;

/** How many queries use the index that a deploy has built for them, and what the others do. */
export function queriesSection({ queries = [] }: Report, colour: boolean): string[] {
  if (queries.length === 0) return [];
  const others = queries.filter(({ verdict }) => verdict !== 'index');
  const rest = others.length - MOST_QUERIES;
  const used = queries.length - others.length;
  return [
    `Queries: ${used} of ${queries.length} use the index that names them in serves`,
    ...others.slice(0, MOST_QUERIES).map(({ name, verdict, message }) => {
      const style = verdict === 'too-small' ? 'dim' : 'yellow';
      const text = `  ${shortened(plain(oneLine(name)), LONGEST_NAME)}: ${verdict}: ${shortened(plain(message), LONGEST_MESSAGE)}`;
      return paint(text, style, colour);
    }),
    ...(rest > 0 ? [`  and ${rest} more, which the report contains`] : []),
  ];
}

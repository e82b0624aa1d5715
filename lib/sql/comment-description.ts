import type { SqlComment } from './sql-piece.ts';

/** Comments that tools write. */
const OF_TOOLS = [
  /^pg-deploy-step:/i,
  // Drizzle and Prisma, before or after each statement.
  /^>? ?statement-breakpoint/,
  /^(?:Create|Drop|Alter|Add|Rename|Redefine)[A-Z]\w*$/,
  // Marks of up and down migrations.
  /^(?:up|down)\s+migration/i,
  /^migrate:(?:up|down)/i,
  /^\+(?:goose|migrate)\b/i,
  // pg_dump's header of each object.
  /^(?:Data for )?Name: .*; Type: /,
  /^[-=*#\s]*$/,
];

/**
 * A description from the comments that people wrote: directly before the statement, else after it on its line, else inside
 * it; on one line. Undefined: there is no such comment.
 */
export function descriptionFromComments(comments: readonly SqlComment[]): string | undefined {
  const ofPeople = comments.filter(({ text }) => !OF_TOOLS.some((pattern) => pattern.test(text)));
  for (const where of ['before', 'after', 'inside'] as const) {
    const texts = ofPeople.filter((comment) => comment.where === where).map(({ text }) => text);
    if (texts.length > 0) return texts.join(' ').replaceAll(/\s+/g, ' ').trim();
  }
  return undefined;
}

import type { SqlComment } from './pieces.ts';

/** What tools write for themselves, not people for people. */
const NOISE = [
  /^pg-deploy-step:/i,
  // Drizzle and Prisma, before or behind each statement.
  /^>? ?statement-breakpoint/,
  /^(?:Create|Drop|Alter|Add|Rename|Redefine)[A-Z]\w*$/,
  // Marks of the way forth and the way back.
  /^(?:up|down)\s+migration/i,
  /^migrate:(?:up|down)/i,
  /^\+(?:goose|migrate)\b/i,
  // pg_dump's header of each object.
  /^(?:Data for )?Name: .*; Type: /,
  /^[-=*#\s]*$/,
];

/**
 * What people say of a statement in the comments directly before it, else behind it on its line, else within it: in one
 * line. Undefined: nothing.
 */
export function spokenComment(comments: readonly SqlComment[]): string | undefined {
  const spoken = comments.filter(({ text }) => !NOISE.some((noise) => noise.test(text)));
  for (const where of ['before', 'behind', 'inside'] as const) {
    const said = spoken.filter((comment) => comment.where === where).map(({ text }) => text);
    if (said.length > 0) return said.join(' ').replaceAll(/\s+/g, ' ').trim();
  }
  return undefined;
}

import type { PsqlCommand } from './pieces.ts';

/** Why what a command of psql does is not known here. Null: it makes nothing. */
export function commandNotFollowed({ text }: PsqlCommand): string | null {
  if (/^\\gexec\b/.test(text)) return 'psql runs what the query before it gives, and that is not known here';
  return /^\\(?:i|ir|include|include_relative)\s/.test(text) ? 'it is another file; name that one too' : null;
}

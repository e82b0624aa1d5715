/** A command of psql: a backslash and the rest of the line. */
export interface PsqlCommand {
  readonly start: number;
  readonly text: string;
}

/** Commands that send the SQL before them to the server, as a semicolon does. */
const SENDING = /^\\(?:g|gx|gexec|gset|gdesc|crosstabview|watch|bind)\b/;

export function sendsStatement(command: string): boolean {
  return SENDING.test(command);
}

/** Why the effect of a command is unknown unless psql runs it. Null: it changes nothing in the database. */
export function unknownEffect({ text }: PsqlCommand): string | null {
  if (/^\\gexec\b/.test(text)) return 'psql runs the output of the query before it, which is unknown here';
  return /^\\(?:i|ir|include|include_relative)\s/.test(text)
    ? 'it runs another file; name that file as well'
    : null;
}

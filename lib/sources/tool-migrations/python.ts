/**
 * The right side of the first assignment to a name, without comments: to the end of the line, or of its brackets. Empty: there is
 * none. Migrations of Alembic and Django are written by a generator, so that this is enough to read them.
 */
export function assignedText(code: string, name: string): string {
  const start = new RegExp(`^[ \\t]*${name}[ \\t]*(?::[^=\\n]+)?=(?!=)`, 'm').exec(code);
  if (start === null) return '';
  let text = '';
  let depth = 0;
  for (const line of code.slice(start.index + start[0].length).split('\n')) {
    const own = line.replace(/#.*$/, '');
    text += `${own}\n`;
    depth += countOf(own, /[([{]/g) - countOf(own, /[)\]}]/g);
    if (depth <= 0 && !own.trimEnd().endsWith('\\')) break;
  }
  return text;
}

function countOf(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

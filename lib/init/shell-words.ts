/** A word for a shell, with quotes only where it needs them. */
export function quotedForShell(word: string): string {
  return /^[\w./@:=+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

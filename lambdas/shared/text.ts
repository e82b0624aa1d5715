/** A number with its noun: `1 table`, `2 tables`, `3 indexes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : pluralEnding(noun)}`;
}

function pluralEnding(noun: string): string {
  return /(s|x|ch|sh)$/.test(noun) ? 'es' : 's';
}

/** Names for a message: all of a short list, the first `most` of a long one. */
export function listed(names: readonly string[], most = 40): string {
  if (names.length === 0) return '(none)';
  const shown = names.slice(0, most).join(', ');
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

/** The beginning of a text that is longer than `most` characters, with an ellipsis. */
export function shortened(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

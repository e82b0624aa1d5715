import { visible, withoutCommands } from '../../lambdas/shared/visible-text.ts';

/** What GitHub shows at a place of a pull request. */
export interface Annotation {
  readonly severity: 'error' | 'warning';
  /** Path relative to the repository. Null: it belongs to no file. */
  readonly file: string | null;
  readonly line: number;
  /** @default the whole line */
  readonly column?: number;
  readonly title: string;
  /** One or more lines, without control characters. */
  readonly text: string;
}

/** The workflow command of an annotation. Another CI system may read the same log, so the text contains no commands. */
export function githubAnnotation({ severity, file, line, column, title, text }: Annotation): string {
  const at = column === undefined ? '' : `,col=${column}`;
  const place = file === null ? '' : `file=${property(file)},line=${line}${at},`;
  return `::${severity} ${place}title=${property(title)}::${data(withoutCommands(text))}`;
}

/** GitHub decodes `%` sequences, so they must come from here alone. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(visible(text)).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

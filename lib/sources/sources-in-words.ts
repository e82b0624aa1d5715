import { counted } from '../../lambdas/shared/text.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { inWords } from './dialects.ts';
import type { Sources } from './sql-source.ts';

/** What was read, one line for each path and each other dialect. Empty: nothing. */
export function sourcesInWords(sources: readonly Sources[]): string {
  const lines = sources.flatMap(({ tool, folder, files, dialects }) => {
    const what = tool === 'plain' ? 'SQL' : tool;
    return [
      `Read as ${what}: ${counted(files.length, 'file')} of ${visible(folder)}.`,
      ...dialects.map(inWords),
    ];
  });
  return lines.map((line) => `${line}\n`).join('');
}

/** The same for programs. */
export function sourceInJson({ tool, folder, files, dialects }: Sources): Pick<
  Sources,
  'tool' | 'folder' | 'dialects'
> & {
  files: number;
} {
  return { tool, folder, files: files.length, dialects };
}

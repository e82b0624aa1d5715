import { readFileSync } from 'node:fs';

/** A page of the documentation, relative to the repository. */
export type Page = string;

/** The texts of the fenced blocks of a page in one language, without their indentation. */
export function blocksOf(page: Page, language: string): string[] {
  const text = readFileSync(page, 'utf8');
  const fences = new RegExp(`^( *)\`\`\`${language}\n([\\s\\S]*?)^\\1\`\`\`$`, 'gm');
  return [...text.matchAll(fences)].map(([, indentation = '', block = '']) =>
    block.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
  );
}

/** The commands in the shell blocks of a page: one for each line, continued lines joined, without comments. */
export function commandsOf(page: Page): string[] {
  return blocksOf(page, 'sh')
    .flatMap((block) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
    .map((line) => line.replace(/\s+# .*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

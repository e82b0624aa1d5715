import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const PAGES = globSync(['*.md', 'docs/**/*.md', 'database/*.md', 'bench/*.md', 'examples/**/*.md'], {
  exclude: (name) => name.includes('node_modules'),
}).toSorted();

/** Folders whose paths the pages name, such as `lib/workflow/retry.ts`. */
const REPOSITORY_PATH =
  /^(?:bin|lib|lambdas|test|database|dependencies|docs|bench|examples|integ)\/[\w./*-]+$/;

describe.each(PAGES)('%s', (page) => {
  const text = readFileSync(page, 'utf8');

  it('links only to files and headings that exist', () => {
    const broken = linksIn(text).filter((link) => !linkExists(page, link));
    expect(broken).toEqual([]);
  });

  it('names only files and folders that exist', () => {
    const missing = pathsIn(text).filter((path) => globSync([path, `${path}.test.ts`]).length === 0);
    expect(missing).toEqual([]);
  });
});

it('docs/reliability.md names only test files that exist', () => {
  const cells = [...readFileSync('docs/reliability.md', 'utf8').matchAll(/\| ([^|]+) \|$/gm)];
  const names = cells.flatMap(([, cell = '']) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name));
  const missing = names.filter(
    (name) =>
      globSync(`test/{reliability,preflight,migrations,report,workflow}/${name}.test.ts`).length === 0,
  );
  expect(names.length).toBeGreaterThan(40);
  expect(missing).toEqual([]);
});

it('the README has at most 1,500 words', () => {
  expect(readFileSync('README.md', 'utf8').split(/\s+/).length).toBeLessThanOrEqual(1_500);
});

function linksIn(markdown: string): string[] {
  const links = [...withoutCode(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
  return links.filter((target) => !/^(?:https?|mailto):/.test(target));
}

function linkExists(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || headingsOf(file).includes(anchor);
}

/** Anchors of the headings, as GitHub makes them. */
function headingsOf(file: string): string[] {
  return [...withoutCode(readFileSync(file, 'utf8')).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}

function pathsIn(markdown: string): string[] {
  const spans = [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  return spans.filter((code) => REPOSITORY_PATH.test(code) && !/[A-Z]{3,}/.test(code));
}

function withoutCode(markdown: string): string {
  return markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
}

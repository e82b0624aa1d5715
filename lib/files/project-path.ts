import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Files at the top of a project, for projects that are in no repository. */
const MANIFESTS = [
  ...['package.json', 'cdk.json', 'Gemfile', 'go.mod', 'pyproject.toml', 'pom.xml', 'build.gradle'],
  ...['Cargo.toml', 'composer.json'],
];

/**
 * Variables with the folder of the repository in a CI job. A checkout can be without `.git`, for example in a container without Git.
 */
const CHECKOUTS = ['GITHUB_WORKSPACE', 'CI_PROJECT_DIR'];

/** The project of a folder, by the folder: many files are in one. */
const projects = new Map<string, string | null>();

/**
 * The path of a file relative to its project: the same text on every machine. The project is the repository that contains the file,
 * else the checkout of the CI job, else the nearest folder with a file like package.json, else the working directory.
 * @returns the path as given if the file does not exist, or is in none of these
 */
export function projectPath(file: string): string {
  const path = resolve(file);
  if (!existsSync(path)) return file;
  const folder = dirname(path);
  const known = projects.get(folder);
  const project = known === undefined ? projectOf(folder) : known;
  projects.set(folder, project);
  if (project !== null) return relative(project, path);
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? file : fromHere;
}

function projectOf(folder: string): string | null {
  const folders = [folder];
  for (let one = dirname(folder); one !== folders.at(-1); one = dirname(one)) folders.push(one);
  return (
    folders.find((one) => existsSync(join(one, '.git'))) ??
    checkouts().find((checkout) => folders.includes(checkout)) ??
    folders.find((one) => MANIFESTS.some((name) => existsSync(join(one, name)))) ??
    null
  );
}

function checkouts(): string[] {
  return CHECKOUTS.flatMap((name) => {
    const folder = process.env[name];
    if (folder === undefined || !existsSync(folder)) return [];
    // The working directory of a process has no symbolic links.
    return [resolve(folder), realpathSync(folder)];
  });
}

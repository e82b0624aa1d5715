import { lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { counted } from '../../lambdas/shared/text.ts';
import { checkNewFile } from '../files/new-file.ts';
import { NEW_PROJECT } from '../files/package-files.ts';
import { registryText } from '../registry/write-registry.ts';
import { MIGRATIONS, type Project, REGISTRY } from './examine-project.ts';
import { appliedFolderOf, newConfiguration } from './new-configuration.ts';
import { gitHubWorkflow, gitLabJob, installCommands } from './new-job.ts';
import { newManifest } from './new-manifest.ts';

/** A file that `init` would write. */
export interface NewFile {
  /** Relative to the project. */
  readonly path: string;
  /** What it is, in words. */
  readonly what: string;
  readonly text: string;
}

/** The files of a project: those that are missing, and those that exist and stay as they are. */
export interface NewFiles {
  readonly missing: readonly NewFile[];
  readonly existing: readonly NewFile[];
}

export const APP = 'deploy/app.ts';

/** The files that a project needs. None of them is written. */
export function newFilesOf(project: Project): NewFiles {
  const exists = ({ path }: NewFile) => isThere(join(project.folder, path));
  // A project that has an app gets no second one: its app gets the construct.
  const files = allFiles(project).filter(
    (file) => project.app === null || !file.path.startsWith('deploy/') || exists(file),
  );
  return { missing: files.filter((file) => !exists(file)), existing: files.filter(exists) };
}

/** Also a symbolic link to nowhere: through it, another file would be written. */
function isThere(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // A part of the path is a file: writing it is refused.
    return false;
  }
}

/**
 * Writes the files, after it has checked that all of them can be written.
 * @throws OutputFileError; Error when a file exists meanwhile: no file is overwritten
 */
export function writeNewFiles(folder: string, files: readonly NewFile[]): void {
  for (const { path } of files) checkNewFile(join(folder, path));
  for (const { path, text } of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { flag: 'wx' });
  }
}

/** The job for pull requests, relative to the top of the repository, where GitHub and GitLab look for it. */
export function jobFile({ isOnGitLab, place: { slug } }: Project): string {
  const folder = isOnGitLab ? '.gitlab' : '.github/workflows';
  return `${folder}/pg-deploy-step${slug === '' ? '' : `-${slug}`}.yml`;
}

function allFiles(project: Project): NewFile[] {
  const job = join(relative(project.folder, project.place.root), jobFile(project));
  return [
    ...packageFiles(project),
    ...databaseFiles(project),
    {
      path: 'cdk.json',
      what: 'the configuration: environments, lint, source of the pipeline',
      text: jsonText(newConfiguration(project)),
    },
    template(APP, 'the CDK app: a stack and a pipeline for each environment'),
    {
      path: 'deploy/pipeline-stack.ts',
      what: 'a CodePipeline that deploys the stack and runs the workflow',
      text: templateText('deploy/pipeline-stack.ts').replace(
        "'npm ci'",
        installCommands(project)
          .map((command) => `'${command.replaceAll("'", "\\'")}'`)
          .join(', '),
      ),
    },
    project.isOnGitLab
      ? { path: job, what: 'a job for merge requests: lint, synth, plan', text: gitLabJob(project) }
      : {
          path: job,
          what: 'a job for pull requests: lint, synth, plan',
          text: gitHubWorkflow(project),
        },
  ];
}

/** The registry. An empty folder gets an example of a migration and of its index. */
function databaseFiles({ isEmpty, migrations, app }: Project): NewFile[] {
  if (isEmpty && migrations === null) {
    return [
      template(`${MIGRATIONS}/0001_orders.sql`, 'an example of a migration: replace it'),
      template(REGISTRY, 'the index registry, with an example'),
    ];
  }
  const entries = migrations?.entries ?? [];
  const from =
    entries.length === 0 ? 'no entry yet' : `${counted(entries.length, 'index')} of your migrations`;
  return [
    {
      path: app?.registry ?? REGISTRY,
      what: `the index registry: ${from}`,
      text: registryText(entries, 'ts', 'defineIndexes'),
    },
  ];
}

function packageFiles(project: Project): NewFile[] {
  if (project.manifest !== null && !project.isEmpty) return [];
  const manifest = newManifest(basename(project.folder), {
    registry: project.app?.registry ?? REGISTRY,
    migrations: appliedFolderOf(project) ?? 'none',
  });
  return [
    ...(project.manifest === null
      ? [{ path: 'package.json', what: 'the packages and the scripts', text: jsonText(manifest) }]
      : []),
    template('tsconfig.json', 'the options of TypeScript'),
    { path: '.gitignore', what: 'what Git ignores', text: 'node_modules/\ncdk.out/\n' },
  ];
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function template(path: string, what: string): NewFile {
  return { path, what, text: templateText(path) };
}

function templateText(path: string): string {
  return readFileSync(join(NEW_PROJECT, path), 'utf8');
}

import { counted } from '../../lambdas/shared/text.ts';
import { oneLine } from '../../lambdas/shared/visible-text.ts';
import { MIGRATIONS, type Project } from './examine-project.ts';
import { appliedFolderOf, toReplace } from './new-configuration.ts';
import { APP, jobFile, type NewFile, type NewFiles } from './new-files.ts';
import { missingPackages } from './new-manifest.ts';

/** What was found, which files are written, and which stay as they are. */
export function filesInWords({ folder, migrations }: Project, { missing, existing }: NewFiles): string {
  const found =
    migrations === null
      ? 'no migrations'
      : `${counted(migrations.count, 'migration')} (${migrations.tool}) in ${migrations.folder}, ${counted(migrations.entries.length, 'index')}`;
  return [
    oneLine(`${folder}: ${found}`),
    ...listOf('Files to write:', missing),
    ...listOf('Files that exist, and are not changed:', existing),
    ...notImported(migrations),
    '',
  ].join('\n');
}

function listOf(title: string, files: readonly NewFile[]): string[] {
  if (files.length === 0) return [];
  const width = Math.max(...files.map(({ path }) => path.length));
  return ['', title, ...files.map(({ path, what }) => `  ${path.padEnd(width)}  ${what}`)];
}

/** Most lines about indexes that were not imported. */
const MOST_LINES = 10;

function notImported(migrations: Project['migrations']): string[] {
  const skipped = migrations?.notImported ?? [];
  if (skipped.length === 0) return [];
  const lines = skipped.slice(0, MOST_LINES).map(({ file, line, what, reason }) => {
    return `  ${oneLine(`${line === null ? file : `${file}:${line}`}: ${what}: ${reason}`)}`;
  });
  const more = skipped.length - lines.length;
  return [
    '',
    'Not imported:',
    ...lines,
    ...(more > 0 ? [`  … and ${more} more: pg-deploy-step import lists all`] : []),
  ];
}

/** What to do after the files are written. */
export function nextSteps(project: Project, { missing, existing }: NewFiles): string {
  const { manifest, packageManager } = project;
  const isWritten = (path: string) => missing.some((file) => file.path === path);
  const packages = manifest === null ? [] : missingPackages(manifest);
  const examples = ['Replace the examples in cdk.json:', ...toReplace(project).map((one) => `   - ${one}`)];
  const isOtherApp = project.app?.registry === null && !existing.some(({ path }) => path === APP);
  const steps = [
    ...(isWritten('package.json') ? ['npm install'] : []),
    ...(packages.length > 0 ? [`${packageManager.add} ${packages.join(' ')}`] : []),
    ...(isWritten('cdk.json') ? [examples.join('\n')] : []),
    ...(isOtherApp ? [constructInWords(project)] : []),
    ...(project.isOnGitLab && missing.some(({ path }) => path.endsWith(jobFile(project)))
      ? [`Add to .gitlab-ci.yml: include: [{ local: ${jobFile(project)} }]`]
      : []),
    ...(isOtherApp ? [] : ['npx pg-deploy-step lint']),
    'npx cdk synth --quiet',
  ];
  return ['Next:', ...steps.map((step, at) => `${at + 1}. ${step}`), ''].join('\n');
}

/** The construct for an app that exists. */
function constructInWords(project: Project): string {
  const folder = appliedFolderOf(project);
  const migrations =
    folder === undefined ? ", migrations: 'none'" : folder === MIGRATIONS ? '' : `, migrations: '${folder}'`;
  return [
    'Add the construct to the stack of your services, if it does not contain it yet:',
    "     import { DeployStep } from 'pg-deploy-step';",
    `     new DeployStep(this, 'DeployStep', { database: cluster, services: [api]${migrations} });`,
    ...(project.migrations !== null && folder === undefined
      ? [
          `   With the runner ecs-task it applies the migrations of ${project.migrations.tool} too: see docs/configuration.md.`,
        ]
      : []),
  ].join('\n');
}

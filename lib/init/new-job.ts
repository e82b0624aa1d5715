import { type Project, REGISTRY } from './examine-project.ts';
import { appliedFolderOf } from './new-configuration.ts';
import { quotedForShell } from './shell-words.ts';

/** Without the variable, the plan is that of an empty database on the machine of the job. */
const DATABASE = 'PG_DEPLOY_STEP_DATABASE_URL';

/** The commands with which a job that starts at the top of the repository installs the packages and goes to the project. */
export function installCommands({ packageManager: { install, isAtRoot }, place }: Project): string[] {
  if (place.path === '') return [install];
  const enter = `cd ${quotedForShell(place.path)}`;
  return isAtRoot ? [install, enter] : [enter, install];
}

/** The workflow of GitHub Actions: lint, synth, and a plan. */
export function gitHubWorkflow(project: Project): string {
  const { place, packageManager } = project;
  const isBelow = place.path !== '';
  return `name: ${isBelow ? `pg-deploy-step ${place.slug}` : 'pg-deploy-step'}

on: pull_request

permissions:
  contents: read

jobs:
  lint-and-plan:
    runs-on: ubuntu-latest
${isBelow ? `    defaults:\n      run:\n        working-directory: ${quotedForShell(place.path)}\n` : ''}    env:
      # A database that this job can reach, such as a copy. Without the secret, the plan is that of an empty database.
      DATABASE_URL: \${{ secrets.${DATABASE} }}
    steps:
      - uses: actions/checkout@v5
      - uses: actions/setup-node@v5
        with:
          node-version: 24
      - run: ${packageManager.install}
${isBelow && packageManager.isAtRoot ? '        working-directory: .\n' : ''}      - name: Lint the registry and the migrations
        run: ${lintCommand(project)} --format github
      - name: Synthesise the environments
        run: npx cdk synth --quiet
      - name: Plan
        shell: bash
        run: |
          ${planCommand(project)} | tee "$RUNNER_TEMP/plan.txt"
          { echo '### pg-deploy-step: plan'; echo; sed 's/^/    /' "$RUNNER_TEMP/plan.txt"; } >>"$GITHUB_STEP_SUMMARY"
`;
}

/** The job of GitLab CI, to include in .gitlab-ci.yml. */
export function gitLabJob(project: Project): string {
  return `pg-deploy-step${project.place.slug === '' ? '' : `-${project.place.slug}`}:
  image: node:24
  rules:
    - if: $CI_PIPELINE_SOURCE == 'merge_request_event'
  variables:
    # A database that this job can reach, such as a copy. Without the variable, the plan is that of an empty database.
    DATABASE_URL: $${DATABASE}
  script:
${installCommands(project)
  .map((command) => `    - ${command}\n`)
  .join('')}    - ${lintCommand(project)}
    - npx cdk synth --quiet
    - if [ "$DATABASE_URL" = '$${DATABASE}' ]; then unset DATABASE_URL; fi
    - ${planCommand(project)}
`;
}

/** Without environments in cdk.json, flags name the files. */
function lintCommand({ app, migrations }: Project): string {
  if (app === null || app.registry !== null) return 'npx pg-deploy-step lint';
  const files =
    migrations === null ? [] : ['--migrations', migrations.folder, '--start-after', migrations.last];
  return ['npx pg-deploy-step lint --indexes', REGISTRY, ...files.map(quotedForShell)].join(' ');
}

function planCommand(project: Project): string {
  const registry = quotedForShell(project.app?.registry ?? REGISTRY);
  const folder = quotedForShell(appliedFolderOf(project) ?? 'none');
  return (
    `npx pg-deploy-step run --mode plan --indexes ${registry} --migrations ${folder} --services none --seed none ` +
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell replaces it
    '${DATABASE_URL:+--database-url env}'
  );
}

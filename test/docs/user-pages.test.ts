import { globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkedInput } from '../../lambdas/shared/execution-input.ts';
import { MIGRATION_TOOLS } from '../../lambdas/shared/tool-migrations.ts';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { parseSql } from '../../lib/sql/parser.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { blocksOf } from './support/page-blocks.ts';

/*
 * The pages for users: each command exists with its flags, each JSON is accepted by what reads it, and SQL can be parsed. The commands
 * of development-databases.md and upgrade.md are run, in tests of their own.
 */

const PAGES = [
  ...[
    'getting-started',
    'release-order',
    'users-in-the-window',
    'development-databases',
    'on-call',
    'upgrade',
  ].map((name) => `docs/${name}.md`),
  ...globSync('docs/migration-tools/*.md'),
].toSorted();

const NETWORK = {
  vpcId: 'vpc-0123456789abcdef0',
  availabilityZones: ['eu-west-1a'],
  subnetIds: ['subnet-0123456789abcdef0'],
  securityGroupIds: ['sg-0123456789abcdef0'],
};
const SECRET = 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/postgres-AbCdEf';

/** An environment with fields of a page. */
const environmentWith = (fields: object) =>
  parseEnvironments({ prod: { network: NETWORK, database: { secretArn: SECRET }, ...fields } });

interface Policy {
  readonly Version: string;
  readonly Statement: readonly { Effect: string; Action: string | string[]; Resource: string | string[] }[];
}

/** Lets what reads a JSON of a page check it. Throws if nothing reads it. */
function check(block: string): void {
  if (block.startsWith('"')) return void environmentWith(JSON.parse(`{${block}}`));
  const value = JSON.parse(block) as Policy | object;
  if (!('Version' in value)) return void checkedInput(value);
  for (const { Effect, Action, Resource } of value.Statement) {
    expect(Effect).toBe('Allow');
    for (const action of [Action].flat()) expect(action).toMatch(/^[a-z-]+:[A-Z]\w+$/);
    expect([Resource].flat().length).toBeGreaterThan(0);
  }
}

const flagsOf = (text: string) => [...text.matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].map(([flag]) => flag);

let place: CommandFolder;
/** The flags of each command, from its help. */
const flags: Record<string, string[]> = {};
beforeAll(async () => {
  place = createCommandFolder();
  for (const command of ['run', 'lint', 'import', 'init']) {
    flags[command] = flagsOf((await place.run(command, '--help')).stdout);
  }
  place.remove();
});

it('there is a page for each migration tool', () => {
  const text = globSync('docs/migration-tools/*.md')
    .map((page) => readFileSync(page, 'utf8'))
    .join('');
  for (const tool of MIGRATION_TOOLS) expect(text).toContain(`"tool": "${tool}"`);
});

describe.each(PAGES)('%s', (page) => {
  it('has only JSON that is accepted by what reads it', () => {
    for (const block of blocksOf(page, 'json')) expect(() => check(block), block).not.toThrow();
  });

  it('uses only commands and flags that exist', () => {
    const text = readFileSync(page, 'utf8');
    const used = text.matchAll(/npx pg-deploy-step (\S+)((?:[^`|\n\\]|\\\n)*)/g);
    for (const [command, name = '', args = ''] of used) {
      expect(Object.keys(flags), command).toContain(name);
      expect(flags[name], command).toEqual(expect.arrayContaining(flagsOf(args)));
    }
  });

  it('has only SQL that PostgreSQL can parse', () => {
    for (const block of blocksOf(page, 'sql')) expect(parseSql(block).length, block).toBeGreaterThan(0);
  });
});

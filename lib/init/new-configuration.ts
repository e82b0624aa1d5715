import { MIGRATIONS, type Project, REGISTRY } from './examine-project.ts';

/** The commands with which an ECS task applies the migrations of a tool. */
const COMMANDS = {
  prisma: ['npx', 'prisma', 'migrate', 'deploy'],
  drizzle: ['npx', 'drizzle-kit', 'migrate'],
  rails: ['bin/rails', 'db:migrate'],
  flyway: ['flyway', 'migrate'],
  'node-pg-migrate': ['npx', 'node-pg-migrate', 'up'],
  plain: ['./migrate'],
} as const;

/** Synth accepts the examples, and nobody has these ids: nothing can be deployed with them by accident. */
const SUBNETS = ['subnet-00000000000000000', 'subnet-11111111111111111'];
const SECURITY_GROUPS = ['sg-00000000000000000'];
const ACCOUNT = '111111111111';

/** What to replace in cdk.json, in words. */
export function toReplace({ isEmpty, migrations }: Project): string[] {
  const task = 'migrations: the ECS task that applies them';
  const none = 'migrations: "none" means that your pipeline applies them before the deploy';
  return [
    'account, region and network; add one environment for each account',
    'database.secretArn; with a secret that RDS manages also host and name',
    ...(migrations === null ? (isEmpty ? [] : [none]) : migrations.isForRunner ? [] : [task]),
    'services: the ECS services that use the database',
    'source: the connection and the repository of the pipeline',
  ];
}

/** The whole cdk.json of a new app. */
export function newConfiguration(project: Project): unknown {
  const dev = {
    account: ACCOUNT,
    region: 'eu-west-1',
    network: {
      vpcId: 'vpc-00000000000000000',
      availabilityZones: ['eu-west-1a', 'eu-west-1b'],
      subnetIds: SUBNETS,
      securityGroupIds: SECURITY_GROUPS,
    },
    database: { secretArn: `arn:aws:secretsmanager:eu-west-1:${ACCOUNT}:secret:dev/postgres-AbCdEf` },
    indexes: REGISTRY,
    migrations: runnerOf(project),
    services: [{ name: 'api', cluster: 'dev', service: 'api' }],
    alerts: { emails: [] },
  };
  const connection = '00000000-0000-0000-0000-000000000000';
  const source = {
    connectionArn: `arn:aws:codeconnections:eu-west-1:${ACCOUNT}:connection/${connection}`,
    repository: 'example/app',
    branch: 'main',
  };
  return {
    app: 'npx tsx deploy/app.ts',
    context: { environments: { [environmentOf(project)]: dev }, ...lintOf(project), source },
  };
}

/** Most characters of a slug in the name of an environment, which has at most 31. */
const MOST_OF_SLUG = 27;

/** The name of the environment. Two databases of one account need different names of their resources. */
function environmentOf({ place: { slug } }: Project): string {
  return slug === '' ? 'dev' : `${slug.slice(-MOST_OF_SLUG).replace(/^[^a-z]+/, '')}-dev`;
}

/** The folder that the runner `sql` applies. Undefined: another tool applies the migrations. */
export function appliedFolderOf({ isEmpty, migrations }: Project): string | undefined {
  if (migrations === null) return isEmpty ? MIGRATIONS : undefined;
  return migrations.isForRunner ? migrations.folder : undefined;
}

function runnerOf(project: Project): unknown {
  const folder = appliedFolderOf(project);
  if (folder !== undefined) return folder;
  if (project.migrations === null) return 'none';
  return {
    runner: 'ecs-task',
    cluster: 'dev',
    taskDefinition: 'migrate',
    container: 'migrate',
    command: COMMANDS[project.migrations.tool],
    network: { subnetIds: SUBNETS, securityGroupIds: SECURITY_GROUPS },
    roles: { task: 'none', execution: `arn:aws:iam::${ACCOUNT}:role/migrate-execution` },
  };
}

/** The migrations that exist were applied with their indexes: they are not changed, and not checked. */
function lintOf({ migrations }: Project): { lint?: unknown } {
  if (migrations === null) return {};
  const { isForRunner, folder, last } = migrations;
  return { lint: { ...(!isForRunner && { migrations: [folder] }), startAfter: last } };
}

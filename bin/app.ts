import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { showUncaughtErrors } from '../lib/cli/terminal/terminal-text.ts';
import { parseEnvironments } from '../lib/config/environment-config.ts';
import { resourceNamesOf } from '../lib/config/resource-names.ts';
import { EnvironmentStack } from '../lib/constructs/environment-stack.ts';

// The messages quote cdk.json, registries and migrations.
showUncaughtErrors();
const projectRoot = resolve(import.meta.dirname, '..');
// The CDK command sets the variable. Without it CDK would leave a new folder in the system's temporary folder each time.
const app = new App({ outdir: process.env.CDK_OUTDIR ?? resolve(projectRoot, 'cdk.out') });

for (const [environmentName, environment] of Object.entries(
  parseEnvironments(app.node.tryGetContext('environments')),
)) {
  new EnvironmentStack(app, resourceNamesOf(environmentName, environment.stack.namePrefix).stack, {
    environmentName,
    environment,
    projectRoot,
    description: `pg-deploy-step: migrations and index builds for ${environmentName}`,
    env: { account: environment.account, region: environment.region },
    tags: { 'pg-deploy-step': environmentName },
  });
}

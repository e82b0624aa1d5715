import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { loadRegistry, parseEnvironments } from 'pg-deploy-step';
import { CdkPipelinesStack } from './cdk-pipelines-stack.ts';
import { CodePipelineStack } from './code-pipeline-stack.ts';
import { sourceOf } from './source.ts';

/** Where database/ lies: the paths of the environments are relative to it. */
const projectRoot = resolve(import.meta.dirname, '../..');

const app = new App();
const source = sourceOf(app);
const { dev } = parseEnvironments(app.node.tryGetContext('environments'));
if (dev === undefined)
  throw new Error('cdk.json, context environments: add "dev", which this example deploys.');
const env = { account: dev.account, region: dev.region };

new CodePipelineStack(app, 'example-code-pipeline', { source, environmentName: 'dev', env });

new CdkPipelinesStack(app, 'example-cdk-pipelines', {
  source,
  environmentName: 'dev',
  environment: dev,
  registry: await loadRegistry(resolve(projectRoot, dev.indexes)),
  projectRoot,
  env,
});

import { resolve } from 'node:path';
import { App } from 'aws-cdk-lib';
import { parseEnvironments } from 'pg-deploy-step';
import { CdkPipelinesStack } from './cdk-pipelines-stack.ts';
import { CodePipelineStack } from './code-pipeline-stack.ts';
import { sourceOf } from './source.ts';

/** Folder to which the paths in the environments are relative. It contains database/. */
const projectRoot = resolve(import.meta.dirname, '../..');

const app = new App();
const source = sourceOf(app);
const environments = parseEnvironments(app.node.tryGetContext('environments'));
const { dev } = environments;
if (dev === undefined)
  throw new Error('cdk.json: the context "environments" has no "dev". Add it: this example deploys it.');
const env = { account: dev.account, region: dev.region };
const shared = { source, environmentName: 'dev', env };

new CodePipelineStack(app, 'example-code-pipeline', { ...shared, place: 'before' });
new CodePipelineStack(app, 'example-hold', { ...shared, place: 'around' });
new CodePipelineStack(app, 'example-plan-approval', { ...shared, place: 'after-approval' });
new CdkPipelinesStack(app, 'example-cdk-pipelines', {
  ...{ source, projectRoot, environments, env },
  approved: ['prod'],
});

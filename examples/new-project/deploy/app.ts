import { App } from 'aws-cdk-lib';
import { EnvironmentStack, parseEnvironments } from 'pg-deploy-step';
import { PipelineStack } from './pipeline-stack.js';

// One stack for each environment in cdk.json, and a pipeline that deploys it and then runs its workflow.
const app = new App();
const environments = parseEnvironments(app.node.tryGetContext('environments'));

for (const [environmentName, environment] of Object.entries(environments)) {
  const env = { account: environment.account, region: environment.region };
  new EnvironmentStack(app, `pg-deploy-step-${environmentName}`, { environmentName, environment, env });
  new PipelineStack(app, `pg-deploy-step-pipeline-${environmentName}`, { environmentName, env });
}

import { Stack, type StackProps } from 'aws-cdk-lib';
import { Artifact, type IAction, Pipeline, PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { CodeBuildAction, CodeStarConnectionsSourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import type { Construct } from 'constructs';
import { DeployStepAction, PlanApproval } from 'pg-deploy-step';
import { cdkDeployProject } from './cdk-deploy-project.ts';
import type { Source } from './source.ts';

/**
 * Where the deploy step is. `before`: the application's own deployment follows, and finds the services running. `around`: the deploy
 * step holds the services stopped until that deployment has ended. `after-approval`: as `before`, but a person approves the plan first.
 */
export type Place = 'before' | 'around' | 'after-approval';

export interface CodePipelineStackProps extends StackProps {
  source: Source;
  environmentName: string;
  place: Place;
}

/** A CodePipeline: source, `cdk deploy` of the environment's stack, a run of its workflow, `cdk deploy` of the application. */
export class CodePipelineStack extends Stack {
  constructor(scope: Construct, id: string, props: CodePipelineStackProps) {
    const { source, environmentName, place, ...stackProps } = props;
    super(scope, id, stackProps);
    const code = new Artifact('Source');
    const cdkDeploy = (actionName: string, stackName: string, runOrder: number) =>
      new CodeBuildAction({
        ...{ actionName, runOrder, input: code },
        project: cdkDeployProject(this, `${actionName}Project`, stackName),
      });
    const application = (runOrder: number) => cdkDeploy('Deploy-Application', 'application', runOrder);
    new Pipeline(this, 'Pipeline', {
      pipelineName: id,
      pipelineType: PipelineType.V2,
      crossAccountKeys: false,
      stages: [
        {
          stageName: 'Source',
          actions: [new CodeStarConnectionsSourceAction({ actionName: 'Source', ...source, output: code })],
        },
        {
          stageName: 'Deploy',
          actions: [
            // First, so that the workflow has the registry and the migrations of this commit.
            cdkDeploy('Deploy-Stack', `pg-deploy-step-${environmentName}`, 1),
            ...this.#deployStep(place, environmentName, { code, application }),
          ],
        },
      ],
    });
  }

  #deployStep(
    place: Place,
    environmentName: string,
    { code, application }: { code: Artifact; application: (runOrder: number) => IAction },
  ): IAction[] {
    const actionName = 'Deploy-Step';
    if (place === 'around') {
      // Their run orders are 2 and 4.
      const { hold, startServices } = DeployStepAction.pair(this, 'DeployMachine', {
        ...{ actionName, environmentName, runOrder: 2 },
      });
      return [hold, application(3), startServices];
    }
    const deploy = (runOrder: number) =>
      new DeployStepAction(this, 'DeployMachine', {
        ...{ actionName, environmentName, runOrder, input: { mode: 'deploy' } },
      });
    if (place === 'before') return [deploy(2), application(3)];
    // Their run orders are 2, 3 and 4.
    const { actions } = new PlanApproval(this, 'Plan', {
      ...{ actionName, environmentName, input: code, runOrder: 2 },
    });
    return [...actions, deploy(5), application(6)];
  }
}

import { Stack } from 'aws-cdk-lib';
import { AccountPrincipal, type IRole, PolicyStatement, Role } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { resourceNamesOf } from '../config/resource-names.ts';
import { deployMachineArn, type PipelineTarget, pipelineExecutionsArn } from './pipeline-target.ts';

/** Properties of PipelineRole. */
export interface PipelineRoleProps {
  /** Account of the pipeline, 12 digits. */
  readonly pipelineAccount: string;
  /** Name of the environment. */
  readonly environmentName: string;
  /** `stack.namePrefix` of the environment. @default none */
  readonly namePrefix?: string;
  /**
   * ARNs of the roles of the pipeline account that may use this role, with `*` and `?`.
   * @default each role whose own policy allows it, as with the roles of `cdk bootstrap --trust`
   */
  readonly pipelineRoles?: readonly string[];
}

/**
 * The role with which a pipeline of another account starts the deploys of an environment, and waits for them. It may do nothing else.
 * Place it in the account of the environment, in a stack that the pipeline deploys before its step runs: for example in the
 * EnvironmentStack. Its name is fixed (`pg-deploy-step-NAME-pipeline`), so that the pipeline can refer to it before it exists.
 *
 * A pipeline of CDK Pipelines needs it: without it, the CDK would create a role in a support stack that the self-mutation of the pipeline
 * has to deploy, and that may deploy into the account of the pipeline only.
 *
 * ```ts
 * new PipelineRole(environmentStack, 'PipelineRole', { environmentName: 'prod', pipelineAccount: '111111111111' });
 * ```
 */
export class PipelineRole extends Role {
  /** The role of an environment in another account, for `role` of DeployStepAction. */
  static of(scope: Construct, id: string, target: PipelineTarget): IRole {
    // Immutable: its policy is part of another stack.
    return Role.fromRoleArn(scope, id, PipelineRole.arnOf(scope, target), { mutable: false });
  }

  /** Its ARN. */
  static arnOf(scope: Construct, { environmentName, namePrefix, account }: PipelineTarget): string {
    return Stack.of(scope).formatArn({
      ...{ service: 'iam', region: '', resource: 'role' },
      resourceName: resourceNamesOf(environmentName, namePrefix).pipelineRole,
      ...(account !== undefined && { account }),
    });
  }

  readonly #target: PipelineTarget;

  constructor(scope: Construct, id: string, props: PipelineRoleProps) {
    const { pipelineAccount, pipelineRoles, ...target } = props;
    const trusted = new AccountPrincipal(pipelineAccount);
    super(scope, id, {
      roleName: resourceNamesOf(target.environmentName, target.namePrefix).pipelineRole,
      description: `Pipelines of the account ${pipelineAccount} start the deploys of ${target.environmentName} with it`,
      assumedBy:
        pipelineRoles === undefined
          ? trusted
          : trusted.withConditions({ ArnLike: { 'aws:PrincipalArn': [...pipelineRoles] } }),
    });
    this.addToPolicy(
      new PolicyStatement({
        actions: ['states:StartExecution', 'states:DescribeStateMachine'],
        resources: [deployMachineArn(this, target)],
      }),
    );
    this.addToPolicy(
      new PolicyStatement({
        actions: ['states:DescribeExecution'],
        resources: [pipelineExecutionsArn(this, target)],
      }),
    );
    this.#target = target;
  }

  /** Whether it is the role of an environment in another account. */
  isFor({ environmentName, namePrefix, account }: PipelineTarget): boolean {
    return (
      this.#target.environmentName === environmentName &&
      this.#target.namePrefix === namePrefix &&
      this.env.account === account
    );
  }
}

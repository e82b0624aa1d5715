import { createHash } from 'node:crypto';
import { RemovalPolicy } from 'aws-cdk-lib';
import { type CfnPolicy, type CfnRole, Policy, type Role } from 'aws-cdk-lib/aws-iam';
import type { CfnStateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { WorkflowMachine } from '../workflow-machine.ts';
import type { ServiceTargets } from './service-targets.ts';

/**
 * Gives a state machine the permissions to start the configured services, and lets it keep them: each service has an inline
 * policy of its own, which stays on the role when the service is removed from the configuration. A service that is removed
 * while it is stopped can be started in this way, and the role has no permission for services that were never configured.
 * IAM does not delete a role that has policies. Therefore the role stays too when the stack is deleted.
 */
export function grantRestore(scope: Construct, machine: WorkflowMachine, services: ServiceTargets): void {
  const role = machine.role as Role;
  const rights = services.allKinds.flatMap((kind) => Object.entries(kind.restoreRights(scope)));
  for (const [subject, statements] of rights) {
    // The same service must have the same logical id and the same policy, whatever its name and its place in the list are.
    const id = createHash('sha256').update(subject).digest('hex').slice(0, 16);
    const policy = new Policy(scope, `Restore${id}`, {
      policyName: `pg-deploy-step-restore-${id}`,
      roles: [role],
      statements,
    });
    const resource = policy.node.defaultChild as CfnPolicy;
    keep(resource);
    const definition = machine.node.defaultChild as CfnStateMachine;
    // The second name is that of older versions of the CDK.
    (definition.addResourceDependency ?? definition.addDependency).call(definition, resource);
  }
  keep(role.node.defaultChild as CfnRole);
}

/** Keeps a resource that leaves the template, or whose stack is deleted. A stack whose creation fails removes it. */
function keep(resource: CfnPolicy | CfnRole): void {
  resource.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
}

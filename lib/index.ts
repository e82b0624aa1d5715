/*
 * The package's exports for CDK apps: the constructs, the environments of cdk.json, and the steps that start a deploy from a
 * pipeline. See examples/pipeline.
 *
 * Nothing here may import the parser of PostgreSQL: it is loaded with a promise, which a CommonJS module cannot wait for.
 */
export type { CompiledRegistry } from '../lambdas/shared/registry.ts';
export { CompileError } from './compile/compile-files.ts';
export { loadRegistry } from './compile/compile-registry-file.ts';
export type { CompiledFiles, CompiledFinding } from './compile/compiled-files.ts';
export { ConfigurationError } from './config/configuration-error.ts';
export { type Environment, type EnvironmentInput, parseEnvironments } from './config/environment-config.ts';
export { type MachineNames, machineNamesOf } from './config/resource-names.ts';
export { DeployStep } from './constructs/deploy-step.ts';
export type {
  AlertOptions,
  CustomServiceNames,
  CustomServiceProps,
  DatabaseOptions,
  DeployStepOptions,
  DeployStepProps,
  EcsServiceNames,
  EcsServiceProps,
  EventRuleNames,
  EventRuleProps,
  EventSourceMappingNames,
  EventSourceMappingProps,
  LogOptions,
  ScheduleNames,
  ScheduleProps,
  StoppedService,
  TaskRoles,
} from './constructs/deploy-step-props.ts';
export { DeployStepStack, type DeployStepStackProps } from './constructs/deploy-step-stack.ts';
export { EnvironmentStack, type EnvironmentStackProps } from './constructs/environment-stack.ts';
export {
  DeployStepAction,
  type DeployStepActionProps,
  type DeployStepInput,
  type DeployStepTarget,
  type HoldPair,
} from './pipeline/deploy-step-action.ts';
export { PipelineDeployStep } from './pipeline/pipeline-deploy-step.ts';
export { PipelinePlanApproval, type PipelinePlanApprovalProps } from './pipeline/pipeline-plan-approval.ts';
export { PipelineRole, type PipelineRoleProps } from './pipeline/pipeline-role.ts';
export type { PipelineTarget } from './pipeline/pipeline-target.ts';
export { type ApprovalOptions, PlanApproval, type PlanApprovalProps } from './pipeline/plan-approval.ts';
export {
  defineIndexes,
  type EntryConstraint,
  type IndexEntry,
  type Registry,
  type RegistryOptions,
} from './registry/define-indexes.ts';
export { RegistryError } from './registry/registry-error.ts';

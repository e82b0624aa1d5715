/*
 * The package's exports for other CDK apps: the stack of an environment, its configuration, and the steps that start a
 * deploy from a pipeline. See examples/pipeline.
 */
export type { CompiledRegistry } from '../lambdas/shared/registry.ts';
export { ConfigurationError } from './config/configuration-error.ts';
export { type Environment, type EnvironmentInput, parseEnvironments } from './config/environment-config.ts';
export { type MachineNames, machineNamesOf } from './config/resource-names.ts';
export { DeployStepStack, type DeployStepStackProps } from './deploy-step-stack.ts';
export { DeployStep } from './pipeline/deploy-step.ts';
export {
  DeployStepAction,
  type DeployStepActionProps,
  type DeployStepInput,
  type DeployStepTarget,
} from './pipeline/deploy-step-action.ts';
export { defineIndexes, type IndexEntry } from './registry/define-indexes.ts';
export { loadRegistry } from './registry/load-registry.ts';
export { RegistryError } from './registry/registry-error.ts';

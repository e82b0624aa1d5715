/*
 * What other CDK apps import: the stack of an environment, what it is configured with, and the steps that run it from a
 * pipeline. examples/pipeline shows them together.
 */
export type { CompiledRegistry } from '../lambdas/shared/registry.ts';
export { ConfigurationError } from './config/configuration-error.ts';
export type { Environment, EnvironmentInput } from './config/environment-config.ts';
export { parseEnvironments } from './config/environment-config.ts';
export { type MachineNames, machineNamesOf } from './config/machine-names.ts';
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

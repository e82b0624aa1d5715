import { JsonNull } from 'aws-cdk-lib';

/**
 * A null in a state's parameters. The CDK leaves a plain `null` out of the definition, and a path that then reads it
 * fails the execution with States.Runtime, which nothing catches.
 */
export const NULL = JsonNull.INSTANCE;

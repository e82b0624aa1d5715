import { z } from 'zod';
import { kmsKeyArn } from './aws-names.ts';
import { fields } from './configuration-error.ts';

const policyArn = z
  .string()
  .regex(
    /^arn:[\w-]+:iam::(\d{12}|aws):policy\/[\w+=,.@/-]+$/,
    'must be the ARN of a managed policy (arn:aws:iam::ACCOUNT:policy/NAME)',
  );

/** Parameter Store reserves names that begin with aws or ssm. A prefix with the product's name could give two stacks one name. */
const namePrefix = z
  .string()
  .regex(
    /^(?!aws|ssm)(?!.*pg-deploy-step)[a-z][a-z0-9]*(-[a-z0-9]+)*$/,
    'must consist of lower-case letters, digits and single hyphens between them, start with a letter, not with aws or ssm, and not contain pg-deploy-step',
  );

/** The field `stack` of an environment: options of the stack as a whole. */
export const stackSchema = fields({
  /** What the names of all resources begin with, before pg-deploy-step. @default nothing */
  namePrefix: namePrefix.optional(),
  /** Whether CloudFormation refuses to delete the stack. */
  terminationProtection: z.boolean().default(false),
  /** Whether log groups, the alert topic and its key remain when the stack is deleted. */
  retain: z.boolean().default(false),
  /** ARN of the KMS key that encrypts definitions and execution histories of the state machines. @default a key of AWS */
  stateMachineKeyArn: kmsKeyArn.optional(),
  /** ARN of the managed policy that is the permissions boundary of every role. @default none */
  permissionsBoundary: policyArn.optional(),
  /** Tags of the stack and of all its resources. */
  tags: z
    .record(
      z
        .string()
        .regex(
          /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu,
          'must be a key that AWS accepts: at most 128 letters, digits, spaces and _.:/=+-@, and not beginning with aws:',
        ),
      z
        .string()
        .regex(
          /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u,
          'must be a value that AWS accepts: at most 256 letters, digits, spaces and _.:/=+-@',
        ),
    )
    .default({}),
});

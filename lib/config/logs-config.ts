import { z } from 'zod';
import { kmsKeyArn } from './aws-names.ts';
import { fields } from './configuration-error.ts';

/** The periods that CloudWatch Logs accepts, in days, without "never expire". */
const RETENTION_DAYS = [
  ...[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731],
  ...[1096, 1827, 2192, 2557, 2922, 3288, 3653],
] as const;

/** The field `logs` of an environment. */
export const logsSchema = fields({
  /** ARN of the KMS key that encrypts all log groups. Its policy must allow CloudWatch Logs. @default CloudWatch's own encryption */
  kmsKeyArn: kmsKeyArn.optional(),
  /** How long logs are kept, in days. */
  retentionDays: z.literal(RETENTION_DAYS).default(90),
  /** Whether the logs of the state machines contain the input and output of each state. It needs `kmsKeyArn`. */
  executionData: z.boolean().default(false),
}).refine(({ executionData, kmsKeyArn: key }) => !executionData || key !== undefined, {
  path: ['executionData'],
  message:
    'must be false without kmsKeyArn, because the data of every deploy would be in logs that are not encrypted with your key: enter the ARN of a KMS key',
});

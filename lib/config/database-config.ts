import { z } from 'zod';
import { MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { kmsKeyArn, secretArn } from './aws-names.ts';
import { fields } from './configuration-error.ts';

/** Why a text cannot be the name of a trusted role. Null: it can. */
export function trustedRoleProblem(name: string): string | null {
  if (name === '') return 'must be the name of a database role';
  if (name.toLowerCase() === 'public')
    return 'must be the name of one role: PUBLIC is every role, also those that you do not trust';
  if (Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES)
    return `must be the name of a database role, which has at most ${MAX_IDENTIFIER_BYTES} bytes`;
  return null;
}

const trustedRole = z.string().superRefine((name, context) => {
  const problem = trustedRoleProblem(name);
  if (problem !== null) context.addIssue({ code: 'custom', message: problem });
});

export const databaseSchema = fields({
  /** Complete ARN of the secret, a JSON object as RDS writes it: host, port, username, password, dbname. */
  secretArn,
  /** ARN of the customer-managed KMS key that encrypts the secret. @default the AWS managed key */
  secretKeyArn: kmsKeyArn.optional(),
  /** Database to connect to. @default the secret's dbname */
  name: z.string().optional(),
  /** @default the secret's host */
  host: z.string().optional(),
  /** @default the secret's port, otherwise 5432 */
  port: z.int().min(1).max(65_535).optional(),
  /** Roles that are trusted like the deploy role, for example the owner of the tables: see trusted-roles.ts. */
  trustedRoles: z.array(trustedRole).default([]),
});

import { existsSync, readFileSync } from 'node:fs';
import { messageOf } from '../../../lambdas/shared/errors.ts';
import { ConfigurationError } from '../../config/configuration-error.ts';

/** The configuration of a CDK app, in the working directory. */
export const CDK_JSON = 'cdk.json';

/**
 * Reads cdk.json.
 * @returns without a context if the file does not exist
 * @throws ConfigurationError
 */
export function readCdkJson(): { text: string; context: Record<string, unknown> | undefined } {
  if (!existsSync(CDK_JSON)) return { text: '', context: undefined };
  try {
    const text = readFileSync(CDK_JSON, 'utf8');
    return { text, context: JSON.parse(text).context ?? {} };
  } catch (error) {
    throw new ConfigurationError(`Could not read cdk.json: ${messageOf(error)}`);
  }
}

/** Region of the local AWS, in ARNs and in a template's pseudo parameters. */
export const REGION = 'eu-west-1';

/** Account of the local AWS. */
export const ACCOUNT = '000000000000';

/** ARN of a resource in the local AWS, such as `localArn('ecs', 'cluster/demo')`. */
export function localArn(service: string, resource: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
}

export function functionArn(name: string): string {
  return localArn('lambda', `function:${name}`);
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { ApplicationLoadBalancer, ListenerAction } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { expect, test } from 'vitest';
import { addMaintenancePage } from './support/maintenance-page.ts';
import { blocksOf, commandsOf } from './support/page-blocks.ts';

const PAGE = 'docs/users-in-the-window.md';

test('the example of a maintenance page is the one that is tested here', () => {
  const [block = ''] = blocksOf(PAGE, 'ts');
  const source = readFileSync(join(import.meta.dirname, 'support/maintenance-page.ts'), 'utf8');
  expect(block).not.toBe('');
  expect(source.endsWith(block)).toBe(true);
});

test('the rule is switched off by the condition with which it was created, and on by one for every path', () => {
  const stack = new Stack(new App({ analyticsReporting: false }), 'Shop');
  const loadBalancer = new ApplicationLoadBalancer(stack, 'Api', {
    vpc: new Vpc(stack, 'Vpc', { maxAzs: 2 }),
  });
  addMaintenancePage(
    loadBalancer.addListener('Http', { port: 80, defaultAction: ListenerAction.fixedResponse(200) }),
  );
  const [rule] = Object.values(
    Template.fromStack(stack).findResources('AWS::ElasticLoadBalancingV2::ListenerRule'),
  );
  const [on = '', off = ''] = commandsOf(PAGE).map((command) => /--conditions '(.*)'$/.exec(command)?.[1]);

  expect(rule?.Properties).toMatchObject({
    Priority: 1,
    Conditions: JSON.parse(off),
    Actions: [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } }],
  });
  expect(JSON.parse(on)).toEqual([{ Field: 'path-pattern', Values: ['*'] }]);
  const body: string = rule?.Properties.Actions[0].FixedResponseConfig.MessageBody;
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(1_024);
});

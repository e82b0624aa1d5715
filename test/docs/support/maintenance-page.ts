import {
  type ApplicationListener,
  ApplicationListenerRule,
  ListenerAction,
  ListenerCondition,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';

/*
 * The example of docs/users-in-the-window.md: what follows is that block, to the letter.
 */

const PAGE = '<!doctype html><title>Maintenance</title><h1>Back in a few minutes</h1>';

export function addMaintenancePage(listener: ApplicationListener): ApplicationListenerRule {
  return new ApplicationListenerRule(listener, 'MaintenancePage', {
    listener,
    priority: 1,
    // Nobody sends this header: the rule is off.
    conditions: [ListenerCondition.httpHeader('x-maintenance', ['on'])],
    action: ListenerAction.fixedResponse(503, { contentType: 'text/html', messageBody: PAGE }),
  });
}

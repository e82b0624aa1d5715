/** A service of each kind, as written in cdk.json. */

export const ECS_SERVICE = { name: 'api', cluster: 'prod', service: 'api', scaling: true };

export const RULE = { kind: 'event-rule' as const, name: 'nightly', rule: 'nightly-export' };

/** On a bus of its own. */
export const BUS_RULE = {
  kind: 'event-rule' as const,
  name: 'orders',
  rule: 'orders-placed',
  eventBus: 'shop',
};

export const MAPPING = {
  kind: 'event-source-mapping' as const,
  name: 'queue',
  uuid: '11111111-2222-4333-8444-555555555555',
};

import { defineIndexes } from 'pg-deploy-step/define-indexes';

export default defineIndexes([
  {
    name: 'idx_orders_tenant_status',
    sql: `create index concurrently if not exists idx_orders_tenant_status
      on orders (tenant_id, status)`,
    description: "A tenant's orders by status",
  },
]);

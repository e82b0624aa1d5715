import { defineIndexes } from 'pg-deploy-step/define-indexes';

export default defineIndexes([
  {
    name: 'idx_orders_customer',
    sql: 'create index concurrently if not exists idx_orders_customer on orders (customer_id)',
    critical: true,
    description: 'The orders of a customer',
  },
  {
    name: 'idx_orders_open',
    sql: `create index concurrently if not exists idx_orders_open
      on orders (created_at) where status = 'open'`,
    description: 'The open orders, oldest first',
  },
]);

-- The totals of the sales dashboard, calculated every 15 minutes instead of on every request. REFRESH MATERIALIZED VIEW
-- CONCURRENTLY requires a unique index on the view. database/indexes.ts contains it.
create materialized view deal_monthly_summary as
select
  deals.tenant_id,
  deals.assigned_to as user_id,
  users.full_name as representative,
  date_trunc('month', deals.created_at at time zone 'UTC')::date as month,
  count(*) as deals_total,
  count(*) filter (where deals.status = 'won') as deals_won,
  count(*) filter (where deals.status = 'lost') as deals_lost,
  coalesce(sum(deals.amount) filter (where deals.status = 'open'), 0) as pipeline_value
from deals
join users on users.id = deals.assigned_to
group by deals.tenant_id, deals.assigned_to, users.full_name, month
with data;

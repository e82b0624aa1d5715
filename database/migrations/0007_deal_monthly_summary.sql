-- What the sales dashboard shows, added up once instead of on every request. It is refreshed CONCURRENTLY every 15
-- minutes, which takes the unique index that database/indexes.ts brings.
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

-- The query of the old dashboard, which caused an outage: it adds up a tenant's deals by month and representative on
-- every request. The list of one month still uses it.
-- $1: 17
-- $2: 2025-11-01
select
  date_trunc('month', deals.created_at at time zone 'UTC') as month,
  users.full_name as representative,
  count(*) as deals,
  count(distinct companies.id) as companies,
  sum(deals.amount) as amount
from deals
join users on users.id = deals.assigned_to
join companies on companies.id = deals.company_id
where deals.tenant_id = $1 and deals.created_at >= $2
group by 1, 2
order by 1, 2;

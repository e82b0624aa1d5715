-- A representative's open deals.
-- $1: 17
-- $2: 423
select id, title, amount, created_at
from deals
where tenant_id = $1 and status = 'open' and assigned_to = $2
order by amount desc;

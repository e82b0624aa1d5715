-- The next batch of the backfill worker.
select id, tenant_id
from leads
where not call_history_backfilled
order by id
limit 500;

-- The last calls with a lead.
-- $1: 1238
select direction, duration_seconds, created_at
from call_log
where lead_id = $1
order by created_at desc
limit 20;

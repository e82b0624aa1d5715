-- A tenant's queue of open tickets.
-- $1: 17
select id, subject, created_at
from tickets
where tenant_id = $1 and status = 'open'
order by created_at;

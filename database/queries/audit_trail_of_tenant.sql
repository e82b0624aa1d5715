-- The latest actions in a tenant's audit log.
-- $1: 140
select actor, action, created_at
from audit_logs
where tenant_id = $1
order by created_at desc
limit 100;

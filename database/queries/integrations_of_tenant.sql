-- A tenant's integrations.
-- $1: 17
select id, provider, created_at
from integration_credentials
where tenant_id = $1
order by provider;

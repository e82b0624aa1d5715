-- An export of all messages of a tenant.
-- $1: 140
select id, ticket_id, author, body, created_at
from messages
where tenant_id = $1;

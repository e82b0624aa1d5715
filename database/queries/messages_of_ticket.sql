-- The messages of a ticket, for the ticket's tenant only.
-- $1: 64
-- $2: 17
select id, author, body, created_at
from messages
where ticket_id = $1 and tenant_id = $2
order by created_at;

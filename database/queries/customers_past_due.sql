-- A tenant's customers with an overdue payment.
-- $1: 17
select id, name, monthly_amount
from customers
where tenant_id = $1 and status = 'past_due'
order by monthly_amount desc;

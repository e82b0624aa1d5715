-- The number of a tenant's customers, and the amount that they pay.
-- $1: 140
select count(*) as customers, sum(monthly_amount) as monthly_amount
from customers
where tenant_id = $1;

-- How many customers a tenant has, and what they pay.
-- $1: 140
select count(*) as customers, sum(monthly_amount) as monthly_amount
from customers
where tenant_id = $1;

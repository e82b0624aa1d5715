-- Billing and health scores: the active subscriptions of one project.
-- $1: 45
select id, name, monthly_amount, health_score
from customers
where project_id = $1 and status = 'active'
order by monthly_amount desc;

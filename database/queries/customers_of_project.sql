-- Usage analytics: a filter on the project alone, which also uses the composite index.
-- $1: 45
select status, count(*) as customers, avg(health_score) as health_score
from customers
where project_id = $1
group by status;

-- One row per township: of its cases closed in time (d), those closed in the last $hours hours before they fell due (n).
-- Reads cases, places
select
    p.township,
    count(*) filter (where c.closed_at > c.due - $hours * interval '1' hour) as n,
    count(*) as d,
from (
    select place, closed_at, coalesce(extended_due_at, due_at) as due
    from cases
    -- A suspension moves the due time by what is not known until it ends.
    where cancelled_at is null and suspended_from is null
) as c
join places as p on p.code = c.place
where c.closed_at > $start and c.closed_at <= $cutoff and c.closed_at <= c.due and p.township is not null
group by p.township

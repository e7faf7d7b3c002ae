-- One row per township: of its cases closed long enough ago (d), those reworked or reported again within $days days (n).
-- Reads cases, places
select
    p.township,
    count(*) filter (where c.reworked >= 1 or c.again_at between c.closed_at and c.closed_at + $days * interval '1' day) as n,
    count(*) as d,
from (
    select
        place,
        closed_at,
        reworked,
        lead(reported_at) over (
            -- A case without a matter key is a matter of its own.
            partition by coalesce(matter_key, case_id), place
            order by reported_at, case_id
        ) as again_at,
    from cases
    where reported_at <= $cutoff
) as c
join places as p on p.code = c.place
where c.closed_at > $start and c.closed_at + $days * interval '1' day <= $cutoff and p.township is not null
group by p.township

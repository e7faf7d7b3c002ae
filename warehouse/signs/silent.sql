-- One row per township: how many records it had, its last day with one, and the longest pause in days between two such days.
-- Reads records (place, at), places
select
    township,
    sum(n) as n,
    max(day) as last,
    coalesce(max(day - before), 0) as pause,
from (
    select township, day, n, lag(day) over (partition by township order by day) as before
    from (
        select p.township, cast(r.at as date) as day, count(*) as n
        from records as r
        join places as p on p.code = r.place
        where r.at > $start and r.at <= $cutoff and p.township is not null
        group by p.township, cast(r.at as date)
    ) as days
) as pauses
group by township

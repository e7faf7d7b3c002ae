-- One row per township: its records since a day (n) and in as many or more days before it (d).
-- Reads records (place, at), places
select
    p.township,
    count(*) filter (where r.at >= $since) as n,
    count(*) filter (where r.at < $since) as d,
from records as r
join places as p on p.code = r.place
where r.at >= $start and r.at < $until and r.at <= $cutoff and p.township is not null
group by p.township

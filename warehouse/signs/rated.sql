-- One row per township: of the ratings asked for on its first petitions (d), those given (n).
-- Reads surveys, places
select
    p.township,
    count(s.rating) as n,
    count(*) as d,
from surveys as s
join places as p on p.code = s.place
where s.subject = 'petition' and s.kind = 'first'
    and s.closed_at > $start and s.closed_at <= $cutoff and p.township is not null
group by p.township

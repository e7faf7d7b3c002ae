-- One row per grid in use at $cutoff, with whether a full-time or part-time worker's post in it is filled.
-- Reads posts, places
with
staffed as (
    select distinct p.grid as place
    from posts as w
    join places as p
        on p.code = w.place
    where w.kind in ('grid_worker', 'grid_part_time')
        and w.filled > 0
        and w.from_at <= $cutoff
        and coalesce(w.to_at > $cutoff, true)
)
select
    g.code as place,
    s.place is not null as staffed,
from places as g
left join staffed as s
    on s.place = g.code
where g.level = 'grid'
    and coalesce(g.valid_from, date '0001-01-01') <= $cutoff
    and coalesce(g.valid_to, date '9999-12-31') >= cast($cutoff as date)

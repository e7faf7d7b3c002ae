-- One row per grid with households in use at $cutoff, with how many had their file refreshed lately.
-- Reads visits, places
with
refreshed as (
    -- A visit filed under a micro-grid is its grid's.
    select
        p.grid as place,
        count(distinct v.household_key) as households,
    from visits as v
    join places as p
        on p.code = v.place
    where v.file_refreshed
        and v.visited_at <= $cutoff
        and v.visited_at > $cutoff - $fresh_file_days * interval 1 day
    group by p.grid
)
select
    g.code as place,
    g.households,
    least(coalesce(r.households, 0), g.households) as fresh,
from places as g
left join refreshed as r
    on r.place = g.code
where g.level = 'grid'
    and g.households > 0
    and coalesce(g.valid_from, date '0001-01-01') <= $cutoff
    and coalesce(g.valid_to, date '9999-12-31') >= cast($cutoff as date)

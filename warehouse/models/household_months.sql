-- One row per grid with households to visit and month, from the month of the first visit on.
-- Reads visits, places
with
span as (
    -- A year past the last visit, so that a month without any visit still counts as due; the future never matures.
    select
        date_trunc('month', min(visited_at)) as first_month,
        date_trunc('month', max(visited_at)) + interval 12 month as last_month,
    from visits
),
months as (
    select unnest(generate_series(first_month, last_month, interval 1 month)) as month
    from span
    where first_month is not null
),
visited as (
    -- A door where nobody was met is no visit; a declined one is.
    -- One filed under a micro-grid is its grid's.
    select
        p.grid as place,
        date_trunc('month', visited_at) as month,
        count(distinct household_key) as households,
    from visits
    join places as p
        on p.code = visits.place
    where coalesce(result, '') <> 'absent'
    group by p.grid, date_trunc('month', visited_at)
)
select
    g.code as place,
    m.month,
    m.month + interval 1 month as month_end,
    g.households_to_visit as due,
    least(coalesce(v.households, 0), g.households_to_visit) as visited,
from months as m
-- A grid is due in a month when it is valid on the month's first day.
join places as g
    on coalesce(g.households_to_visit, 0) > 0
    and coalesce(g.valid_from, date '0001-01-01') <= m.month
    and coalesce(g.valid_to, date '9999-12-31') >= m.month
left join visited as v
    on v.place = g.code
    and v.month = m.month

-- One row per village and month, from the month of the first meeting on.
-- Reads meetings, places
with
span as (
    -- A year past the last meeting, so that a month without any still counts as due; the future never matures.
    select
        date_trunc('month', min(held_at)) as first_month,
        date_trunc('month', max(held_at)) + interval 12 month as last_month,
    from meetings
),
months as (
    select unnest(generate_series(first_month, last_month, interval 1 month)) as month
    from span
    where first_month is not null
),
met as (
    -- A meeting filed under a grid is its village's.
    select
        p.village as place,
        date_trunc('month', held_at) as month,
    from meetings
    join places as p
        on p.code = meetings.place
    group by p.village, date_trunc('month', held_at)
)
select
    v.code as place,
    m.month,
    m.month + interval 1 month as month_end,
    h.place is not null as met,
from months as m
join places as v
    on v.level = 'village'
    and coalesce(v.valid_from, date '0001-01-01') <= m.month
    and coalesce(v.valid_to, date '9999-12-31') >= m.month
left join met as h
    on h.place = v.code
    and h.month = m.month

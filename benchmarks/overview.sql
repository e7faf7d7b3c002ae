-- The figures of the Overview page as one would write them by hand for the whole site: few statements, every
-- number of the page once. Windows (periods, months) come as three lists: $w position, $a first, $b last day.
-- Statements are parted by their "name:" lines; the comment after it states the grain.

-- name: cases_marts
-- One row per window (place null); one per township in $from … $to (window null).
with
windows as (select unnest($w) as w, unnest($a) as a, unnest($b) as b),
days as materialized (
    select
        day,
        sum(cases_reported__n) as reported,
        sum(on_time_closing_rate__n) as on_time,
        sum(closing_rate__n) as closed,
        sum(closing_rate__d) as to_close,
        sum(dispatch_rate__n) as dispatched,
        sum(dispatch_rate__d) as filed,
        sum(settled_in_village__n) as in_village,
        sum(settled_in_township__n) as in_township,
        sum(settled_in_village__d) as settled,
    from cases_day
    group by day
)
select
    w, null as place,
    sum(reported), sum(on_time), sum(closed), sum(to_close), sum(dispatched), sum(filed), sum(in_village),
    sum(in_township), sum(settled),
from windows join days on day between a and b
group by w
union all
select
    null, place,
    null, sum(on_time_closing_rate__n), null, sum(closing_rate__d), null, null, null, null, null,
from cases_day
where day between $from and $to
group by place

-- name: cases_hours
-- One row per window.
with
windows as (select unnest($w) as w, unnest($start) as a, unnest($stop) as b),
closed as (
    select closed_at, (epoch(closed_at) - epoch(reported_at)) / 3600.0 as hours
    from cases
    where
        closed_at >= $low and closed_at <= $cutoff
        and cancelled_at is null and status is distinct from 'cancelled'
)
select w, count(*), quantile_cont(hours, 0.5)
from closed join windows on closed_at >= a and closed_at < b
group by w

-- name: cases_overdue
-- One row per window with any, as known at its moment $m. Only what was closed late, or never, can be overdue.
with
moments as (select unnest($w) as w, unnest($m) as m),
late as materialized (
    select
        status, updated_at, reported_at, suspended_from, suspended_to, closed_at, cancelled_at,
        coalesce(extended_due_at, due_at) as due,
    from cases
    where
        (closed_at is null or (closed_at > $first and closed_at > coalesce(extended_due_at, due_at)))
        and (cancelled_at is null or cancelled_at > $first)
)
select
    w, count(*),
from moments join late on due < m and reported_at <= m
where
    (closed_at is null or closed_at > m)
    and (cancelled_at is null or cancelled_at > m)
    and due + case when suspended_to <= m then suspended_to - suspended_from else interval 0 second end < m
    and not (updated_at <= m and coalesce(status in ('cancelled', 'not_accepted'), false))
    and not coalesce(suspended_from <= m and (suspended_to is null or suspended_to > m), false)
group by w

-- name: cases_categories
-- One row per category, reported since $since and before $until.
select category, count(*)
from cases
where reported_at >= $since and reported_at < $until and reported_at <= $cutoff
group by category

-- name: petitions_marts
-- One row per window and mart; the columns of the other mart are null.
with windows as (select unnest($w) as w, unnest($a) as a, unnest($b) as b)
select
    w,
    sum(one_time_resolution_rate__n), sum(one_time_resolution_rate__d),
    sum(repeat_petition_share__n), sum(repeat_petition_share__d),
    sum(timely_acceptance_rate__n), sum(timely_acceptance_rate__d),
    sum(on_time_reply_rate__n), sum(on_time_reply_rate__d),
    null, null, null, null,
from windows join petition_outcomes_day on day between a and b
group by w
union all
select
    w, null, null, null, null, null, null, null, null,
    sum(satisfaction_rate__n), sum(satisfaction_rate__d),
    sum(rating_participation__n), sum(rating_participation__d),
from windows join surveys_day on day between a and b
group by w

-- name: duties_marts
-- One row per window and mart; the columns of the other marts are null.
with windows as (select unnest($w) as w, unnest($a) as a, unnest($b) as b)
select w, sum(visit_coverage__n), sum(visit_coverage__d), null, null, null, null
from windows join household_months_day on day between a and b
group by w
union all
select w, null, null, sum(patrol_completion__n), sum(patrol_completion__d), null, null
from windows join patrols_day on day between a and b
group by w
union all
select w, null, null, null, null, sum(arrived_in_15_minutes__n), sum(arrived_in_15_minutes__d)
from windows join responses_day on day between a and b
group by w

-- name: duties_minutes
-- One row per window.
with
windows as (select unnest($w) as w, unnest($start) as a, unnest($stop) as b),
alarms as (
    select
        alarm_at,
        (epoch(arrived_at) - epoch(alarm_at)) / 60.0 as arriving,
        (epoch(controlled_at) - epoch(alarm_at)) / 60.0 as controlling,
    from responses
    where alarm_at <= $cutoff
)
select
    w, count(arriving), quantile_cont(arriving, 0.5), count(controlling), quantile_cont(controlling, 0.5),
from alarms join windows on alarm_at >= a and alarm_at < b
group by w

-- name: meetings_marts
-- One row per window and mart; the columns of the other mart are null.
with windows as (select unnest($w) as w, unnest($a) as a, unnest($b) as b)
select
    w,
    sum(meeting_item_completion__n), sum(meeting_item_completion__d),
    sum(items_on_time_rate__n), sum(items_on_time_rate__d),
    null, null,
from windows join work_items_day on day between a and b
group by w
union all
select w, null, null, null, null, sum(meetings_held_rate__n), sum(meetings_held_rate__d)
from windows join village_months_day on day between a and b
group by w

-- name: meetings_overdue
-- One row per window with any, as known at its moment $m. A deadline without a time ends with its day.
with
moments as (select unnest($w) as w, unnest($m) as m),
late as materialized (
    select
        status, updated_at, held_at, done_at,
        case when due_at = date_trunc('day', due_at) then due_at + interval 86399 second else due_at end as due,
    from work_items
    where done_at is null or (done_at > $first and done_at > due_at)
)
select w, count(*)
from moments join late on due < m and held_at <= m
where
    (done_at is null or done_at > m)
    and not (updated_at <= m and coalesce(status = 'cancelled', false))
group by w

-- One row per place group of a kind in use at $cutoff, at the first of its members.
-- Reads place_groups
select
    min(place) as place,
    kind,
from place_groups
where kind is not null
    and coalesce(valid_from, date '0001-01-01') <= $cutoff
    and coalesce(valid_to, date '9999-12-31') >= cast($cutoff as date)
group by group_code, kind

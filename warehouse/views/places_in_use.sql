-- One row per place in use at $cutoff, at whatever level.
-- Reads places
select
    code as place,
    level,
    kind,
from places
where coalesce(valid_from, date '0001-01-01') <= $cutoff
    and coalesce(valid_to, date '9999-12-31') >= cast($cutoff as date)

"""How the text of a cell becomes a value: the SQL macros that checking, contracts and drafts share.

Nothing is guessed: text that is not written in one of the forms below has no value, and its record says so.

Dates and times: `2024-01-05`, `2024/1/5 8:05`, `2024.1.5`, `2024年1月5日 8时5分`, `20240105`, `20240105080509`,
ISO with `T` and fractions; with 上午, 下午, AM or PM; with a weekday (星期五, 周五) that is the right one; with an
offset (`Z`, `+08:00`), which is converted to the site's time zone. No value: two-digit years, days that do
not exist, years outside 1900–2199, `24:00`, serial numbers of spreadsheets (`45296`), day or month first (`1/5/2024`).
"""

from __future__ import annotations

import duckdb

from warehouse.dataset import FieldType

WHITE = " \t\r\n\v\f\u3000\u00a0\ufeff"
"""What stands at the ends of a cell and says nothing."""
_WIDE = "".join(chr(0xFF01 + at) for at in range(94))
_NARROW = "".join(chr(0x21 + at) for at in range(94)).replace("'", "''")
_OFFSET = r":\d{1,2}(?:\.\d+)?\s?([Zz]|[+-]\d{2}(?::?\d{2})?)$"
_HALF_DAY = r"(上午|下午|[AaPp]\.?[Mm]\.?)"
# plain_time has taken the 日 of 星期日 away.
_WEEKDAY = r"[(（]?(?:星期|礼拜|周)([一二三四五六天]?)[)）]?"
MARKS = f"{_OFFSET}|{_HALF_DAY}|{_WEEKDAY}"
"""Regular expression for what in a time only `any_time` understands."""

MACROS = (
    # Without white space at the ends, the ideographic and the non-breaking one too; null where nothing is left.
    # Trimming is slow: most cells show by their first and last character that they need none.
    f"""create or replace temp macro bare(x) as case
            when x = '' then null
            when x > '!' and x[-1] > ' ' and strlen(x) = length(x) then x
            when (x between '!' and '~' or x between '、' and '\ufdff')
             and (x[-1] between '!' and '~' or x[-1] between '、' and '\ufdff') then x
            else nullif(trim(x, '{WHITE}'), '') end""",
    # Full-width → half-width: what NFKC does to digits, letters and signs (translate is slow: only if needed).
    f"""create or replace temp macro narrow(x) as case
            when strlen(x) = length(x) or not regexp_matches(x, '[！-～]') then x else translate(x, '{_WIDE}', '{_NARROW}') end""",
    """create or replace temp macro plain_time(x) as
            case when strlen(x) = length(x) then replace(replace(x, '/', '-'), 'T', ' ')
            else rtrim(replace(translate(x, '年月/日号T时点分秒', '---   :::'), '  ', ' '), ' :') end""",
    # A lambda over a list of one binds a value to a name: a macro writes its argument out at each use, and what
    # a statement says over and over takes long to plan.
    """create or replace temp macro bare_narrow(x) as case
            when x is null or x = '' then null
            when x > '!' and x[-1] > ' ' and strlen(x) = length(x) then x
            else list_transform([bare(x)], lambda y: narrow(y))[1] end""",
    """create or replace temp macro bare_time(x) as case
            when x is null or x = '' then null
            when x > '!' and x[-1] > ' ' and strlen(x) = length(x)
            then case when contains(x, '/') or contains(x, 'T')
                then replace(replace(x, '/', '-'), 'T', ' ') else x end
            else list_transform([bare(x)], lambda y:
                list_transform([narrow(y)], lambda z: plain_time(z))[1])[1] end""",
    # A format that does not fit costs ten times one that does: the shape chooses it.
    """create or replace temp macro clock_time(x) as case
            when contains(x, '-') then case
                when strlen(x) = 19 and x[11] = ' ' then try_strptime(x, '%Y-%m-%d %H:%M:%S')
                when not contains(x, ':') then try_strptime(x, '%Y-%m-%d')
                when x like '%:%:%.%' then try_strptime(x, '%Y-%m-%d %H:%M:%S.%f')
                when x like '% %:%:%' then try_strptime(x, '%Y-%m-%d %H:%M:%S')
                when x like '% %' then try_strptime(x, '%Y-%m-%d %H:%M')
                else try_strptime(x, '%Y-%m-%d%H:%M') end
            when contains(x, '.') then try_strptime(x, ['%Y.%m.%d', '%Y.%m.%d %H:%M', '%Y.%m.%d %H:%M:%S'])
            when length(x) in (8, 14) then try_strptime(x, ['%Y%m%d', '%Y%m%d%H%M%S']) end""",
    # Twelve hours to twenty-four; 下午15:20 says the same twice, 上午15:20 contradicts itself.
    """create or replace temp macro half_day(x, t, half) as case
            when half = '' then t
            when not contains(x, ':') then null
            when half = '下午' or lower(half[1]) = 'p'
            then case when hour(t) < 12 then t + interval 12 hour else t end
            when hour(t) = 12 then t - interval 12 hour
            when hour(t) < 12 then t end""",
    """create or replace temp macro offset_minutes(o) as case when upper(o) = 'Z' then 0
            else (case when o[1] = '-' then -1 else 1 end) * (60 * try_cast(o[2:3] as integer)
                + coalesce(try_cast(ltrim(o[4:], ':') as integer), 0)) end""",
    # From the time as said to the site's: a weekday must be the right one.
    """create or replace temp macro settled(t, offset_said, weekday, zone) as case
            when weekday is not null and instr('一二三四五六日', weekday) <> isodow(t) then null
            when offset_said = '' then t
            when offset_minutes(offset_said) between -720 and 840
            then timezone(zone, timezone('UTC', t - to_minutes(offset_minutes(offset_said)))) end""",
    f"""create or replace temp macro without_marks(x) as trim(regexp_replace(
            regexp_replace(x, '(:\\d{{1,2}}(?:\\.\\d+)?)\\s?(?:[Zz]|[+-]\\d{{2}}(?::?\\d{{2}})?)$', '\\1'),
            '\\s*(?:{_HALF_DAY}|{_WEEKDAY})\\s*', ' ', 'g'))""",
    f"""create or replace temp macro marked_time(x, zone) as case
            when regexp_matches(x, '{MARKS}')
            then list_transform([without_marks(x)], lambda said:
                list_transform([half_day(x, clock_time(said), regexp_extract(x, '{_HALF_DAY}', 1))], lambda t:
                settled(t, regexp_extract(x, '{_OFFSET}', 1), case when regexp_matches(x, '{_WEEKDAY}')
                    then coalesce(nullif(replace(regexp_extract(x, '{_WEEKDAY}', 1), '天', '日'), ''), '日') end,
                    zone))[1])[1] end""",
    """create or replace temp macro any_time(x, zone) as
            coalesce(clock_time(x), case when x is not null then marked_time(x, zone) end)""",
    r"""create or replace temp macro as_int(x) as case
            when cast(try_cast(x as bigint) as varchar) = x then try_cast(x as bigint)
            when regexp_full_match(x, '[+-]?(\d{1,18}|\d{1,3}(,\d{3}){1,5})(\.0+)?')
            then try_cast(split_part(replace(x, ',', ''), '.', 1) as bigint)
            when x = '是' then 1 when x = '否' then 0 end""",
    r"""create or replace temp macro as_float(x) as case
            when regexp_full_match(x, '[+-]?(\d+|\d{1,3}(,\d{3})+)?(\.\d+)?([eE][+-]?\d{1,3})?')
             and isfinite(try_cast(replace(x, ',', '') as double))
            then try_cast(replace(x, ',', '') as double) end""",
    """create or replace temp macro as_bool(x) as case
            when lower(x) in ('是', 'y', 'yes', '1', 'true', '√', '有') then true
            when lower(x) in ('否', 'n', 'no', '0', 'false', '×', '无') then false end""",
)
OUR_TIME = "between timestamp '1900-01-01' and timestamp '2199-12-31 23:59:59.999999'"
"""Other years are slips of the pen, or years of two digits."""


def define(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macros known to a connection; 10 ms."""
    for macro in MACROS:
        connection.execute(macro)


def cleaned(type_: FieldType, cell: str) -> str:
    """SQL for the text of a cell as `parsed` reads it: trimmed, half-width, a time with its signs made alike."""
    if type_ == "text":
        return f"bare({cell})"
    return f"bare_time({cell})" if type_ in ("date", "time") else f"bare_narrow({cell})"


def parsed(type_: FieldType, said: str, zone: str | None = None) -> str:
    """SQL for the value of a `cleaned` text, null where it has none; of a time that lies outside OUR_TIME
    too, which the caller rejects.

    `said` should be the name of a column, for it is written out many times. Marks in a time (offset, half of
    the day, weekday) are understood only with `zone`, SQL for the site's time zone: planning that takes 5 ms.
    """
    if type_ in ("code", "text"):
        return said
    if type_ in ("date", "time"):
        read = f"clock_time({said})" if zone is None else f"any_time({said}, {zone})"
        return f"cast({read} as date)" if type_ == "date" else read
    return f"as_{type_}({said})"

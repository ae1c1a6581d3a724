"""Functions of Athena's engine version 3: which there are, which are answered here, and what some of them are in DuckDB."""

from __future__ import annotations

import itertools
import re

from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types

# Those that Trino's documentation lists and Athena has.
_NAMES = """
    abs acos all all_match any_match any_value approx_distinct approx_most_frequent approx_percentile approx_set arbitrary
    array_agg array_distinct array_except array_first array_histogram array_intersect array_join array_last array_max
    array_min array_position array_remove array_sort array_union arrays_overlap asin at_timezone atan atan2 avg bar beta_cdf
    bing_tile bing_tile_at bing_tile_coordinates bing_tile_polygon bing_tile_quadkey bing_tile_zoom_level bing_tiles_around
    bit_count bitwise_and bitwise_and_agg bitwise_left_shift bitwise_not bitwise_or bitwise_or_agg bitwise_right_shift
    bitwise_right_shift_arithmetic bitwise_xor bitwise_xor_agg bool_and bool_or cardinality cbrt ceil ceiling char2hexint
    checksum chr coalesce codepoint color combinations concat concat_ws contains contains_sequence convex_hull_agg corr cos
    cosh cosine_distance cosine_similarity count count_if covar_pop covar_samp crc32 cume_dist current_timezone date
    date_add date_diff date_format date_parse date_trunc day day_of_month day_of_week day_of_year degrees dense_rank dow doy
    e element_at empty_approx_set ends_with every exp filter first_value flatten floor format format_datetime format_number
    from_base from_base32 from_base64 from_base64url from_big_endian_32 from_big_endian_64 from_encoded_polyline from_hex
    from_ieee754_32 from_ieee754_64 from_iso8601_date from_iso8601_timestamp from_iso8601_timestamp_nanos from_unixtime
    from_unixtime_nanos from_utf8 geometric_mean great_circle_distance greatest grouping hamming_distance hash_counts
    histogram hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 hour human_readable_seconds if index infinity
    intersection_cardinality inverse_beta_cdf inverse_normal_cdf is_finite is_infinite is_json_scalar is_nan jaccard_index
    json_array json_array_contains json_array_get json_array_length json_exists json_extract json_extract_scalar json_format
    json_object json_parse json_query json_size json_value kurtosis lag last_day_of_month last_value lead least length
    levenshtein_distance listagg ln log log10 log2 lower lpad ltrim luhn_check make_set_digest map map_agg map_concat
    map_entries map_filter map_from_entries map_keys map_union map_values map_zip_with max max_by md5 merge merge_set_digest
    millisecond min min_by minute mod month multimap_agg multimap_from_entries murmur3 nan ngrams none_match normal_cdf
    normalize now nth_value ntile nullif numeric_histogram parse_data_size parse_datetime parse_duration percent_rank pi pow
    power qdigest_agg quarter radians rand random rank reduce reduce_agg regexp_count regexp_extract regexp_extract_all
    regexp_like regexp_position regexp_replace regexp_split regr_intercept regr_slope render repeat replace reverse rgb
    round row row_number rpad rtrim second sequence sha1 sha256 sha512 shuffle sign sin sinh skewness slice soundex split
    split_part split_to_map split_to_multimap spooky_hash_v2_32 spooky_hash_v2_64 some sqrt starts_with stddev stddev_pop
    stddev_samp strpos substr substring sum tan tanh tdigest_agg timezone timezone_hour timezone_minute to_base to_base32
    to_base64 to_base64url to_big_endian_32 to_big_endian_64 to_char to_date to_hex to_ieee754_32 to_ieee754_64 to_iso8601
    to_milliseconds to_timestamp to_unixtime to_utf8 transform transform_keys transform_values translate trim trim_array
    truncate try typeof unnest upper url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter
    url_extract_path url_extract_port url_extract_protocol url_extract_query uuid value_at_quantile values_at_quantiles
    var_pop var_samp variance version week week_of_year width_bucket wilson_interval_lower wilson_interval_upper
    with_timezone word_stem xxhash64 year year_of_week yow zip zip_with
    """

NAMES = frozenset(_NAMES.split())

# Of them not answered here.
_MISSING = """
    approx_set at_timezone bar beta_cdf bing_tile bing_tile_at bing_tile_coordinates bing_tile_polygon bing_tile_quadkey
    bing_tile_zoom_level bing_tiles_around char2hexint checksum color combinations convex_hull_agg cosine_distance
    cosine_similarity crc32 empty_approx_set format_number from_base from_base32 from_base64url from_big_endian_32
    from_big_endian_64 from_encoded_polyline from_ieee754_32 from_ieee754_64 from_iso8601_timestamp_nanos
    from_unixtime_nanos great_circle_distance hash_counts hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 human_readable_seconds
    index intersection_cardinality inverse_beta_cdf inverse_normal_cdf jaccard_index luhn_check make_set_digest merge
    merge_set_digest murmur3 normal_cdf numeric_histogram parse_data_size parse_duration qdigest_agg reduce_agg render rgb
    sha512 soundex spooky_hash_v2_32 spooky_hash_v2_64 tdigest_agg timezone to_base32 to_base64url to_big_endian_32
    to_big_endian_64 to_char to_date to_ieee754_32 to_ieee754_64 to_timestamp typeof value_at_quantile values_at_quantiles
    wilson_interval_lower wilson_interval_upper with_timezone word_stem xxhash64
    """

MISSING = frozenset(_MISSING.split())


# What functions are in DuckDB's SQL that neither sqlglot nor DuckDB knows as Athena's. `_1` is the first argument, `_1(x)` the
# lambda that was given as the first argument, applied to x. With another number of arguments a name is not answered.
_IN_DUCKDB = {
    # aggregates
    "every/1": "bool_and(_1)",
    "map_agg/2": """map(
        list_sort(list_distinct(list(_1))),
        list_transform(list_sort(list_distinct(list(_1))), lambda u_: list(_2)[list_position(list(_1), u_)]))""",
    "map_union/1": "list_reduce(list_filter(list(_1), lambda m_: m_ is not null), lambda a_, b_: map_concat(a_, b_))",
    "multimap_agg/2": "athena_multimap_from_entries(list({'k': _1, 'v': _2}))",
    "approx_percentile/2": "quantile_disc(_1, _2)",
    "approx_most_frequent/3": """map_from_entries(list_transform(
        list_slice(
            list_reverse_sort(list_transform(map_entries(histogram(_2)), lambda e_: {'v': e_.value, 'k': e_.key})), 1, _1),
        lambda e_: {'k': e_.k, 'v': e_.v}))""",
    # arrays
    "all_match/2": """case
        when _1 is null then null
        when list_contains(list_transform(_1, _2), false) then false
        when len(list_filter(list_transform(_1, _2), lambda b_: b_ is null)) > 0 then null
        else true end""",
    "any_match/2": """case
        when _1 is null then null
        when list_contains(list_transform(_1, _2), true) then true
        when len(list_filter(list_transform(_1, _2), lambda b_: b_ is null)) > 0 then null
        else false end""",
    "none_match/2": "not athena_any_match(_1, _2)",
    "array_distinct/1": """list_filter(_1, lambda e_, i_: list_position(_1, e_) = i_
        or (e_ is null and list_position(list_transform(_1, lambda n_: n_ is null), true) = i_))""",
    "array_union/2": "athena_array_distinct(list_concat(_1, _2))",
    "array_max/1": "case when list_count(_1) = len(_1) then list_max(_1) end",
    "array_min/1": "case when list_count(_1) = len(_1) then list_min(_1) end",
    "array_remove/2": "case when _2 is not null then list_filter(_1, lambda e_: e_ is distinct from _2) end",
    "array_first/1": "_1[1]",
    "array_last/1": "_1[-1]",
    "array_histogram/1": "list_histogram(list_filter(_1, lambda e_: e_ is not null))",
    "array_position/2": "case when _1 is null or _2 is null then null else coalesce(list_position(_1, _2), 0) end",
    "array_sort/1": "list_sort(_1, 'ASC', 'NULLS LAST')",
    "arrays_overlap/2": """case
        when list_has_any(_1, _2) then true
        when len(list_filter(list_concat(_1, _2), lambda e_: e_ is null)) > 0 then null
        else false end""",
    "contains/2": """case
        when _1 is null or _2 is null then null
        when list_contains(_1, _2) then true
        when list_count(_1) < len(_1) then null
        else false end""",
    "contains_sequence/2": """list_contains(
        list_transform(range(1, len(_1) - len(_2) + 2), lambda i_: list_slice(_1, i_, i_ + len(_2) - 1)), _2)""",
    "ngrams/2": "list_transform(range(1, greatest(len(_1) - _2, 0) + 2), lambda i_: list_slice(_1, i_, i_ + _2 - 1))",
    "reduce/4": "_4(list_reduce(_1, _3, _2))",
    "repeat/2": "list_transform(range(0, _2), lambda i_: _1)",
    "sequence/2": "generate_series(_1, _2, case when _1 <= _2 then 1 else -1 end)",
    "sequence/3": "generate_series(_1, _2, _3)",
    "shuffle/1": "list_transform(list_sort(list_transform(_1, lambda e_: {'r': random(), 'e': e_})), lambda p_: p_.e)",
    "slice/3": """case
        when _2 > 0 then list_slice(_1, _2, _2 + _3 - 1)
        else list_slice(_1, len(_1) + _2 + 1, len(_1) + _2 + _3) end""",
    "trim_array/2": "list_slice(_1, 1, len(_1) - _2)",
    "zip/2": "list_zip(_1, _2)",
    "zip/3": "list_zip(_1, _2, _3)",
    "zip_with/3": "list_transform(list_zip(_1, _2), lambda z_: _3(z_[1], z_[2]))",
    # maps
    "map_filter/2": "map_from_entries(list_filter(map_entries(_1), lambda e_: _2(e_.key, e_.value)))",
    "map_zip_with/3": """map_from_entries(list_transform(
        list_sort(list_distinct(list_concat(map_keys(_1), map_keys(_2)))),
        lambda k_: {'k': k_, 'v': _3(k_, _1[k_], _2[k_])}))""",
    "multimap_from_entries/1": """map(
        list_sort(list_distinct(list_transform(_1, lambda e_: struct_extract_at(e_, 1)))),
        list_transform(
            list_sort(list_distinct(list_transform(_1, lambda e_: struct_extract_at(e_, 1)))),
            lambda u_: list_transform(
                list_filter(_1, lambda e_: struct_extract_at(e_, 1) = u_), lambda f_: struct_extract_at(f_, 2))))""",
    "transform_keys/2": """map_from_entries(list_transform(
        map_entries(_1), lambda e_: {'k': _2(e_.key, e_.value), 'v': e_.value}))""",
    "transform_values/2": """map_from_entries(list_transform(
        map_entries(_1), lambda e_: {'k': e_.key, 'v': _2(e_.key, e_.value)}))""",
    # texts
    "codepoint/1": "unicode(_1)",
    "hamming_distance/2": "hamming(_1, _2)",
    "split/2": "string_split(_1, _2)",
    "split_part/3": "list_extract(string_split(_1, _2), _3)",
    "split_to_map/3": """map_from_entries(list_transform(
        string_split(_1, _2),
        lambda e_: {'k': split_part(e_, _3, 1), 'v': substring(e_, instr(e_, _3) + length(_3))}))""",
    "split_to_multimap/3": """athena_multimap_from_entries(list_transform(
        string_split(_1, _2),
        lambda s_: {'k': split_part(s_, _3, 1), 'v': substring(s_, instr(s_, _3) + length(_3))}))""",
    "strpos/2": "instr(_1, _2)",
    "regexp_extract/2": "regexp_extract_all(_1, _2)[1]",
    "regexp_extract/3": "regexp_extract_all(_1, _2, _3)[1]",
    "regexp_position/2": r"""case
        when regexp_matches(_1, _2) then length(regexp_extract(_1, '(?s)^(.*?)(?:' || _2 || ')', 1)) + 1
        else -1 end""",
    "regexp_replace/2": "regexp_replace(_1, _2, '', 'g')",
    "regexp_replace/3": r"regexp_replace(_1, _2, regexp_replace(_3, '\$(\d)', '\\\1', 'g'), 'g')",
    "to_base/2": "lower(to_base(_1, _2))",
    "url_decode/1": "url_decode(replace(_1, '+', ' '))",
    "url_encode/1": "replace(url_encode(_1), '%20', '+')",
    "url_extract_fragment/1": "regexp_extract_all(_1, '#(.*)$', 1)[1]",
    "url_extract_host/1": r"regexp_extract_all(_1, '^[^:/?#]+://(?:[^/?#@]*@)?([^/?#:]*)', 1)[1]",
    "url_extract_parameter/2": r"""athena_url_decode(regexp_extract_all(
        athena_url_extract_query(_1), '(?:^|&)' || regexp_escape(_2) || '=([^&]*)', 1)[1])""",
    "url_extract_path/1": "regexp_extract_all(_1, '^[^:/?#]+:(?://[^/?#]*)?([^?#]*)', 1)[1]",
    "url_extract_port/1": r"cast(regexp_extract_all(_1, '^[^:/?#]+://[^/?#]*:(\d+)', 1)[1] as bigint)",
    "url_extract_protocol/1": "regexp_extract_all(_1, '^([^:/?#]+):', 1)[1]",
    "url_extract_query/1": r"regexp_extract_all(_1, '^[^?#]*\?([^#]*)', 1)[1]",
    # times
    "current_timezone/0": "'UTC'",
    "date_diff/3": "datesub(_1, _2, _3)",
    "dow/1": "isodow(_1)",
    "doy/1": "dayofyear(_1)",
    "millisecond/1": "millisecond(_1) % 1000",
    "to_iso8601/1": """case typeof(_1)
        when 'DATE' then strftime(_1, '%Y-%m-%d')
        when 'TIMESTAMP WITH TIME ZONE' then strftime(_1, '%Y-%m-%dT%H:%M:%S.%gZ')
        else strftime(_1, '%Y-%m-%dT%H:%M:%S.%g') end""",
    "to_milliseconds/1": "epoch_ms(_1)",
    "yow/1": "isoyear(_1)",
    # JSON
    "is_json_scalar/1": "json_type(_1) not in ('OBJECT', 'ARRAY')",
    "json_array_contains/2": "list_contains(cast(json_extract(_1, '$[*]') as varchar[]), cast(to_json(_2) as varchar))",
    "json_array_get/2": "json_extract(_1, '$[' || _2 || ']')",
    "json_extract_scalar/2": """case
        when json_type(_1, _2) in ('OBJECT', 'ARRAY') then null
        else json_extract_string(_1, _2) end""",
    "json_size/2": """case json_type(_1, _2)
        when 'ARRAY' then json_array_length(_1, _2)
        when 'OBJECT' then len(json_keys(_1, _2))
        else 0 end""",
    # numbers
    "bit_count/2": """case
        when _2 = 64 then bit_count(cast(_1 as bigint))
        else bit_count(cast(_1 as bigint) & ((cast(1 as bigint) << _2) - 1)) end""",
    "bitwise_left_shift/2": "cast(_1 as bigint) << _2",
    "bitwise_right_shift/2": "case when _1 >= 0 then cast(_1 as bigint) >> _2 end",
    "bitwise_right_shift_arithmetic/2": "cast(_1 as bigint) >> _2",
    "e/0": "exp(1.0)",
    "infinity/0": "cast('infinity' as double)",
    "is_finite/1": "isfinite(cast(_1 as double))",
    "is_infinite/1": "isinf(cast(_1 as double))",
    "is_nan/1": "isnan(cast(_1 as double))",
    "nan/0": "cast('nan' as double)",
    "rand/0": "random()",
    "rand/1": "cast(floor(random() * _1) as bigint)",
    "rand/2": "_1 + cast(floor(random() * (_2 - _1)) as bigint)",
    "random/0": "random()",
    "random/1": "cast(floor(random() * _1) as bigint)",
    "random/2": "_1 + cast(floor(random() * (_2 - _1)) as bigint)",
    "sha1/1": "unhex(sha1(_1))",
    "width_bucket/2": "len(list_filter(_2, lambda b_: b_ <= _1))",
    "width_bucket/4": """case
        when _1 < _2 then 0
        when _1 >= _3 then _4 + 1
        else cast(floor((_1 - _2) * _4 / cast(_3 - _2 as double)) as bigint) + 1 end""",
}
WRITTEN = frozenset(key.partition("/")[0] for key in _IN_DUCKDB) | {"format", "format_datetime", "json_exists", "parse_datetime"}
# Left to sqlglot.
TRANSLATED = NAMES - MISSING - WRITTEN

# Letters of Joda's formats, longest first.
_JODA = {
    **{"yyyy": "%Y", "MMMM": "%B", "EEEE": "%A", "MMM": "%b", "EEE": "%a", "SSS": "%g", "yy": "%y", "MM": "%m", "dd": "%d"},
    **{"HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "a": "%p", "d": "%-d", "H": "%-H", "M": "%-m"},
}
_FIELDS = {
    **{"DAY_OF_WEEK": "ISODOW", "DOW": "ISODOW", "DAY_OF_YEAR": "DOY", "DAY_OF_MONTH": "DAY"},
    **{"YEAR_OF_WEEK": "ISOYEAR", "YOW": "ISOYEAR"},
}
_numbers = itertools.count()


class NotAnswered(Exception):
    """A function, or a form of one, that Athena has and the embedded AWS has not."""


def in_duckdb(query: exp.Expression) -> exp.Expression:
    """The query with DuckDB's expressions in the place of functions that sqlglot leaves to us. Raises NotAnswered."""
    query = annotate_types(query, dialect="trino")
    # The innermost first, so that what replaces a function holds what replaced its arguments.
    for node in reversed(list(query.walk())):
        found = _written(node)
        if found is not node:
            if node is query:
                query = found
            else:
                node.replace(found)
    for node in query.walk():
        node.type = None  # sqlglot would write casts for those that it found
    return query


def _written(node: exp.Expression) -> exp.Expression:
    """The node, or what is to be in its place."""
    match node:
        case exp.Anonymous():
            return _call(node.name.lower(), node.expressions, node)
        case exp.Extract():
            node.set("this", exp.var(_FIELDS.get(node.name.upper(), node.name)))
        case exp.Normalize():
            if node.args.get("form") and node.args["form"].name.upper() != "NFC":
                raise NotAnswered(f"normalize(..., {node.args['form'].name})")
            return exp.func("nfc_normalize", node.this.copy())
        case exp.GroupConcat() if not node.args.get("separator"):
            node.set("separator", exp.Literal.string(""))
        case exp.JSONValue():
            return _call("json_extract_scalar", [node.this, exp.Literal.string(_path(node.args["path"].name))], node)
        case exp.JSONExtract() if node.args.get("json_query"):
            return exp.func("json_extract", node.this.copy(), exp.Literal.string(_path(node.expression.name)))
        case exp.ArraySize() if _is(node.this, "MAP"):
            return exp.func("cardinality", node.this.copy())
        case exp.Reverse() if _is(node.this, "ARRAY", "LIST"):
            return exp.func("list_reverse", node.this.copy())
        case exp.DPipe() if _is(node.this, "ARRAY", "LIST") != _is(node.expression, "ARRAY", "LIST"):
            return _with_element(node)
        case exp.Add() | exp.Sub() | exp.DateAdd() | exp.DateSub() | exp.TimestampTrunc() | exp.DateTrunc():
            return _date(node)
    return node


def _path(path: str) -> str:
    """A path of SQL's JSON functions as DuckDB writes it: it knows the lax mode only."""
    mode, _, rest = path.strip().partition(" ")
    return rest.strip() if mode.lower() in ("lax", "strict") else path


def _is(node: exp.Expression, *kinds: str) -> bool:
    return node.type is not None and node.type.this.name in kinds


def _with_element(node: exp.DPipe) -> exp.Expression:
    """An array with an element put to it, where it is known that it is one."""
    left, right = node.this, node.expression
    if _is(left, "UNKNOWN") or _is(right, "UNKNOWN"):
        return node
    first = _is(left, "ARRAY", "LIST")
    return exp.func("list_append" if first else "list_prepend", left.copy(), right.copy())


def _date(node: exp.Expression) -> exp.Expression:
    """A date stays one when days or more are added; DuckDB makes it a timestamp."""
    unit = node.args.get("unit") or (node.expression.args.get("unit") if isinstance(node.expression, exp.Interval) else None)
    whole = unit is not None and unit.name.upper().rstrip("S") in ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
    return exp.cast(node.copy(), "date") if whole and _is(node.this, "DATE") else node


def _call(name: str, given: list[exp.Expression], node: exp.Expression) -> exp.Expression:
    """What a function is in DuckDB."""
    if name in MISSING:
        raise NotAnswered(name)
    if name == "json_exists":
        return exp.func(name, given[0].copy(), exp.Literal.string(_path(given[1].name)))
    if name == "format":
        return exp.func("printf", *(one.copy() for one in given))
    if name in ("format_datetime", "parse_datetime"):
        text = exp.Literal.string(_strftime(given[1]))
        if name == "format_datetime":
            return exp.func("strftime", given[0].copy(), text)
        return exp.cast(exp.func("strptime", given[0].copy(), text), "timestamptz")
    if name not in WRITTEN:
        return node
    sql = _IN_DUCKDB.get(f"{name}/{len(given)}")
    if sql is None or (name == "regexp_replace" and isinstance(given[-1], exp.Lambda)):
        raise NotAnswered(f"{name} with these arguments")
    # Its lambdas' parameters get names of their own: arguments may hold those of another.
    sql = re.sub(r"\b([a-z]_)\b", rf"\g<1>{next(_numbers)}", sql)
    found = _filled(exp.maybe_parse(sql, dialect="duckdb"), given)
    if name == "sequence" and _is(given[0], "DATE"):
        step = exp.maybe_parse("interval 1 day") if len(given) == 2 else given[2].copy()
        found = exp.cast(exp.func("generate_series", given[0].copy(), given[1].copy(), step), "date[]", dialect="duckdb")
    return _narrowed(found, node)


def _filled(found: exp.Expression, given: list[exp.Expression]) -> exp.Expression:
    """The expression with the arguments in their places."""
    for part in reversed(list(found.walk())):
        name = part.name.lower() if isinstance(part, exp.Anonymous | exp.Column) else ""
        if name.startswith("athena_"):
            put = _call(name.removeprefix("athena_"), part.expressions, part)
        elif name[:1] == "_" and name[1:].isdigit():
            put = given[int(name[1:]) - 1].copy()
            put = _applied(put, part.expressions) if isinstance(part, exp.Anonymous) else put
            put = put if isinstance(put, exp.Lambda) else exp.paren(put, copy=False)
        else:
            continue
        if part is found:
            return put
        part.replace(put)
    return exp.paren(found, copy=False)


def _applied(function: exp.Expression, values: list[exp.Expression]) -> exp.Expression:
    """The body of a lambda with values in place of its parameters."""
    if not isinstance(function, exp.Lambda) or len(function.expressions) != len(values):
        raise NotAnswered("a function argument of this form")
    inner = {one.name.lower() for other in function.this.find_all(exp.Lambda) for one in other.expressions}
    by_name = {one.name.lower(): value for one, value in zip(function.expressions, values, strict=True)}
    if inner & set(by_name):
        raise NotAnswered("a function argument that gives one name to two parameters")

    def put(node: exp.Expression) -> exp.Expression:
        of_field = (isinstance(node.parent, exp.PropertyEQ) and node.arg_key == "this") or (
            isinstance(node.parent, exp.Dot) and node.arg_key == "expression"
        )
        plain = isinstance(node, exp.Identifier) and not of_field and not isinstance(node.parent, exp.Column | exp.TableAlias)
        if plain or (isinstance(node, exp.Column) and not node.table):
            value = by_name.get(node.name.lower())
            return node if value is None else value.copy()
        return node

    return function.this.copy().transform(put)


def _narrowed(found: exp.Expression, node: exp.Expression) -> exp.Expression:
    """FILTER and OVER of an aggregate, which is now an expression of aggregates, are those of each of them."""
    around = [one for one in (node.parent,) if isinstance(one, exp.Filter | exp.Window) and one.this is node]
    if around and found.find(exp.AggFunc):
        raise NotAnswered("FILTER or OVER of this aggregate")
    return found


def _strftime(given: exp.Expression) -> str:
    """A format of Joda in strftime's letters."""
    if not given.is_string:
        raise NotAnswered("a format that is no text")
    found, rest = "", given.name
    while rest:
        if rest[0] == "'":
            text, _, rest = rest[1:].partition("'")
            found += text or "'"
            continue
        letters = next((one for one in _JODA if rest.startswith(one)), "")
        if not letters and rest[0].isalpha():
            raise NotAnswered(f"the letter {rest[0]} in a format")
        found += _JODA.get(letters) or rest[0].replace("%", "%%")
        rest = rest[len(letters) or 1 :]
    return found

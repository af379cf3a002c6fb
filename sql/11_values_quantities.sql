-- 11_values_quantities.sql: what names and descriptions of goods say besides words: quantities and model numbers. They are
-- arrays: comparisons with "elements" and blocking rules take them as they are.

CREATE FUNCTION mastering.quantities(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_quantities';
COMMENT ON FUNCTION mastering.quantities(text) IS
'The numbers with units in a text, in base units (mm, g, ml, mb, kbps, w, v, a, mah, hz, s, mp, pc, x, % and some more) and to three significant digits: "1.5 TB" and "1500GB" give {"1500000 mb"}, "12 fl oz" and "355ml" give {"355 ml"}, "3.5"" gives {"88.9 mm"}. A text without any has none.';

CREATE FUNCTION mastering.quantity(value text) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_quantity';
COMMENT ON FUNCTION mastering.quantity(text) IS
'The first number with a unit in a text, in its base unit (see quantities) and unrounded: for columns that hold one measure each, to be compared by method numeric. NULL where there is none.';

CREATE FUNCTION mastering.model_numbers(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_model_numbers';
COMMENT ON FUNCTION mastering.model_numbers(text) IS
'The words with letters and digits in a text, at least four of them together, that are no quantities: in upper case and without punctuation, and of one with a stroke what comes before it too. "Sony DSC-W120/B 8GB" gives {DSCW120B,DSCW120}. A text without any has none.';

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

CREATE FUNCTION mastering.quantity(value text, unit text, usual float8 DEFAULT 0, decimal_comma boolean DEFAULT false) RETURNS float8
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_quantity_in';
COMMENT ON FUNCTION mastering.quantity(text, text, float8, boolean) IS
'A value that is a quantity as a whole, in the unit, to nine significant digits: of "112 min", "1 hr. 52 min.", "PT1H52M" and "112" in min 112, of "$ 1,299.00" and "1.299,00 USD" in usd 1299; NULL of a value that is none, or one of another measure or currency. A plain number is one of the unit, and 3:44 minutes and seconds (hours and minutes where the unit is h); with usual, an amount in the unit, they are what comes nearest to that: of times milliseconds to days, of other measures the unit, its thousandth or thousandfold. decimal_comma says what 1.299 and 1,299 mean where the value does not say it. This is what suggest writes for columns of quantities.';

CREATE FUNCTION mastering.model_numbers(value text) RETURNS text[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 20
    AS 'MODULE_PATHNAME', 'mastering_model_numbers';
COMMENT ON FUNCTION mastering.model_numbers(text) IS
'The words with letters and digits in a text, at least four of them together, that are no quantities: in upper case and without punctuation, and of one with a stroke what comes before it too. "Sony DSC-W120/B 8GB" gives {DSCW120B,DSCW120}. A text without any has none.';

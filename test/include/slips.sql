-- Numbers of which the low ones are much more frequent, and texts of which some have one letter wrong; beside made_up.sql.
CREATE FUNCTION skewed(seed text, most int) RETURNS int LANGUAGE sql IMMUTABLE RETURN floor(most * (pick(seed, 100000) / 100000.0) ^ 2)::int;
CREATE FUNCTION slip(value text, seed text, per_cent int) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN pick('s' || seed || value, 100) < per_cent THEN overlay(value PLACING chr(97 + pick('c' || seed || value, 26)) FROM 2 + pick('p' || seed || value, length(value) - 2) FOR 1) ELSE value END;

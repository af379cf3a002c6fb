-- Made up, and the same every time: a number below a bound, and a word of three syllables.
CREATE FUNCTION pick(seed text, most int) RETURNS int LANGUAGE sql IMMUTABLE RETURN (('x' || left(md5(seed), 7))::bit(28)::int % most);
CREATE FUNCTION word(seed text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN (ARRAY['ba','ke','li','mo','nu','ra','se','ti','vo','zu','dra','fle','gri','klo','spu'])[1 + pick(seed || '1', 15)]
    || (ARRAY['n','r','s','l','m','t','ck','nd','rt'])[1 + pick(seed || '2', 9)] || (ARRAY['a','er','en','o','ing','ow','y'])[1 + pick(seed || '3', 7)];

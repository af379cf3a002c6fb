-- Nodes of a picture, and what they say.
CREATE FUNCTION found(picture text, path text) RETURNS int LANGUAGE sql AS
$$ SELECT cardinality(xpath(path, xmlparse(document picture), '{{s,http://www.w3.org/2000/svg},{h,http://www.w3.org/1999/xhtml}}')) $$;
CREATE FUNCTION said(picture text, path text) RETURNS text[] LANGUAGE sql AS
$$ SELECT ARRAY(SELECT replace(replace(replace(u::text, '&lt;', '<'), '&gt;', '>'), '&amp;', '&') FROM unnest(xpath(path || '/text()', xmlparse(document picture), '{{s,http://www.w3.org/2000/svg},{h,http://www.w3.org/1999/xhtml}}')) WITH ORDINALITY AS x (u, o) ORDER BY o) $$;

-- What doc/incremental.md begins with: the environment prod of doc/samples.md, mastered by rules that are suggested. For an empty database with
-- the extension in it; the page's examples go on from here.
\ir samples.sql

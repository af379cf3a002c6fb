-- What doc/schedule.md begins with: the environment of doc/loading.md, loaded, with a model. For an empty database with the extension in it.
\ir loading.sql
SELECT count(*) FROM mastering.load('prod', 'customer');
SELECT mastering.train('prod', 'customer');

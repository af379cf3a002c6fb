-- csv_table.sql: prints the CREATE TABLE and the \copy for a CSV file that read_csv.pl has prepared.
-- All columns are texts. A column record_no numbers the records in the order of the file.
CREATE TEMP TABLE names (n integer GENERATED ALWAYS AS IDENTITY, name text);
\copy names (name) FROM 'build/demo/names' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
SELECT name AS delimiter FROM names WHERE n = 1 \gset
DELETE FROM names WHERE n = 1;
SELECT format('CREATE TABLE data.records (record_no bigint GENERATED ALWAYS AS IDENTITY, %s);', string_agg(format('%I text', name), ', ' ORDER BY n))
FROM names;
SELECT format('\copy data.records (%1$s) FROM ''build/demo/records.csv'' WITH (FORMAT csv, DELIMITER %2$L, FORCE_NULL (%1$s))',
    string_agg(format('%I', name), ', ' ORDER BY n), :'delimiter')
FROM names;

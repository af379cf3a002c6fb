-- Which segments are written once more when small changes come one after the other: never many, and each row a few times.
-- Only what is said about segments counts here, so there are no rows.
SELECT current_database() AS home \gset
CREATE DATABASE compaction;
\c compaction
CREATE EXTENSION mastering;
\set SHOW_CONTEXT never
-- A relation of so many rows and loads of so many new ones; no deletions, so that it is the number of segments that asks for it.
CREATE FUNCTION pg_temp.loads(rows bigint, change bigint, loads int) RETURNS TABLE (most_segments int, written_a_row numeric, largest_written bigint) LANGUAGE plpgsql AS $$
DECLARE
    segments int[] := '{1}';
    chosen int[];
    sum_live bigint;
    total numeric := 0;
BEGIN
    DELETE FROM mastering.segment;
    INSERT INTO mastering.segment (segment_id, store_id, row_count, hash) VALUES (1, 1, rows, '');
    most_segments := 1;
    largest_written := 0;
    FOR i IN 2 .. loads + 1 LOOP
        INSERT INTO mastering.segment (segment_id, store_id, row_count, hash) VALUES (2 * i, 1, change, '');
        segments := segments || 2 * i;
        chosen := mastering.segments_to_compact(jsonb_build_object('segments', to_jsonb(segments), 'vectors', to_jsonb(array_fill(0, ARRAY[cardinality(segments)])), 'rows', rows + (i - 1) * change));
        IF chosen <> '{}' THEN
            SELECT sum(g.row_count) INTO sum_live FROM mastering.segment g WHERE g.segment_id = ANY (chosen);
            INSERT INTO mastering.segment (segment_id, store_id, row_count, hash) VALUES (2 * i + 1, 1, sum_live, '');
            segments := ARRAY(SELECT s FROM unnest(segments) s WHERE s <> ALL (chosen)) || (2 * i + 1);
            total := total + sum_live;
            largest_written := greatest(largest_written, sum_live);
        END IF;
        most_segments := greatest(most_segments, cardinality(segments));
    END LOOP;
    written_a_row := round(total / (change * loads), 1);
    RETURN NEXT;
END $$;
SELECT r, c, l, most_segments, written_a_row < 5 + 2 * (r / 10.0 / c) ^ (1.0 / 3) AS few_times, largest_written < r AS not_the_large_one FROM (VALUES (10000000, 1000, 1000), (1000000, 1000, 100), (1000000, 10, 1000), (100000, 5000, 20)) x (r, c, l) CROSS JOIN LATERAL pg_temp.loads(r, c, l) ORDER BY 1, 2;
-- Loads as large as what is there.
SELECT most_segments, written_a_row < 20 AS few_times FROM pg_temp.loads(100, 100, 50);
-- One row, none.
SELECT mastering.segments_to_compact('{"segments": [1], "vectors": [0], "rows": 100}'), mastering.segments_to_compact('{"segments": [], "vectors": [], "rows": 0}');
\c :home
DROP DATABASE compaction;

\set id random(1, :probes)
SELECT cluster_id FROM mastering.lookup('dev', 'person', (SELECT record FROM probe WHERE id = :id));

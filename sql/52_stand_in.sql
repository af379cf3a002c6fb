-- 52_stand_in.sql: which environments live in another database; see 78_remote.sql.

CREATE TABLE mastering.stand_in (
    environment  text COLLATE "C" PRIMARY KEY,
    server       text,
    name_there   text NOT NULL,
    source_there text,
    link         uuid NOT NULL,
    origin       jsonb NOT NULL DEFAULT '{}',
    bundle       text,
    landing      jsonb NOT NULL DEFAULT '{}',
    accepted     jsonb,
    known        jsonb NOT NULL DEFAULT '{}',
    seen_at      timestamptz
);
COMMENT ON TABLE mastering.stand_in IS 'Environments that live in another database.';
COMMENT ON COLUMN mastering.stand_in.server IS 'The foreign server of their database; NULL where that one sends to here.';
COMMENT ON COLUMN mastering.stand_in.source_there IS 'The stand-in, there, of what it is promoted from.';
COMMENT ON COLUMN mastering.stand_in.link IS 'The same on both sides: who sends shows it, so that a stand-in takes from one sender.';
COMMENT ON COLUMN mastering.stand_in.bundle IS 'Hash of the bundle that the configuration is; NULL where none was taken.';
COMMENT ON COLUMN mastering.stand_in.landing IS 'entity/source -> relation and content of rows that were sent with it.';
COMMENT ON COLUMN mastering.stand_in.accepted IS 'Differences between the two databases that an admin accepted, with reason.';

SELECT pg_catalog.pg_extension_config_dump('mastering.stand_in', '');

/*
 * chunk_places.h: in which chunks of a segment of keys (engine/key_chunks.h) many keys can lie, by the index
 * on rule and first key.
 */
#ifndef MASTERING_SQL_CHUNK_PLACES_H
#define MASTERING_SQL_CHUNK_PLACES_H

#include "compat.h"

#include "storage/itemptr.h"
#include "utils/relcache.h"

/* A key of a rule that is looked for; the counts are the caller's. */
typedef struct asked_key {
    int32 rule;
    int64 key;
    uint32 size; /* rows that have it */
    uint32 own;  /* and of these, the caller's */
} asked_key;

/* A chunk to be fetched for a key: its place among those that are asked. */
typedef struct wanted_chunk {
    ItemPointerData place;
    uint32 asked;
} wanted_chunk;

/*
 * Of each of the keys, which are sorted and different, the last chunk that begins before it and those that
 * begin with it: in the order in which they lie, NULL where there are none. Versions of a chunk that the
 * active snapshot does not see are among them.
 */
extern wanted_chunk *chunk_places(Relation relation, Relation index, const asked_key *asked, Size count,
                                  Size *found);

#endif

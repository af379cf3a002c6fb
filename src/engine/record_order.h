/*
 * record_order.h: the records of a store in an order that does not depend on the one in which they came.
 */
#ifndef MASTERING_ENGINE_RECORD_ORDER_H
#define MASTERING_ENGINE_RECORD_ORDER_H

#include "compat.h"

#include "engine/record_store.h"

/* The hash of an id: an integer where text is NULL. */
extern uint64 record_order_hash(int64 integer, const char *text);

/*
 * Numbers the records by the hashes of their ids, ties by the ids themselves; those that is_probe marks come
 * first, in the same order, and is_probe goes. Raises 21000 for an id that comes twice.
 */
extern void record_store_renumber(record_store *store, int threads);

#endif
